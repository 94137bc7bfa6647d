"""Measures transformers, PEFT and bitsandbytes on a CPU and prints one JSON object.

Usage: with_torch.py WORK MODEL_DIRECTORY [--nf4] [--threads 2] [--depth 0] [--documents 1] [--tokens 512]
WORK is prefill, decode, train or adamw. The checkpoint is read as it is; --nf4 loads its projections in 4 bits (NF4
with double-quantized scales). train is a LoRA step of rank 16 on all projections with checkpointing and AdamW. adamw
needs no model: it is the fused update of such an adapter of the 8B shape, as in benches/adamw.rs.
"""

import argparse
import json
import statistics
import time

import torch
import transformers


def load(args):
    options = dict(dtype=torch.bfloat16, attn_implementation="sdpa")
    if args.nf4:
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16)
    return transformers.AutoModelForCausalLM.from_pretrained(args.model, **options)


def ids(model, rows, tokens):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(3, model.config.vocab_size, (rows, tokens), generator=generator)


@torch.inference_mode()
def prefill(model, args):
    tokens = ids(model, 1, args.tokens)
    seconds = []
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        model(tokens, use_cache=True, logits_to_keep=1)
        seconds.append(time.perf_counter() - start)
    return args.tokens, seconds[1:]


@torch.inference_mode()
def decode(model, args):
    count, seconds = 64, []
    for _ in range(args.repeats + 1):
        cache = transformers.DynamicCache()
        last = ids(model, 1, max(args.depth, 1))
        out = model(last, past_key_values=cache, use_cache=True, logits_to_keep=1)
        start = time.perf_counter()
        for _ in range(count):
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            out = model(token, past_key_values=cache, use_cache=True)
        seconds.append(time.perf_counter() - start)
    return count, seconds[1:]


def train(model, args):
    import peft

    if args.nf4:
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=True)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=targets))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    tokens = ids(model, args.documents, args.tokens)
    seconds = []
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return args.documents * args.tokens, seconds[1:]


def adamw():
    projections = [(4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), (4096, 14336), (4096, 14336), (14336, 4096)]
    shapes = [shape for inner, out in projections for shape in [(16, inner), (out, 16)]] * 32
    parameters = [torch.full(shape, 0.5, requires_grad=True) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 0.02)
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0, fused=True)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    rate = sum(parameter.numel() for parameter in parameters) / statistics.median(seconds[1:])
    # Reads the weight, its gradient and two moments, and writes all but the gradient, in f32.
    return {"parameters_per_second": rate, "bytes_per_second": rate * 7 * 4}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["prefill", "decode", "train", "adamw"])
    parser.add_argument("model")
    parser.add_argument("--nf4", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--documents", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    if args.work == "adamw":
        print(json.dumps(adamw()))
        return
    tokens, seconds = globals()[args.work](load(args), args)
    median = statistics.median(seconds)
    print(json.dumps({"tokens_per_second": tokens / median, "seconds": seconds}))


if __name__ == "__main__":
    main()
