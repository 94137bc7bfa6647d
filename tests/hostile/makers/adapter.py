"""PEFT's directory: `adapter_config.json` and `adapter_model.safetensors`."""

import json
import struct

from .safetensors import NAN, build, floats

PLAIN = {
    "peft_type": "LORA", "r": 1, "lora_alpha": 2, "lora_dropout": 0.0, "bias": "none",
    "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
}
BASE = "base_model.model.model.layers.0.self_attn."
SHAPES = {
    "q_proj.lora_A": [1, 4], "q_proj.lora_B": [4, 1],
    "v_proj.lora_A": [1, 4], "v_proj.lora_B": [2, 1],
}


def weights():
    return {f"{BASE}{name}.weight": floats(shape) for name, shape in SHAPES.items()}


def configs():
    def with_(**more):
        return json.dumps({**PLAIN, **more}).encode()

    def without(key):
        return json.dumps({name: it for name, it in PLAIN.items() if name != key}).encode()

    def pattern(which, name, value=2):
        return with_(**{which: {name: value}})

    yield "empty", b"", "EOF while parsing a value at line 1 column 0"
    yield "no_json", b"PK\x03\x04", "expected value at line 1 column 1"
    yield "no_utf8", b'{"peft_type": "LOR\xff"}', "byte 18 is not UTF-8"
    yield "list", b"[]", "at line 1 column"
    for key in ["peft_type", "r", "lora_alpha", "target_modules"]:
        yield f"without_{key}", without(key), f"missing field `{key}`"
    yield "key_twice", b'{"r": 1, "r": 2}', "duplicate field `r`"
    deep = json.dumps(PLAIN).encode()[:-1] + b', "loftq_config": ' + b"[" * 200 + b"]" * 200 + b"}"
    yield "deep", deep, "recursion limit exceeded at line 1 column"
    yield "ia3", with_(peft_type="IA3"), 'peft_type is "IA3", expected "LORA"'
    for key, value in [
        ("use_dora", True), ("bias", "all"), ("lora_bias", True), ("fan_in_fan_out", True),
        ("modules_to_save", ["lm_head"]), ("layers_to_transform", [0]), ("exclude_modules", "x"),
        ("use_qalora", True), ("alora_invocation_tokens", [1]),
        ("layer_replication", [[0, 1]]), ("trainable_token_indices", [1]),
        ("target_parameters", ["x"]), ("megatron_config", {"a": 1}),
    ]:
        yield f"set_{key}", with_(**{key: value}), f"{key} is set, which is not supported"
    yield "key_unknown", with_(use_rotation=True), 'unknown key "use_rotation"'
    yield "start_pissa", with_(init_lora_weights="pissa"), 'init_lora_weights is "pissa", which changes the base'
    yield "rank_0", with_(r=0), "rank is 0, expected 1 to 1024"
    yield "rank_negative", with_(r=-1), "invalid value: integer `-1`"
    yield "rank_2_60", with_(r=1 << 60), "rank is 1152921504606846976, expected 1 to 1024"
    yield "rank_fraction", with_(r=1.5), "invalid type: floating point `1.5`"
    yield "rank_of_another", with_(r=2), "has shape [1, 4], expected [2, 4]"
    yield "alpha_nan", json.dumps({**PLAIN, "lora_alpha": NAN}).encode(), "expected value at line 1 column"
    yield "alpha_1e400", json.dumps(PLAIN).replace('"lora_alpha": 2', '"lora_alpha": 1e400').encode(), "number out of range at line 1 column"
    yield "dropout_2", with_(lora_dropout=2.0), "lora_dropout is 2"
    yield "targets_none", with_(target_modules=[]), "no target module"
    yield "targets_number", with_(target_modules=7), "target_modules is neither a name nor a list of names at line 1 column 103"
    yield "target_unknown", with_(target_modules=["q_proj", "lm_head"]), 'target module "lm_head" is not one of'
    yield "target_bomb", with_(target_modules="(a+)+" * 20 + "$"), 'target module "(a+)+'
    yield "target_control", with_(target_modules=["q_proj\x1b[2J\n"]), 'target module "q_proj\\u{1b}[2J'
    for which in ["rank_pattern", "alpha_pattern"]:
        yield f"{which}_bomb", pattern(which, "^(([a-z])+.)+[A-Z]([a-z])+$"), 'pattern "^(([a-z])+.)+'
        yield f"{which}_stranger", pattern(which, "k_proj"), 'pattern "k_proj" is no target module'
        yield f"{which}_text", pattern(which, "q_proj", "2"), 'invalid type: string "2"'
    yield "rank_pattern_0", pattern("rank_pattern", "q_proj", 0), "rank is 0, expected 1 to 1024"
    yield "rank_pattern_2_40", pattern("rank_pattern", "q_proj", 1 << 40), "rank is 1099511627776"
    many = {f"model.layers.{layer}.self_attn.q_proj": 0 for layer in range(20)}
    yield "rank_pattern_many", with_(rank_pattern=many), "rank is 0, expected 1 to 1024"


def tensors():
    def with_(name, tensor):
        tensors = {**weights(), f"{BASE}{name}.weight": tensor}
        return build({name: it for name, it in tensors.items() if it is not None})

    a, b = f"tensor {BASE}q_proj.lora_A.weight: ", f"tensor {BASE}v_proj.lora_B.weight: "
    yield "factor_missing", with_("v_proj.lora_B", None), b + "is missing"
    yield "factor_extra", with_("k_proj.lora_A", floats([1, 4])), "k_proj.lora_A.weight: belongs to no module"
    yield "factor_of_another_layer", build({**weights(), "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": floats([1, 4])}), "layers.9.mlp.up_proj.lora_A.weight: belongs to no module"
    yield "factor_turned", with_("q_proj.lora_A", floats([4, 1])), a + "has shape [4, 1], expected [1, 4]"
    yield "factor_flat", with_("q_proj.lora_A", floats([4])), a + "has shape [4], expected [1, 4]"
    yield "factor_empty", with_("q_proj.lora_A", floats([0, 4])), a + "has shape [0, 4], expected [1, 4]"
    yield "factor_bytes", with_("q_proj.lora_A", ("U8", [1, 4], bytes(4))), a + "is U8"
    data = struct.pack("<4f", 0.5, 0.5, NAN, 0.5)
    yield "factor_nan", with_("q_proj.lora_A", ("F32", [1, 4], data)), a + "element 2 is NaN"
    yield "magnitudes", with_("q_proj.lora_magnitude_vector", floats([4])), "lora_magnitude_vector.weight: belongs to no module"
    yield "cut", build(weights())[:-1], "adapter_model.safetensors: not a whole safetensors file"


def cases():
    for name, data, says in configs():
        yield f"{name}.json", data, says
    for name, data, says in tensors():
        yield f"{name}.safetensors", data, says


def whole():
    yield "adapter_config.json", json.dumps(PLAIN).encode()
    yield "adapter_model.safetensors", build(weights())
