"""Writes a Llama as a GGUF file for llama.cpp.

Usage: make_gguf.py MODEL_DIRECTORY FILE: a checkpoint of make_model.py in bf16, without a vocabulary, which
llama-bench does not need; or make_gguf.py --random SHAPE VOCABULARY.gguf FILE: blocks of random bits in Q4_0, and
Q6_K for the head as llama.cpp's own recipe has it, with a vocabulary. Needs gguf and numpy. Rows of q and k are
permuted as llama.cpp has them, which changes nothing that is measured and is left out: the weights are random.
"""

import json
import pathlib
import sys

import gguf
import numpy

import make_model

NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
# Where a block of Q4_0 and of Q6_K has its scale, in f16.
SCALES = {gguf.GGMLQuantizationType.Q4_0: 0, gguf.GGMLQuantizationType.Q6_K: 208}


def renamed(name):
    if name.startswith("model.layers."):
        _, _, layer, rest = name.split(".", 3)
        return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}[name]


def start(file, config):
    writer = gguf.GGUFWriter(file, "llama", use_temp_file=False)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    return writer


def converted(directory, file):
    """Every tensor in bf16, but norms in f32."""
    writer = start(file, json.loads((directory / "config.json").read_text()))
    writer.add_tokenizer_model("no_vocab")
    bytes_ = numpy.memmap(directory / "model.safetensors", mode="r")
    length = int.from_bytes(bytes_[:8].tobytes(), "little")
    header = json.loads(bytes_[8:8 + length].tobytes())
    for name, entry in header.items():
        begin, end = (8 + length + at for at in entry["data_offsets"])
        values = bytes_[begin:end].view(numpy.uint16).reshape(entry["shape"])
        if len(entry["shape"]) == 1:
            wide = (values.astype(numpy.uint32) << 16).view(numpy.float32)
            writer.add_tensor(renamed(name), wide)
        else:
            writer.add_tensor(renamed(name), values.view(numpy.uint8).reshape(entry["shape"][0], -1),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def copy_vocabulary(writer, file):
    keys = gguf.GGUFReader(file)
    field = lambda name: keys.get_field(f"tokenizer.ggml.{name}").contents()
    writer.add_tokenizer_model(field("model"))
    writer.add_tokenizer_pre(field("pre"))
    writer.add_token_list(field("tokens"))
    writer.add_token_types(field("token_type"))
    writer.add_token_merges(field("merges"))
    writer.add_bos_token_id(field("bos_token_id"))
    writer.add_eos_token_id(field("eos_token_id"))


def blocks(shape, kind, seed):
    """Random bits under scales that keep activations finite."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    row = shape[1] // weights * size
    bits = numpy.random.Generator(numpy.random.PCG64(seed)).bytes(shape[0] * row)
    found = numpy.frombuffer(bytearray(bits), numpy.uint8).reshape(shape[0], row)
    at = SCALES[kind]
    found.reshape(-1, size)[:, at:at + 2] = numpy.array([0.002 if at == 0 else 0.00002], numpy.float16).view(numpy.uint8)
    return found


def random_weights(name, vocabulary, file):
    shape = make_model.SHAPES[name]
    writer = start(file, make_model.config(shape))
    copy_vocabulary(writer, vocabulary)
    listed = []
    for tensor, size in make_model.tensors(shape):
        kind = gguf.GGMLQuantizationType.Q6_K if tensor == "lm_head.weight" else gguf.GGMLQuantizationType.Q4_0
        if len(size) == 1:
            writer.add_tensor_info(renamed(tensor), size, numpy.dtype(numpy.float32), size[0] * 4)
            listed.append((size, None))
            continue
        weights, block = gguf.GGML_QUANT_SIZES[kind]
        row = size[1] // weights * block
        writer.add_tensor_info(renamed(tensor), (size[0], row), numpy.dtype(numpy.uint8), size[0] * row, raw_dtype=kind)
        listed.append((size, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    # One after another: all of them are more than the memory that is free beside a measurement.
    for seed, (size, kind) in enumerate(listed):
        writer.write_tensor_data(numpy.ones(size, numpy.float32) if kind is None else blocks(size, kind, seed))
    writer.close()


def main():
    if sys.argv[1] == "--random":
        random_weights(*sys.argv[2:5])
    else:
        converted(pathlib.Path(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    main()
