"""Writes a Llama checkpoint of random bf16 weights, one tensor at a time, in the layout of Hugging Face.

Usage: make_model.py SHAPE DIRECTORY, SHAPE one of small, 1B, 8B. Needs numpy only. The values are normal with
the standard deviation of Llama's own initialisation; what they are does not matter to any of the measurements.
"""

import json
import pathlib
import sys

import numpy

SHAPES = {
    "small": dict(hidden=512, ffn=1536, layers=8, heads=8, kv=4, dim=64, vocab=8192, tied=False),
    "1B": dict(hidden=2048, ffn=8192, layers=16, heads=32, kv=8, dim=64, vocab=128256, tied=True),
    "8B": dict(hidden=4096, ffn=14336, layers=32, heads=32, kv=8, dim=128, vocab=128256, tied=False),
}


def tensors(s):
    c, f, d = s["hidden"], s["ffn"], s["dim"]
    yield "model.embed_tokens.weight", (s["vocab"], c)
    for layer in range(s["layers"]):
        p = f"model.layers.{layer}."
        yield p + "input_layernorm.weight", (c,)
        yield p + "self_attn.q_proj.weight", (s["heads"] * d, c)
        yield p + "self_attn.k_proj.weight", (s["kv"] * d, c)
        yield p + "self_attn.v_proj.weight", (s["kv"] * d, c)
        yield p + "self_attn.o_proj.weight", (c, s["heads"] * d)
        yield p + "post_attention_layernorm.weight", (c,)
        yield p + "mlp.gate_proj.weight", (f, c)
        yield p + "mlp.up_proj.weight", (f, c)
        yield p + "mlp.down_proj.weight", (c, f)
    yield "model.norm.weight", (c,)
    if not s["tied"]:
        yield "lm_head.weight", (s["vocab"], c)


def config(s):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": s["hidden"], "intermediate_size": s["ffn"], "num_hidden_layers": s["layers"],
        "num_attention_heads": s["heads"], "num_key_value_heads": s["kv"], "head_dim": s["dim"],
        "vocab_size": s["vocab"], "tie_word_embeddings": s["tied"], "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "max_position_embeddings": 16384, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "initializer_range": 0.02,
        "bos_token_id": 1, "eos_token_id": 2,
    }


def bf16(values):
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def main():
    name, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    s = SHAPES[name]
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config(s), indent=1))
    header, at = {}, 0
    for tensor, shape in tensors(s):
        size = 2 * int(numpy.prod(shape))
        header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(directory / "model.safetensors.part", "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for index, (tensor, shape) in enumerate(tensors(s)):
            random = numpy.random.Generator(numpy.random.PCG64(index))
            if len(shape) == 1:
                out.write(bf16(numpy.ones(shape, numpy.float32)).tobytes())
                continue
            for start in range(0, shape[0], 4096):
                rows = min(4096, shape[0] - start)
                values = random.standard_normal((rows, shape[1]), numpy.float32) * numpy.float32(0.02)
                out.write(bf16(values).tobytes())
    (directory / "model.safetensors.part").rename(directory / "model.safetensors")


if __name__ == "__main__":
    main()
