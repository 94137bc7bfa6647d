"""4-bit checkpoints of transformers and bitsandbytes, read by srek, and those of `srek quantize`, read by transformers.

What both write of the same dense model must be the same bytes. The reference of logits are dense weights that
bitsandbytes decodes: its Linear4bit goes other ways in evaluation on some processors.
"""

import itertools

from common import apart, compare, random_model

import bitsandbytes.functional as functional
import torch
from bitsandbytes.nn import Linear4bit
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaForCausalLM

import make_llama

SHAPE = dict(hidden_size=128, num_attention_heads=4, num_key_value_heads=2, head_dim=32, intermediate_size=192,
             vocab_size=160, num_hidden_layers=2, tie_word_embeddings=False)
STORAGES = {"u8": torch.uint8, "bf16": torch.bfloat16, "f32": torch.float32}
# The first is also quantized by none: heads stay dense unless they are asked for.
SKIPPED = ["lm_head", "model.layers.0.mlp.down_proj", "model.layers.1.self_attn.k_proj"]


def read(directory, dtype, **settings):
    model, info = LlamaForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager",
                                                   device_map="cpu", output_loading_info=True, **settings)
    wrong = [key for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs") if info.get(key)]
    assert not wrong, (directory, wrong, info)
    return model


def save(dense, out, dtype, **settings):
    read(dense, dtype, quantization_config=BitsAndBytesConfig(**settings)).save_pretrained(out)
    return out


def decoded(directory, dense, dtype):
    """A dense model with the weights of a 4-bit one as bitsandbytes decodes them, in f32 whatever their type."""
    weights = {}
    for name, module in read(directory, dtype).named_modules():
        if isinstance(module, Linear4bit):
            module.weight.quant_state.dtype = torch.float32
            weights[name] = functional.dequantize_4bit(module.weight.data.view(torch.uint8), module.weight.quant_state)
    model = LlamaForCausalLM.from_pretrained(dense, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weight in weights.items():
            target = model.get_submodule(name).weight
            target.copy_(weight.reshape(target.shape))
    return model


def raw(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def bytes_of(directory):
    return {name: raw(tensor) for name, tensor in load_file(directory / "model.safetensors").items()}


def theirs_here(table, srek, dense, dtype, ids):
    """Checkpoints of transformers, in every way of storing."""
    same, others = {"u8": [0, 0], "other": [0, 0]}, set()
    worst, loaded, name = 0.0, 0, str(dtype).removeprefix("torch.")
    ways = list(itertools.product((False, True), STORAGES, (None, SKIPPED)))
    ours = {double: bytes_of(srek.room / f"ours-{name}-{double}") for double in (False, True)}
    for number, (double, storage, skipped) in enumerate(ways):
        out = save(dense, srek.room / f"theirs-{name}-{number}", dtype, load_in_4bit=True, bnb_4bit_quant_type="nf4",
                   bnb_4bit_use_double_quant=double, bnb_4bit_compute_dtype=dtype,
                   bnb_4bit_quant_storage=STORAGES[storage], llm_int8_skip_modules=skipped)
        found = srek.logits(out, ids, "--numerics", "f32")
        with torch.no_grad():
            expected = decoded(out, dense, dtype)(torch.tensor(ids), use_cache=False).logits.numpy()
        worst, loaded = max(worst, apart(found, expected)[0]), loaded + 1
        theirs, mine = bytes_of(out), ours[double]
        count = same["u8" if storage == "u8" else "other"]
        for key in theirs:
            if key.endswith(".weight") and f"{key}.absmax" not in theirs and f"{key}.absmax" in mine:
                continue  # one of the skipped
            count[0], count[1] = count[0] + (theirs[key] == mine.get(key)), count[1] + 1
            if theirs[key] != mine.get(key):
                others.add(key)
        if storage == "u8" and skipped is None:
            assert theirs.keys() == mine.keys(), theirs.keys() ^ mine.keys()
    table.equal(f"{name}: checkpoints of transformers that load here (2 formats x 3 storages x with and without "
                "skipped modules)", loaded, len(ways))
    table.below(f"{name}: srek's f32 logits of these from those of the decoded weights", worst, 1e-4)
    less = f" tensors; not {', '.join(sorted(others))}" if others else " tensors"
    table.equal(f"{name}: tensors with the bytes of `srek quantize`, stored as u8", *same["u8"], less)
    table.equal(f"{name}: likewise, stored as bf16 or f32", *same["other"], less)


def ours_there(table, srek, dtype, double):
    """What srek writes, read by transformers: codes, scales and decoded weights of every projection."""
    name, form = str(dtype).removeprefix("torch."), "nf4-dq" if double else "nf4"
    own, theirs = (read(srek.room / directory, dtype)
                   for directory in (f"ours-{name}-{double}", f"theirs-{name}-{6 * double}"))
    mine = {key: module for key, module in own.named_modules() if isinstance(module, Linear4bit)}
    same = 0
    for key, module in mine.items():
        weight, other = module.weight, theirs.get_submodule(key).weight
        state, wanted = weight.quant_state, other.quant_state
        same += all((
            raw(weight.data) == raw(other.data), raw(state.absmax) == raw(wanted.absmax), state.dtype == wanted.dtype,
            not double or (raw(state.state2.absmax) == raw(wanted.state2.absmax)
                           and float(state.offset) == float(wanted.offset)),
            raw(functional.dequantize_4bit(weight.data, state)) == raw(functional.dequantize_4bit(other.data, wanted))))
    table.equal(f"{name}, {form}: projections of `srek quantize` that transformers reads with equal codes, scales and "
                "decoded weights", same, 7 * SHAPE["num_hidden_layers"])


def refused(table, srek, dense):
    """What srek does not read. transformers makes a 4-bit head where a list of exceptions does not name it."""
    nf4 = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    cases = {
        "fp4": ("fp4", dict(nf4, bnb_4bit_quant_type="fp4")),
        "int8": ("int8", dict(load_in_8bit=True)),
        "a head in 4 bits": ("lm_head.weight: is stored in 4 bits", dict(nf4, llm_int8_skip_modules=SKIPPED[1:])),
    }
    (srek.room / "ids.json").write_text("[[1]]")
    for name, (words, settings) in cases.items():
        directory = save(dense, srek.room / f"refused {name}", torch.float32, **settings)
        code, _, error = srek.run("logits", "--model", directory, "--ids", "ids.json", "--out", "never.safetensors")
        said = " ".join(error.replace(f"{directory}/", "").split())
        table.row(f"{name}: refused, and named", f"exit code {code}, {said}", 2, code == 2 and words in said)


def comparison(table, srek):
    ids = torch.randint(SHAPE["vocab_size"], [2, 40], generator=torch.Generator().manual_seed(3)).tolist()
    for number, dtype in enumerate((torch.float32, torch.bfloat16, torch.float16)):
        name = str(dtype).removeprefix("torch.")
        dense = random_model(srek.room / f"dense-{name}", number, dtype, **SHAPE)
        for double in (False, True):
            srek.must("quantize", "--model", dense, "--out", f"ours-{name}-{double}", "--format",
                      "nf4-dq" if double else "nf4")
        theirs_here(table, srek, dense, dtype, ids)
        for double in (False, True):
            ours_there(table, srek, dtype, double)
    refused(table, srek, srek.room / "dense-float32")


compare("bnb", comparison)
