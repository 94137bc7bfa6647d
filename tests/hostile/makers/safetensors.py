"""safetensors: files of weights, and the index of their shards."""

import json
import struct

NAN, INF = float("nan"), float("inf")

SHAPES = {
    "model.embed_tokens.weight": [2, 4],
    "model.norm.weight": [4],
    "model.layers.0.input_layernorm.weight": [4],
    "model.layers.0.post_attention_layernorm.weight": [4],
    "model.layers.0.self_attn.q_proj.weight": [4, 4],
    "model.layers.0.self_attn.k_proj.weight": [2, 4],
    "model.layers.0.self_attn.v_proj.weight": [2, 4],
    "model.layers.0.self_attn.o_proj.weight": [4, 4],
    "model.layers.0.mlp.gate_proj.weight": [4, 4],
    "model.layers.0.mlp.up_proj.weight": [4, 4],
    "model.layers.0.mlp.down_proj.weight": [4, 4],
}


def count(shape):
    total = 1
    for size in shape:
        total *= size
    return total


def floats(shape, value=0.5):
    return "F32", list(shape), struct.pack("<f", value) * count(shape)


def weights():
    """Name: type, shape, bytes."""
    return {name: floats(shape) for name, shape in SHAPES.items()}


def up_to_queries():
    """What is read before the queries: where these are refused, nothing else is missed."""
    before = ["model.embed_tokens.weight", "model.layers.0.input_layernorm.weight"]
    return {name: it for name, it in weights().items() if name in before}


def pack(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def build(tensors):
    header, data = {}, b""
    # Larger elements first, as its writer does, so that all are aligned.
    for name, (dtype, shape, values) in sorted(tensors.items(), key=lambda it: it[1][0] in ("U8", "I8")):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    return pack(header, data)


def info(start, end, dtype="F32", shape=None):
    shape = [(end - start) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def structure():
    whole = pack({"a": info(0, 8)}, bytes(8))
    not_whole = "not a whole safetensors file of "
    yield "empty", b"", not_whole + "0 bytes"
    yield "seven_bytes", whole[:7], not_whole + "7 bytes"
    yield "header_2_60", struct.pack("<Q", 1 << 60) + whole[8:], not_whole
    yield "header_2_64", struct.pack("<Q", (1 << 64) - 1) + whole[8:], not_whole
    yield "header_0", struct.pack("<Q", 0) + whole[8:], not_whole
    yield "header_beyond_end", struct.pack("<Q", 4000) + whole[8:], not_whole
    yield "header_cut", whole[:20], not_whole
    yield "header_no_json", pack(b"tensors follow"), "invalid JSON in header"
    yield "header_list", pack([1, 2]), "invalid JSON in header"
    yield "header_no_utf8", pack(b'{"a\xff": 1}'), not_whole
    yield "header_deep", pack(b'{"a":' * 150 + b"1" + b"}" * 150), not_whole
    yield "data_cut", whole[:-1], not_whole
    yield "data_longer", whole + b"\0", not_whole
    yield "offsets_overlap", pack({"a": info(0, 8), "b": info(4, 12)}, bytes(12)), not_whole
    yield "offsets_hole", pack({"a": info(0, 8), "b": info(16, 24)}, bytes(24)), not_whole
    yield "offsets_reversed", pack({"a": info(8, 0, shape=[2])}, bytes(8)), not_whole
    yield "offsets_not_from_0", pack({"a": info(8, 16)}, bytes(16)), not_whole
    yield "offsets_negative", pack({"a": info(-8, 0, shape=[2])}, bytes(8)), "invalid JSON in header"
    yield "offsets_2_64", pack({"a": info(0, 1 << 64, shape=[2])}, bytes(8)), "invalid JSON in header"
    yield "offsets_beyond_end", pack({"a": info(0, 1 << 40)}, bytes(8)), not_whole
    yield "offsets_three", pack({"a": {**info(0, 8), "data_offsets": [0, 8, 8]}}, bytes(8)), "invalid JSON in header"
    yield "dtype_unknown", pack({"a": info(0, 8, "F31")}, bytes(8)), "unknown variant `F31`"
    yield "dtype_missing", pack({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)), "missing field `dtype`"
    yield "shape_overflow", pack({"a": info(0, 8, shape=[1 << 33, 1 << 33])}, bytes(8)), not_whole
    yield "shape_other_size", pack({"a": info(0, 8, shape=[3])}, bytes(8)), not_whole
    yield "shape_negative", pack({"a": info(0, 8, shape=[-2])}, bytes(8)), "invalid JSON in header"
    yield "metadata_numbers", pack({"__metadata__": {"a": 1}, "a": info(0, 8)}, bytes(8)), "invalid JSON in header"
    entry = json.dumps(info(0, 8)).encode()
    yield "name_twice", pack(b'{"a":' + entry + b',"a":' + entry + b"}", bytes(8)), "tensor a: is there twice"


def tensors():
    def with_(name, tensor):
        return build({**up_to_queries(), name: tensor})

    def more(name, tensor):
        return build({**weights(), name: tensor})

    q = "model.layers.0.self_attn.q_proj.weight"
    yield "tensor_missing", build(up_to_queries()), f"tensor {q}: is missing"
    yield "tensor_stranger", more("model.layers.0.mlp.up_proj.bias", floats([4])), "up_proj.bias: belongs to nothing"
    yield "tensor_of_another_layer", more("model.layers.7.mlp.up_proj.weight", floats([4, 4])), "layers.7.mlp.up_proj.weight: belongs to nothing"
    yield "tensor_name_control", more("a\x1b[2J\nerror: b", floats([1])), "tensor a\\u{1b}[2J\\nerror: b: belongs to nothing"
    yield "shape_turned", with_(q, floats([16])), f"tensor {q}: has shape [16], expected [4, 4]"
    yield "shape_empty", with_(q, floats([0, 4])), f"tensor {q}: has shape [0, 4], expected [4, 4]"
    yield "dtype_i64", with_(q, ("I64", [4, 4], bytes(128))), f"tensor {q}: is I64, expected F32, BF16 or F16"
    yield "dtype_bool", with_(q, ("BOOL", [4, 4], bytes(16))), f"tensor {q}: is BOOL, expected"
    for name, value in [("nan", NAN), ("infinite", INF)]:
        data = struct.pack("<16f", *[0.5] * 11, value, *[0.5] * 4)
        says = f"tensor {q}: element 11 is {'NaN' if name == 'nan' else 'inf'}, expected a finite number"
        yield f"weight_{name}", build({**weights(), q: ("F32", [4, 4], data)}), says
    data = struct.pack("<H", 0x7C00) * 4
    yield "norm_infinite_f16", build({**weights(), "model.norm.weight": ("F16", [4], data)}), "tensor model.norm.weight: element 0 is inf"


def indices():
    def index(files):
        return json.dumps({"metadata": {}, "weight_map": {f"t{i}": name for i, name in enumerate(files)}}).encode()

    plain = 'is not a plain file name'
    yield "outside", index(["../x.safetensors"]), '"../x.safetensors" ' + plain
    yield "absolute", index(["/etc/passwd"]), '"/etc/passwd" ' + plain
    yield "hidden", index([".x"]), '".x" ' + plain
    yield "nameless", index([""]), '"" ' + plain
    yield "control", index(["a\x1b[2J/b"]), plain
    yield "absent_shard", index(["model-00009.safetensors"]), "model/model-00009.safetensors: there is no such file"
    yield "nul", index(["a\0b"]), 'shard "a\\0b" is not a plain file name'
    yield "of_itself", index(["model.safetensors.index.json"]), "model.safetensors.index.json: not a whole safetensors file"
    yield "no_json", b"{", "model.safetensors.index.json: EOF while parsing an object at line 1 column 1"
    yield "no_map", b"{}", "missing field `weight_map`"
    yield "numbers", b'{"weight_map": {"a": 1}}', "invalid type: integer `1`, expected a string"
    yield "empty_map", b'{"weight_map": {}}', "weight_map names no shard"
    yield "no_utf8", b'{"weight_map": {"a": "\xff"}}', "byte 22 is not UTF-8"
    yield "deep", b'{"weight_map":' + b"[" * 200 + b"]" * 200 + b"}", "invalid type: sequence, expected a map"


def cases():
    for group in [structure, tensors]:
        for name, data, says in group():
            yield f"{name}.safetensors", data, says
    for name, data, says in indices():
        yield f"{name}.index.json", data, says


def whole():
    yield "model.safetensors", build(weights())
