"""Others on the same device and the same shape: PEFT's LoRA and transformers' decoding over a random bf16 Llama 3.1 8B,
and over our 4-bit checkpoint with bitsandbytes and with Unsloth, where those are installed.

A step trains one document of T tokens, with gradient checkpointing, rank 16 on all seven projections and AdamW; tokens/s
is the median of three steps behind a first one. Peaks are what PyTorch allocated.
"""

import gc
import importlib.util
import statistics
import time

import torch

from suite import checkpoint

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LENGTHS, DEPTHS, NEW = (512, 2048, 8192), (16, 4096), 64


def installed(name):
    return importlib.util.find_spec(name) is not None


def sync(on):
    if on == "cuda":
        torch.cuda.synchronize()


def dense(shape, on):
    """Random weights, in bf16."""
    from transformers import LlamaConfig, LlamaForCausalLM

    kept = {key: value for key, value in checkpoint.config(shape).items() if key not in ("quantization_config", "torch_dtype")}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(on):
            return LlamaForCausalLM(LlamaConfig(**kept, attn_implementation="sdpa"))
    finally:
        torch.set_default_dtype(before)


def quantized(shape, on):
    """Our checkpoint as transformers and bitsandbytes read it."""
    from transformers import LlamaForCausalLM

    folder = checkpoint.kept(shape, "shape8b" if shape == checkpoint.LLAMA_8B else "tiny", on)
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa", device_map=on)


def with_adapters(model):
    from peft import LoraConfig, get_peft_model

    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    model.config.use_cache = False
    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM"))


def unsloth(shape, on):
    """Never tried: it was on no machine that we had."""
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(str(checkpoint.kept(shape, "shape8b", on)), load_in_4bit=True,
                                                 dtype=torch.bfloat16, max_seq_length=max(LENGTHS))
    return FastLanguageModel.get_peft_model(model, r=16, lora_alpha=32, target_modules=TARGETS,
                                            use_gradient_checkpointing="unsloth")


def train(model, length, vocabulary, on, steps=3):
    """Tokens/s, and the most that was allocated."""
    trained = [it for it in model.parameters() if it.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    ids = torch.randint(2, vocabulary, (1, length), device=on)
    if on == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    model.train()
    for _ in range(steps + 1):
        sync(on)
        started = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        sync(on)
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if on == "cuda" else 0
    return length / statistics.median(seconds[1:]), peak


def train_lengths(recorder, peer, model, lengths, vocabulary, on):
    for length in lengths:
        row = {"peer": peer, "what": f"LoRA step, T {length}"}
        try:
            rate, peak = train(model, length, vocabulary, on)
            recorder.add(**row, tokens_per_s=rate, peak_bytes=peak)
        except torch.OutOfMemoryError:
            recorder.add(**row, result="out of memory")


def decode(model, depth, vocabulary, on, new):
    """Tokens/s behind the prompt: the time of more tokens less the time of one."""
    ids = torch.randint(2, vocabulary, (1, depth), device=on)
    mask = torch.ones_like(ids)

    def seconds(count):
        sync(on)
        started = time.perf_counter()
        model.generate(ids, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0)
        sync(on)
        return time.perf_counter() - started

    seconds(2)
    first = statistics.median(seconds(1) for _ in range(3))
    return new / (statistics.median(seconds(new + 1) for _ in range(3)) - first)


def attempt(recorder, peer, needs, work, on):
    """A peer's rows, or a row that says why there are none; the others still have their turn."""
    missing = [name for name in needs if not installed(name)]
    if missing:
        recorder.add(peer=peer, result="not installed", missing=" ".join(missing))
        return
    try:
        work()
    except Exception as error:  # whatever a peer raises is a finding about it, not about us
        recorder.add(peer=peer, result=f"{type(error).__name__}: {error}".splitlines()[0][:200], ok=False)
    gc.collect()
    if on == "cuda":
        torch.cuda.empty_cache()


def run_all(recorder, shape, on, lengths=LENGTHS, depths=DEPTHS, new=NEW):
    steps = lambda peer, model: train_lengths(recorder, peer, model, lengths, shape.vocabulary, on)

    def decoding():
        model = dense(shape, on).eval()
        with torch.inference_mode():
            for depth in depths:
                rate = decode(model, depth, shape.vocabulary, on, new)
                recorder.add(peer="transformers bf16", what=f"decode at depth {depth}", tokens_per_s=rate)

    both = "transformers", "peft"
    attempt(recorder, "transformers bf16", both[:1], decoding, on)
    attempt(recorder, "PEFT bf16", both, lambda: steps("PEFT bf16", with_adapters(dense(shape, on))), on)
    attempt(recorder, "PEFT NF4", (*both, "bitsandbytes"), lambda: steps("PEFT NF4", with_adapters(quantized(shape, on))), on)
    attempt(recorder, "Unsloth NF4", ("unsloth",), lambda: steps("Unsloth NF4", unsloth(shape, on)), on)


def run(recorder, options):
    run_all(recorder, checkpoint.LLAMA_8B, "cuda")
    rates = [f"{row['peer']} {row['what']}: {row['tokens_per_s']:.0f} tokens/s" for row in recorder.rows if "tokens_per_s" in row]
    missing = [row["peer"] for row in recorder.rows if row.get("result") == "not installed"]
    return "; ".join(rates) + (f"; not installed: {', '.join(missing)}" if missing else "")
