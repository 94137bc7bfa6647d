"""Fifty steps of QLoRA in PEFT over Linear4bit of bitsandbytes, and the same with `srek train`: same base, first
adapter, batches and AdamW. Then each side serves the adapter that the other has trained.

PEFT keeps adapter and optimizer in f32. In f32 the two curves must be equal but for rounding. In bf16 the yardstick
is again PyTorch: the distance of its own bf16 curve from its f32 curve.
"""

import json

from common import apart, compare, random_model

import numpy
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaForCausalLM

import make_llama

STEPS, BATCHES = 50, 10
SHAPE = dict(hidden_size=128, num_attention_heads=4, num_key_value_heads=2, head_dim=32, intermediate_size=256,
             vocab_size=64, num_hidden_layers=3, tie_word_embeddings=False, rope_scaling=make_llama.SCALING)
RECIPE = """
[model]
directory = "model"
base = "BASE"
numerics = "NUMERICS"
[data]
directory = "set"
order = "file"
[batch]
tokens = 128
documents = 2
[schedule]
steps = STEPS
learning_rate = 1e-3
decay = "constant"
[optimizer]
weight_decay = 0.01
max_grad_norm = 1.0
"""


def quantized(directory, base, dtype):
    """The model in 4 bits as people load it for QLoRA. In training, bitsandbytes repacks nothing."""
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4",
                                bnb_4bit_use_double_quant=base == "nf4-dq", bnb_4bit_compute_dtype=dtype)
    return LlamaForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager", device_map="cpu",
                                            quantization_config=config)


def train_theirs(room, base, dtype, ids, labels, out):
    model = PeftModel.from_pretrained(quantized(room / "model", base, dtype), room / "adapter", is_trainable=True)
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
    curve = make_llama.train(model.train(), ids, labels, 1.0)["loss"]
    make_llama.save_adapter(model, out)
    return numpy.array(curve)


def train_ours(srek, base, numerics, out):
    recipe = RECIPE.replace("BASE", base).replace("NUMERICS", numerics).replace("STEPS", str(STEPS))
    (srek.room / "run.toml").write_text(recipe)
    srek.must("train", "run.toml", "--adapter-init", "adapter", "--out", out)
    lines = (json.loads(line) for line in (srek.room / out / "log.jsonl").read_text().splitlines())
    return numpy.array([line["loss"] for line in lines if line["event"] == "step"])


def adapter(directory):
    """All values of an adapter in one vector, in the order of their names."""
    tensors = load_file(directory / "adapter_model.safetensors")
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)]).double().numpy()


def served_by_peft(room, base, directory, ids):
    """Logits in f32 of the dequantized base: in evaluation, Linear4bit goes other ways on some processors."""
    model = make_llama.read_model(room / "model", base.replace("-", "_"))
    with torch.no_grad():
        return PeftModel.from_pretrained(model, directory).eval()(input_ids=ids, use_cache=False).logits.numpy()


def merged(directory, ids):
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits.numpy()


def prepare(srek):
    room, random = srek.room, torch.Generator().manual_seed(50)
    random_model(room / "model", 50, **SHAPE)
    config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules=list(make_llama.PROJECTIONS))
    make_llama.write_adapter(room / "adapter", room / "model", config, random)
    make_llama.STEPS, make_llama.LENGTH = BATCHES, 48
    ids, labels = make_llama.write_batches(room / "batches.jsonl", SHAPE["vocab_size"], random)
    make_llama.STEPS = STEPS
    srek.must("data", "build", "--input", "batches.jsonl", "--vocab-size", SHAPE["vocab_size"], "--context", 64,
              "--out", "set")
    return ids.repeat(STEPS // BATCHES, 1, 1), labels.repeat(STEPS // BATCHES, 1, 1)


def comparison(table, srek):
    room = srek.room
    ids, labels = prepare(srek)
    start = adapter(room / "adapter")
    exact = {}
    for base, name in (("nf4-dq", "nf4 with double quantization"), ("nf4", "nf4")):
        theirs = exact[base] = train_theirs(room, base, torch.float32, ids, labels, room / f"peft-{base}")
        ours = train_ours(srek, base, "f32", f"run-{base}")
        table.below(f"{name}, f32: greatest relative difference of {STEPS} losses", abs(ours / theirs - 1).max(), 1e-4,
                    f" (loss {theirs[0]:.3f} to {theirs[-1]:.3f})")
        mine, final = adapter(room / f"run-{base}/adapter"), adapter(room / f"peft-{base}")
        norm = numpy.linalg.norm
        table.below(f"{name}, f32: distance of the last adapters over the way from the first",
                    norm(mine - final) / norm(final - start), 1e-3)
        for trainer, directory in (("srek", f"run-{base}/adapter"), ("PEFT", f"peft-{base}")):
            found = srek.logits("model", ids[0].tolist(), "--adapter", directory, "--quant", base, "--numerics", "f32")
            most, _ = apart(found, served_by_peft(room, base, room / directory, ids[0]))
            table.below(f"{name}, f32: adapter trained by {trainer}, srek's logits from PEFT's", most, 1e-4)
    srek.must("export", "--model", "model", "--adapter", "peft-nf4-dq", "--out", "merged")
    most, _ = apart(merged(room / "merged", ids[0]), served_by_peft(room, "f32", room / "peft-nf4-dq", ids[0]))
    table.below("f32: adapter trained by PEFT, merged by srek, transformers' logits from PEFT's", most, 1e-4)
    base, name = "nf4-dq", "nf4 with double quantization"
    theirs = train_theirs(room, base, torch.bfloat16, ids, labels, room / "peft-bf16")
    ours = train_ours(srek, base, "bf16", "run-bf16")
    mine, yardstick = abs(ours / exact[base] - 1).mean(), abs(theirs / exact[base] - 1).mean()
    table.below(f"{name}, bf16: mean error of {STEPS} losses over that of PyTorch's bf16", mine / yardstick, 1.5,
                f" ({mine:.1g} / {yardstick:.1g})")


compare("qlora", comparison)
