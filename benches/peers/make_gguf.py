"""Writes a checkpoint of make_model.py as a GGUF file in bf16, without a vocabulary: llama-bench needs none.

Usage: make_gguf.py MODEL_DIRECTORY FILE. Needs gguf and numpy. Rows of q and k are permuted as llama.cpp has them,
which changes nothing that is measured and is left out: the weights are random.
"""

import json
import pathlib
import sys

import gguf
import numpy

NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def renamed(name):
    if name.startswith("model.layers."):
        _, _, layer, rest = name.split(".", 3)
        return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}[name]


def main():
    directory, file = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = json.loads((directory / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "llama")
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
    writer.add_tokenizer_model("no_vocab")
    bytes_ = numpy.memmap(directory / "model.safetensors", mode="r")
    length = int.from_bytes(bytes_[:8].tobytes(), "little")
    header = json.loads(bytes_[8:8 + length].tobytes())
    for name, entry in header.items():
        start, end = (8 + length + at for at in entry["data_offsets"])
        values = bytes_[start:end].view(numpy.uint16).reshape(entry["shape"])
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


if __name__ == "__main__":
    main()
