"""GGUF files of whole models: written from a Hugging Face directory as llama.cpp's converter does, and decoded."""

import json
import math
from pathlib import Path

import check_lora_gguf
import gguf
import numpy
from safetensors.numpy import save_file
from safetensors.torch import load_file

NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
OUTSIDE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
           "lm_head.weight": "output.weight"}


def name_of(key):
    """llama.cpp's name of a tensor."""
    if key in OUTSIDE:
        return OUTSIDE[key]
    parts = key.split(".")
    return f"blk.{parts[2]}.{(check_lora_gguf.NAMES | NORMS)[parts[-2]]}.weight"


def heads_of(key, config):
    """How many heads share the rows of a tensor that llama.cpp has in another order; else none."""
    if key.endswith("q_proj.weight"):
        return config["num_attention_heads"]
    return config["num_key_value_heads"] if key.endswith("k_proj.weight") else None


def reordered_back(weight, heads):
    """The inverse of `check_lora_gguf.permuted`."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def rope_of(config):
    return {"rope_theta": 10000.0, "rope_type": "default"} | {
        key: value for key, value in config.items() if key == "rope_theta" and value is not None
    } | (config.get("rope_scaling") or {}) | (config.get("rope_parameters") or {})


def rope_factors(rope, size):
    """By what Llama 3's scaling divides each frequency."""
    context, low, high = (
        rope[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    factors = []
    for i in range(0, size, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (i / size)
        share = (context / wave - low) / (high - low)
        blend = 1 / ((1 - share) / rope["factor"] + share)
        factors.append(1.0 if wave < context / high else rope["factor"] if wave > context / low else blend)
    return numpy.array(factors, numpy.float32)


def add_vocabulary(writer, tokenizer, config):
    """A byte-level BPE; without a tokenizer, no vocabulary."""
    if tokenizer is None:
        writer.add_tokenizer_model("no_vocab")
        return
    file = json.loads(Path(tokenizer).read_text())
    special = {token["id"] for token in file["added_tokens"] if token["special"]}
    tokens = {number: token for token, number in file["model"]["vocab"].items()}
    tokens |= {token["id"]: token["content"] for token in file["added_tokens"]}
    control, normal, unused = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL, gguf.TokenType.UNUSED
    numbers = range(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([tokens.get(number, f"[unused {number}]") for number in numbers])
    writer.add_token_types([control if n in special else normal if n in tokens else unused for n in numbers])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in file["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(True)


def write(out, directory, tokenizer=None):
    """A dense f32 model of a Hugging Face directory as GGUF."""
    config = json.loads((directory / "config.json").read_text())
    rope, heads = rope_of(config), config["num_attention_heads"]
    size = config.get("head_dim") or config["hidden_size"] // heads
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_type("model")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    add_vocabulary(writer, tokenizer, config)
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, size))
    for key, value in load_file(directory / "model.safetensors").items():
        heads = heads_of(key, config)
        value = value.float().numpy()
        writer.add_tensor(name_of(key), value if heads is None else check_lora_gguf.permuted(value, heads).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


def decode(out, path, like):
    """The weights of a GGUF as gguf's own package decodes them, in a Hugging Face directory like another one."""
    out.mkdir()
    config = json.loads((like / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config))
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    weights = {}
    for key, value in load_file(like / "model.safetensors").items():
        tensor, heads = found[name_of(key)], heads_of(key, config)
        value = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(value.shape)
        weights[key] = numpy.ascontiguousarray(value if heads is None else reordered_back(value, heads))
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    return out


def types(path):
    """How many tensors of which type a file has, norms left out."""
    kinds = [tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors if "norm" not in tensor.name]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
