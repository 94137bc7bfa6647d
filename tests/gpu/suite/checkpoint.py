"""A random checkpoint of a Llama's shape in the layout of bitsandbytes: NF4 with double-quantized scales.

    python -m suite.checkpoint DIR [tiny|8b]
"""

import ctypes
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

from suite import places
from suite.weights import BLOCK, LEVELS, NESTED


class Shape(NamedTuple):
    hidden: int
    ffn: int
    layers: int
    heads: int
    key_heads: int
    dim: int
    vocabulary: int
    context: int

    def projections(self):
        """(name, out, in) of a layer's, in the order of their names."""
        q, k = self.heads * self.dim, self.key_heads * self.dim
        attention = [("k_proj", k), ("q_proj", q), ("v_proj", k)]
        return [
            ("mlp.down_proj", self.hidden, self.ffn),
            ("mlp.gate_proj", self.ffn, self.hidden),
            ("mlp.up_proj", self.ffn, self.hidden),
            ("self_attn.o_proj", self.hidden, q),
            *[(f"self_attn.{name}", out, self.hidden) for name, out in attention],
        ]


LLAMA_8B = Shape(4096, 14336, 32, 32, 8, 128, 128256, 131072)
TINY = Shape(256, 512, 2, 4, 2, 64, 4352, 2048)
DTYPES = {torch.uint8: "U8", torch.float32: "F32", torch.bfloat16: "BF16"}


def dynamic_map():
    """The 256 signed values of bitsandbytes' 8-bit scales."""
    values = [0.0, 1.0]
    for i in range(7):
        ends = torch.linspace(0.1, 1, 2**i + 1)
        means = (ends[:-1] + ends[1:]) / 2.0
        values += (10.0 ** (i - 6) * means).tolist()
        values += (-(10.0 ** (i - 6)) * means).tolist()
    return torch.tensor(sorted(values))


def config(shape):
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": shape.hidden, "intermediate_size": shape.ffn, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.key_heads, "head_dim": shape.dim,
        "vocab_size": shape.vocabulary, "max_position_embeddings": shape.context, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192},
        "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16",
        "quantization_config": {
            "quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
            "llm_int8_skip_modules": ["lm_head"],
        },
    }


class Tensor(NamedTuple):
    """A tensor of the file, made when it is written."""

    name: str
    dtype: torch.dtype
    shape: tuple
    make: object

    def nbytes(self):
        return torch.Size(self.shape).numel() * torch.empty(0, dtype=self.dtype).element_size()


def projection(name, out, inner, on):
    """Weights of about N(0, 1 / in)."""
    count, usual = out * inner, 1.8 * inner**-0.5
    blocks = count // BLOCK
    state = {"quant_type": "nf4", "blocksize": BLOCK, "dtype": "bfloat16", "shape": [out, inner],
             "nested_blocksize": NESTED, "nested_dtype": "float32",
             "nested_offset": torch.tensor(usual, dtype=torch.float32).item()}
    text = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
    bytes_of = lambda n: lambda: torch.randint(0, 256, (n,), dtype=torch.uint8, device=on)
    nested = -(-blocks // NESTED)
    return [
        Tensor(name, torch.uint8, (count // 2, 1), bytes_of(count // 2)),
        Tensor(f"{name}.absmax", torch.uint8, (blocks,), bytes_of(blocks)),
        Tensor(f"{name}.nested_absmax", torch.float32, (nested,), lambda: torch.full((nested,), usual / 4)),
        Tensor(f"{name}.nested_quant_map", torch.float32, (256,), dynamic_map),
        Tensor(f"{name}.quant_map", torch.float32, (16,), lambda: torch.tensor(LEVELS)),
        Tensor(f"{name}.quant_state.bitsandbytes__nf4", torch.uint8, (len(text),), lambda: text),
    ]


def tensors(shape, on):
    """All of the file."""
    table = (shape.vocabulary, shape.hidden)
    random = lambda: (torch.randn(table, device=on) * shape.hidden**-0.5).bfloat16()
    ones = lambda: torch.ones(shape.hidden, dtype=torch.bfloat16)
    norm = lambda name: Tensor(name, torch.bfloat16, (shape.hidden,), ones)
    yield Tensor("lm_head.weight", torch.bfloat16, table, random)
    yield Tensor("model.embed_tokens.weight", torch.bfloat16, table, random)
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}"
        yield norm(f"{prefix}.input_layernorm.weight")
        yield norm(f"{prefix}.post_attention_layernorm.weight")
        for name, out, inner in shape.projections():
            yield from projection(f"{prefix}.{name}.weight", out, inner, on)
    yield norm("model.norm.weight")


def write_safetensors(path, listed):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for it in listed:
        header[it.name] = {"dtype": DTYPES[it.dtype], "shape": list(it.shape), "data_offsets": [offset, offset + it.nbytes()]}
        offset += it.nbytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for it in listed:
            values = it.make().to(it.dtype).contiguous().cpu()
            if values.nbytes != it.nbytes():
                raise ValueError(f"{it.name} has {values.nbytes} bytes, expected {it.nbytes()}")
            file.write((ctypes.c_char * values.nbytes).from_address(values.data_ptr()))


def write(folder, shape, on="cpu"):
    """The whole model; config.json comes last, so that a folder with one is whole."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(8)
    write_safetensors(folder / "model.safetensors", list(tensors(shape, on)))
    shutil.copyfile(places.ROOT / "models/sre-tiny/tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(config(shape), indent=1) + "\n")


def adapter_tensors(shape, rank, on):
    """A and B of every projection, both random: as after some training."""
    for layer in range(shape.layers):
        for name, out, inner in shape.projections():
            for letter, size in (("A", (rank, inner)), ("B", (out, rank))):
                make = lambda size=size: (torch.randn(size, device=on) * 0.02).bfloat16()
                yield Tensor(f"base_model.model.model.layers.{layer}.{name}.lora_{letter}.weight", torch.bfloat16, size, make)


def write_adapter(folder, shape, rank=16, on="cpu"):
    """A PEFT directory for all projections."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(9)
    write_safetensors(folder / "adapter_model.safetensors", list(adapter_tensors(shape, rank, on)))
    modules = sorted(name.split(".")[1] for name, _, _ in shape.projections())
    described = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0,
                 "bias": "none", "target_modules": modules, "inference_mode": True}
    (folder / "adapter_config.json").write_text(json.dumps(described, indent=1) + "\n")
    return folder


def kept(shape, name, on="cpu"):
    """A folder of this machine's disk with that model, written if it is not there yet."""
    folder = Path(tempfile.gettempdir()) / f"srek-gpu-{name}"
    if not (folder / "config.json").exists() or json.loads((folder / "config.json").read_text()) != config(shape):
        shutil.rmtree(folder, ignore_errors=True)
        write(folder, shape, on)
    return folder


if __name__ == "__main__":
    write(sys.argv[1], LLAMA_8B if sys.argv[2:] == ["8b"] else TINY)
