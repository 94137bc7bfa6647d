"""`config.json` of Llamas that are none, or that nothing can run."""

import json

PLAIN = {
    "model_type": "llama", "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2, "vocab_size": 2,
    "rms_norm_eps": 1e-5, "max_position_embeddings": 64, "tie_word_embeddings": True,
}
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def others():
    for kind in ["gpt2", "mistral", "qwen2", "mixtral", ""]:
        yield f"model_type_{kind or 'empty'}", {"model_type": kind}, f'model_type is "{kind}", expected "llama"'
    yield "attention_bias", {"attention_bias": True}, "attention_bias or mlp_bias is set"
    yield "gelu", {"hidden_act": "gelu"}, 'hidden_act is "gelu"'
    yield "sliding_window", {"sliding_window": 4096}, 'unknown key "sliding_window"'
    yield "experts", {"num_local_experts": 8}, 'unknown key "num_local_experts"'
    yield "partial_rotary", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"
    yield "encoder", {"is_encoder_decoder": True}, "is_encoder_decoder is true, expected false"
    yield "pretraining_tp", {"pretraining_tp": 2}, "pretraining_tp is 2, expected 1"
    yield "key_control", {"a\x1b[2J\n": 1}, 'unknown key "a\\u{1b}[2J\\n"'
    yield "remote_code", {"auto_map": {"AutoModel": "x.Model"}}, 'unknown key "auto_map"'


def sizes():
    for key in ["hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size",
                "max_position_embeddings", "head_dim", "num_key_value_heads"]:
        yield f"{key}_0", {key: 0}, f"{key} is 0, expected 1 to "
        yield f"{key}_2_62", {key: 1 << 62}, f"{key} is {1 << 62}, expected 1 to "
    yield "num_attention_heads_0", {"num_attention_heads": 0}, "num_attention_heads is 0"
    yield "hidden_size_negative", {"hidden_size": -4}, "invalid value: integer `-4`"
    yield "hidden_size_fraction", {"hidden_size": 4.5}, "invalid type: floating point `4.5`"
    yield "hidden_size_text", {"hidden_size": "4"}, 'invalid type: string "4"'
    yield "hidden_size_2_64", {"hidden_size": 1 << 64}, "at line 1 column"
    yield "head_dim_odd", {"head_dim": 3}, "head_dim is 3, expected an even number"
    yield "heads_over_3", {"num_key_value_heads": 3}, "num_attention_heads 2 over num_key_value_heads 3"
    most = {"hidden_size": 1 << 16, "intermediate_size": 1 << 18, "num_hidden_layers": 1 << 10, "vocab_size": 1 << 22}
    yield "all_sizes_largest", most, "model.safetensors: tensor model.embed_tokens.weight: has shape [2, 4]"
    yield "layers_1024", {"num_hidden_layers": 1024}, "tensor model.layers.1."
    yield "epsilon_0", {"rms_norm_eps": 0.0}, "rms_norm_eps 0"
    yield "bos_beyond", {"bos_token_id": 8}, "token id 8 is outside of the vocabulary of 2"
    yield "eos_beyond", {"eos_token_id": [1, 4294967295]}, "token id 4294967295 is outside"
    yield "eos_2_32", {"eos_token_id": 1 << 32}, "eos_token_id is neither a token's id nor a list of such"


def ropes():
    def scaling(**more):
        return {"rope_scaling": {**LLAMA3, **more}}

    yield "rope_theta_0", {"rope_theta": 0.0}, "rope_theta 0 is out of range"
    yield "rope_theta_twice", {"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, "rope_theta is 10000, but 500000 in rope_parameters"
    yield "rope_yarn", {"rope_scaling": {"type": "yarn", "factor": 4.0}}, 'rope_scaling type is "yarn"'
    yield "rope_linear", {"rope_scaling": {"type": "linear", "factor": 4.0}}, 'rope_scaling type is "linear"'
    yield "rope_untyped", {"rope_scaling": {"factor": 4.0}}, "rope_type is missing"
    yield "rope_types_differ", scaling(type="yarn"), 'rope_type is "llama3", but type is "yarn"'
    yield "rope_key_unknown", scaling(beta_fast=32), "unknown field `beta_fast`"
    yield "rope_factor_0", scaling(factor=0.0), "rope_scaling.factor is missing or not positive"
    yield "rope_factor_1e30", scaling(factor=1e30), "rope_scaling has factor"
    yield "rope_bands_turned", scaling(high_freq_factor=0.5), "rope_scaling.high_freq_factor must exceed"
    yield "rope_context_0", scaling(original_max_position_embeddings=0), "original_max_position_embeddings 0"


def quantizations():
    def block(**more):
        return {"quantization_config": more}

    key = "quantization_config"
    yield "quantization_gptq", block(quant_method="gptq", bits=4), f'{key}.quant_method is "gptq"'
    yield "quantization_int8", block(quant_method="bitsandbytes", load_in_8bit=True), f"{key}.load_in_8bit is set"
    yield "quantization_fp4", block(load_in_4bit=True, bnb_4bit_quant_type="fp4"), f'{key}.bnb_4bit_quant_type is "fp4"'
    yield "quantization_list", {key: [4]}, f"{key} is [4], expected an object"
    yield "quantization_unknown", block(load_in_4bit=True, bnb_4bit_quant_type="nf4", x=1), f'unknown key "x" in {key}'


def texts():
    whole = json.dumps(PLAIN).encode()
    yield "empty", b"", "EOF while parsing a value at line 1 column 0"
    yield "cut", whole[:60], "EOF while parsing"
    yield "no_utf8", b'{"model_type": "\xfe"}', "byte 16 is not UTF-8"
    yield "utf16", whole.decode().encode("utf-16"), "byte 0 is not UTF-8"
    yield "list", b"[" + whole + b"]", "at line 1 column"
    deep = whole[:-1] + b', "id2label": ' + b"[" * 200 + b"]" * 200 + b"}"
    yield "deep", deep, "recursion limit exceeded at line 1 column"
    yield "key_twice", b'{"hidden_size": 4, "hidden_size": 8}', "duplicate field `hidden_size`"
    yield "trailing", whole + b"}", "trailing characters"
    unread = whole[:-1] + b', "use_cache": true, "use_cache": false, "sliding_window": null, "sliding_window": 3}'
    yield "key_twice_unread", unread, 'unknown key "sliding_window"'


def cases():
    for group in [others, sizes, ropes, quantizations]:
        for name, more, says in group():
            yield f"{name}.json", json.dumps({**PLAIN, **more}).encode(), says
    for name, data, says in texts():
        yield f"{name}.json", data, says


def whole():
    yield "config.json", json.dumps(PLAIN).encode()
