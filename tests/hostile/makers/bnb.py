"""Bases in 4 bits as bitsandbytes writes them, in safetensors."""

import json
import struct

from .safetensors import INF, NAN, build, floats, up_to_queries as weights, weights as all_weights

Q = "model.layers.0.self_attn.q_proj.weight"
STATE = f"{Q}.quant_state.bitsandbytes__nf4"
SAYS = f"tensor {STATE}: "
LEVELS = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
]
PLAIN = {"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [4, 4]}
NESTED = {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.25}


def values(numbers):
    return "F32", [len(numbers)], struct.pack(f"<{len(numbers)}f", *numbers)


def four(double=False, state=None, others=None, **parts):
    """A Llama whose queries are in 4 bits. A part that is None is left out; `state` is JSON or bytes."""
    state = {**PLAIN, **(NESTED if double else {})} if state is None else state
    state = state if isinstance(state, bytes) else json.dumps(state).encode()
    own = {
        Q: ("U8", [8, 1], bytes(range(8))),
        f"{Q}.absmax": ("U8", [1], b"\x07") if double else floats([1]),
        f"{Q}.quant_map": values(LEVELS),
        STATE: ("U8", [len(state)], state),
    }
    if double:
        own[f"{Q}.nested_absmax"] = floats([1])
        own[f"{Q}.nested_quant_map"] = values([(it - 128) / 128 for it in range(256)])
    for name, part in parts.items():
        own[Q if name == "codes" else f"{Q}.{name}"] = part
    tensors = {**(others or weights()), **own}
    return build({name: it for name, it in tensors.items() if it is not None})


def states():
    def plain(**more):
        return four(state={**PLAIN, **more})

    def nested(**more):
        return four(True, state={**PLAIN, **NESTED, **more})

    def without(key):
        return four(state={name: it for name, it in PLAIN.items() if name != key})

    no_json = SAYS + "is not the JSON of bitsandbytes: "
    yield "state_empty", four(state=b""), no_json + "EOF"
    yield "state_no_json", four(state=b"\x80\x04pickle"), no_json
    yield "state_deep", four(state=b"[" * 200), no_json
    yield "state_cut", four(state=json.dumps(PLAIN).encode()[:-9]), no_json
    for key in ["blocksize", "shape"]:
        yield f"state_without_{key}", without(key), f"missing field `{key}`"
    yield "state_key_twice", four(state=b'{"blocksize": 64, "blocksize": 64}'), "duplicate field `blocksize`"
    yield "state_key_unknown", plain(zero_point=0), "unknown field `zero_point`"
    yield "blocksize_128", plain(blocksize=128), SAYS + "blocksize is 128, expected 64"
    yield "blocksize_0", plain(blocksize=0), SAYS + "blocksize is 0, expected 64"
    yield "blocksize_negative", plain(blocksize=-64), "invalid value: integer `-64`"
    yield "shape_other", plain(shape=[2, 8]), SAYS + "shape is [2, 8], expected [4, 4]"
    yield "shape_huge", plain(shape=[1 << 40, 1 << 40]), SAYS + "shape is [1099511627776, 1099511627776]"
    yield "shape_empty", plain(shape=[]), SAYS + "shape is [], expected [4, 4]"
    yield "dtype_int8", plain(dtype="int8"), SAYS + 'dtype is "int8"'
    yield "quant_type_fp4", plain(quant_type="fp4"), SAYS + 'quant_type is "fp4", expected "nf4"'
    yield "quant_type_control", plain(quant_type="\x1b[2J"), SAYS + "quant_type is "
    yield "nested_offset_1e300", nested(nested_offset=1e300), "expected 256, \"float32\" and a finite number"
    yield "nested_without_offset", nested(nested_offset=None), "nested_offset are Some(256), Some(\"float32\") and None"


def parts():
    absent = f"tensor {Q}.nested_absmax: is there, or its offset in"
    yield "nested_absmax_missing", four(True, nested_absmax=None), absent
    yield "nested_absmax_of_none", four(nested_absmax=floats([1])), absent
    for part in ["absmax", "quant_map"]:
        yield f"{part}_missing", four(**{part: None}), f"tensor {Q}.{part}: is missing"
    yield "nested_quant_map_missing", four(True, nested_quant_map=None), f"tensor {Q}.nested_quant_map: is missing"
    yield "codes_missing", four(codes=None), f"tensor {Q}: is missing"
    yield "codes_short", four(codes=("U8", [7, 1], bytes(7))), f"tensor {Q}: has shape [7, 1], expected [8, 1]"
    yield "codes_flat", four(codes=("U8", [8], bytes(8))), f"tensor {Q}: has shape [8], expected [8, 1]"
    yield "codes_i64", four(codes=("I64", [1, 1], bytes(8))), f"tensor {Q}: is I64, expected U8"
    yield "absmax_long", four(absmax=floats([2])), f"tensor {Q}.absmax: has shape [2], expected [1]"
    yield "absmax_floats_of_nested", four(True, absmax=floats([1])), f"tensor {Q}.absmax: is F32, expected U8"
    yield "absmax_nan", four(others=all_weights(), absmax=floats([1], NAN)), f"tensor {Q}.absmax: element 0 is NaN"
    yield "absmax_infinite", four(others=all_weights(), absmax=floats([1], INF)), f"tensor {Q}.absmax: element 0 is inf"
    yield "nested_absmax_infinite", four(True, others=all_weights(), nested_absmax=floats([1], INF)), f"tensor {Q}.nested_absmax: element 0 is inf"
    ascending = [(it - 128) / 128 for it in range(256)]
    for name, levels, says in [
        ("nan", [*ascending[:7], NAN, *ascending[8:]], "element 7 is NaN"),
        ("beyond_1", [*ascending[:255], 1.5], "is not 256 ascending levels"),
    ]:
        yield f"nested_quant_map_{name}", four(True, nested_quant_map=values(levels)), f"tensor {Q}.nested_quant_map: {says}"
    yield "quant_map_other", four(quant_map=values(LEVELS[:15] + [2.0])), f"tensor {Q}.quant_map: has other levels"
    yield "quant_map_nan", four(quant_map=values([NAN] + LEVELS[1:])), f"tensor {Q}.quant_map: element 0 is NaN"


def others():
    fp4 = json.dumps({**PLAIN, "quant_type": "fp4"}).encode()
    tensors = {**weights(), Q: ("U8", [8, 1], bytes(8)), f"{Q}.absmax": floats([1]), f"{Q}.quant_map": values(LEVELS)}
    stored = {**tensors, f"{Q}.quant_state.bitsandbytes__fp4": ("U8", [len(fp4)], fp4)}
    yield "fp4", build(stored), f"tensor {Q}: is stored as fp4, expected nf4"
    yield "codes_alone", build({**weights(), Q: ("U8", [8, 1], bytes(8))}), f"tensor {Q}: is U8, but {STATE} is missing"
    int8 = {Q: ("I8", [4, 4], bytes(16)), Q.replace("weight", "SCB"): floats([4])}
    yield "int8", build({**weights(), **int8}), f"tensor {Q}: is stored in bitsandbytes' 8 bits (int8)"
    yield "int8_without_scb", build({**weights(), Q: ("I8", [4, 4], bytes(16))}), f"tensor {Q}: is stored in bitsandbytes' 8 bits (int8)"
    eight = {Q: ("I8", [4, 4], bytes(16)), f"{Q}.scales": floats([1])}
    yield "q8_projection", build({**weights(), **eight}), f"tensor {Q}: is stored in 8 bits, expected it dense or in 4 bits"
    head = "model.embed_tokens.weight"
    codes = ("I8", [2, 4], bytes(8))
    yield "q8_scales_nan", build({**all_weights(), head: codes, f"{head}.scales": floats([1], NAN)}), f"tensor {head}.scales: element 0 is NaN"
    yield "q8_scales_short", build({**weights(), head: codes, f"{head}.scales": floats([0])}), f"tensor {head}.scales: has shape [0], expected [1]"
    table = {head: ("U8", [4, 1], bytes(4)), f"{head}.absmax": floats([1]), f"{head}.quant_map": values(LEVELS)}
    state = json.dumps({**PLAIN, "shape": [2, 4]}).encode()
    table[f"{head}.quant_state.bitsandbytes__nf4"] = ("U8", [len(state)], state)
    yield "embedding_in_4_bits", build({**weights(), **table}), f"tensor {head}: is stored in 4 bits, expected it dense"


def cases():
    for group in [states, parts, others]:
        for name, data, says in group():
            yield f"{name}.safetensors", data, says


def whole():
    yield "nf4.safetensors", four(others=all_weights())
    yield "nf4_dq.safetensors", four(True, others=all_weights())
