"""Writes llama/<variant>/: tiny Llama models and what PyTorch, transformers and PEFT make of them.

pip install numpy==2.4.6 torch==2.9.1 transformers==4.57.3 peft==0.18.0 bitsandbytes==0.50.2 safetensors==0.8.0
python tests/goldens/make_llama.py [VARIANT ...]     (from the workspace root; a minute, no GPU)
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TORCHDYNAMO_DISABLE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import bitsandbytes.functional as bnb
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

OUT = Path(__file__).parent / "llama"
BASES = ("f32", "nf4", "nf4_dq")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
WIDE = dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=128, vocab_size=128)
# No width here is a multiple of 64, so blocks cross rows; heads x head_dim differs from the width.
NARROW = dict(hidden_size=48, num_attention_heads=3, num_key_value_heads=1, head_dim=8, intermediate_size=72, vocab_size=97)
VARIANTS = {
    "plain": dict(WIDE, num_hidden_layers=3, tie_word_embeddings=False),
    "scaled": dict(WIDE, num_hidden_layers=2, tie_word_embeddings=False, rope_scaling=SCALING),
    "plain_tied": dict(WIDE, num_hidden_layers=2, tie_word_embeddings=True),
    "scaled_tied": dict(WIDE, num_hidden_layers=2, tie_word_embeddings=True, rope_scaling=SCALING),
    "narrow": dict(NARROW, num_hidden_layers=2, tie_word_embeddings=False, rope_scaling=SCALING),
}
# Of these variants the gradients of all parameters are kept.
DENSE = ("plain_tied", "narrow")
# Of this one, the logits of one sequence longer than a block of 64 keys.
LONG = "scaled"
# Every gradient of these models is longer than 1, so that norm is always clipped. Here only some are.
CLIP = {"scaled_tied": 5.3}
STEPS, SEQUENCES, LENGTH, LONG_LENGTH = 20, 2, 24, 80


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_model(directory, config, random):
    """A model whose logits spread by about one, in a Hugging Face directory."""
    model = LlamaForCausalLM(LlamaConfig(**config, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=10000.0,
                                         bos_token_id=0, eos_token_id=1, attention_bias=False, mlp_bias=False))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=random)
            if "norm" in name:
                parameter.copy_(1 + 0.1 * noise)
            elif "embed" in name:
                parameter.copy_(0.2 * noise)
            else:
                parameter.copy_(noise / parameter.shape[1] ** 0.5)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink()


def read_model(directory, base, dtype=torch.float32):
    """The model with its seven projections as `base` has them: as they are, or quantized and back."""
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    values = {}
    for name, module in model.named_modules():
        if base != "f32" and name.split(".")[-1] in PROJECTIONS:
            codes, state = bnb.quantize_4bit(module.weight.data, quant_type="nf4", compress_statistics=base == "nf4_dq")
            values[name] = bnb.dequantize_4bit(codes, state).reshape(module.weight.shape)
    if dtype != torch.float32:
        # Read anew, not cast: a cast would round the rotary frequencies too.
        model = LlamaForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager")
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    with torch.no_grad():
        for name, value in values.items():
            model.get_submodule(name).weight.copy_(value)
    return model


def write_adapter(directory, model_directory, config, random):
    """An adapter whose B is not zero, so that gradients reach every A."""
    model = get_peft_model(read_model(model_directory, "f32"), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                deviation = 0.1 if "lora_B" in name else parameter.shape[1] ** -0.5
                parameter.copy_(deviation * torch.randn(parameter.shape, generator=random))
    save_adapter(model, directory)


def save_adapter(model, directory):
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    config["target_modules"] = sorted(config["target_modules"])
    write_json(directory / "adapter_config.json", config)


def adapted(directory, base, adapter="adapter", dtype=torch.float32):
    model = read_model(directory / "model", base, dtype)
    return PeftModel.from_pretrained(model, directory / adapter, is_trainable=True)


def write_batches(path, vocabulary, random):
    """STEPS x SEQUENCES records in the order of training. Every batch has masked labels.

    Most tokens follow a fixed successor table, so that there is something to learn.
    """
    successor = torch.randperm(vocabulary, generator=random).tolist()
    records = []
    for _ in range(STEPS * SEQUENCES):
        ids = torch.randint(vocabulary, [LENGTH], generator=random)
        surprise = torch.rand(LENGTH, generator=random) < 0.2
        for i in range(1, LENGTH):
            ids[i] = ids[i] if surprise[i] else successor[ids[i - 1]]
        masked = torch.rand(LENGTH, generator=random) < 0.2
        masked[: int(torch.randint(1, LENGTH // 2, [1], generator=random))] = True
        labels = torch.where(masked, -100, ids)
        records.append({"input_ids": ids.tolist(), "labels": labels.tolist()})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    ids = torch.tensor([record["input_ids"] for record in records]).reshape(STEPS, SEQUENCES, LENGTH)
    labels = torch.tensor([record["labels"] for record in records]).reshape(STEPS, SEQUENCES, LENGTH)
    return ids, labels


def loss_of(logits, labels):
    """The sum over all trained tokens of the batch, over their count. Label t + 1 belongs to logits t."""
    shifted = labels[:, 1:].flatten()
    total = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), shifted, ignore_index=-100, reduction="sum")
    return total / (shifted != -100).sum()


def gradients(model, ids, labels):
    """Logits, loss and the gradient of every trained parameter, by its name in a PEFT file."""
    logits = model(input_ids=ids, use_cache=False).logits
    loss = loss_of(logits, labels)
    loss.backward()
    grads = {n.replace(".default", ""): p.grad.float() for n, p in model.named_parameters() if p.requires_grad}
    return logits.detach(), loss.item(), grads


def train(model, ids, labels, max_norm):
    """Loss and gradient norm (before clipping) of each step."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, foreach=False)
    losses, norms = [], []
    for step in range(STEPS):
        loss = loss_of(model(input_ids=ids[step], use_cache=False).logits, labels[step])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, max_norm).item())
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    return {"loss": losses, "grad_norm": norms}


def run(directory, variant, ids, labels):
    tensors, scalars = {"ids": ids[0], "labels": labels[0]}, {"loss": {}, "max_grad_norm": CLIP.get(variant, 1.0), "curve": {}}

    def keep(key, model):
        logits, scalars["loss"][key], grads = gradients(model, ids[0], labels[0])
        tensors[f"{key}.logits"] = logits
        tensors.update({f"{key}.grad.{name}": grad for name, grad in grads.items()})

    for base in BASES:
        for prefix, dtype in (("", torch.float32), ("bf16.", torch.bfloat16)):
            with torch.no_grad():
                tensors[f"{prefix}{base}.logits"] = read_model(directory / "model", base, dtype)(ids[0]).logits
            keep(f"{prefix}{base}.adapter", adapted(directory, base, dtype=dtype))
        model = adapted(directory, base)
        scalars["curve"][base] = train(model, ids, labels, scalars["max_grad_norm"])
        save_adapter(model, directory / f"final_{base}")
    keep("nf4.mixed", adapted(directory, "nf4", "adapter_mixed"))
    if variant in DENSE:
        keep("f32.dense", read_model(directory / "model", "f32"))
        del tensors["f32.dense.logits"]
    if variant == LONG:
        random = torch.Generator().manual_seed(7)
        tensors["long.ids"] = torch.randint(VARIANTS[variant]["vocab_size"], [1, LONG_LENGTH], generator=random)
        with torch.no_grad():
            tensors["f32.long.logits"] = read_model(directory / "model", "f32")(tensors["long.ids"]).logits
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / "golden.safetensors")
    write_json(directory / "golden.json", scalars)


def write(variant):
    directory = OUT / variant
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    random = torch.Generator().manual_seed(100 + list(VARIANTS).index(variant))
    write_model(directory / "model", VARIANTS[variant], random)
    write_adapter(directory / "adapter", directory / "model",
                  LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=list(PROJECTIONS)), random)
    mixed = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, use_rslora=True,
                       target_modules=["q_proj", "v_proj", "down_proj"],
                       rank_pattern={"q_proj": 8, "layers.1.self_attn.v_proj": 2}, alpha_pattern={"down_proj": 3})
    write_adapter(directory / "adapter_mixed", directory / "model", mixed, random)
    ids, labels = write_batches(directory / "batches.jsonl", VARIANTS[variant]["vocab_size"], random)
    write_json(directory / "ids.json", ids[0].tolist())
    run(directory, variant, ids, labels)


if __name__ == "__main__":
    for variant in sys.argv[1:] or VARIANTS:
        write(variant)
