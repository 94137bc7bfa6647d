"""GGUF: a Llama of one block, and everything that can be wrong with it."""

import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
NAN, INF = float("nan"), float("inf")


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def u32(value):
    return U32, struct.pack("<I", value)


def i32(value):
    return I32, struct.pack("<i", value)


def u64(value):
    return U64, struct.pack("<Q", value)


def f32(value):
    return F32, struct.pack("<f", value)


def string(value):
    return TEXT, text(value)


def array(kind, items, count=None):
    count = len(items) if count is None else count
    return ARRAY, struct.pack("<IQ", kind, count) + b"".join(items)


def texts(values):
    return array(TEXT, [text(value) for value in values])


def numbers(kind, letter, values):
    return array(kind, [struct.pack("<" + letter, value) for value in values])


KEYS = {
    "general.architecture": string("llama"),
    "llama.block_count": u32(1),
    "llama.context_length": u32(64),
    "llama.embedding_length": u32(4),
    "llama.feed_forward_length": u32(4),
    "llama.attention.head_count": u32(2),
    "llama.attention.head_count_kv": u32(1),
    "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
}


def floats(count, value=0.5):
    return struct.pack("<f", value) * count


# Name: sizes, the fastest first; type; data. Offsets are given when the file is put together.
EMBEDDING = {"token_embd.weight": ([4, 2], 0, floats(8))}
TENSORS = {
    **EMBEDDING,
    "output_norm.weight": ([4], 0, floats(4)),
    "blk.0.attn_norm.weight": ([4], 0, floats(4)),
    "blk.0.attn_q.weight": ([4, 4], 0, floats(16)),
    "blk.0.attn_k.weight": ([4, 2], 0, floats(8)),
    "blk.0.attn_v.weight": ([4, 2], 0, floats(8)),
    "blk.0.attn_output.weight": ([4, 4], 0, floats(16)),
    "blk.0.ffn_norm.weight": ([4], 0, floats(4)),
    "blk.0.ffn_gate.weight": ([4, 4], 0, floats(16)),
    "blk.0.ffn_up.weight": ([4, 4], 0, floats(16)),
    "blk.0.ffn_down.weight": ([4, 4], 0, floats(16)),
}


def pad(data, alignment=32):
    return data + bytes(-len(data) % alignment)


def build(keys=None, tensors=None, magic=b"GGUF", version=3, counts=None, offsets=None):
    """A file. `keys` and `tensors` are dicts or lists of pairs; the rest is said otherwise on purpose."""
    keys = list((KEYS if keys is None else keys).items() if not isinstance(keys, list) else keys)
    tensors = EMBEDDING if tensors is None else tensors
    tensors = list(tensors.items() if isinstance(tensors, dict) else tensors)
    counts = counts or (len(tensors), len(keys))
    head = magic + struct.pack("<IQQ", version, *counts)
    for name, (kind, value) in keys:
        head += text(name) + struct.pack("<I", kind) + value
    data = b""
    for name, (sizes, kind, values) in tensors:
        offset = (offsets or {}).get(name, len(data))
        head += text(name) + struct.pack("<I", len(sizes))
        head += b"".join(struct.pack("<Q", size) for size in sizes)
        head += struct.pack("<IQ", kind, offset)
        data += pad(values)
    return pad(head) + data


def structure():
    """What is wrong before any key is looked at."""
    one = {"general.architecture": string("llama")}
    head = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
    yield "empty", b"", "at byte 0: the file ends in the magic number"
    yield "wrong_magic", build(one, {}, magic=b"GGML"), "at byte 0: it does not begin with GGUF"
    yield "safetensors", b'\x02\0\0\0\0\0\0\0{}', "at byte 0: it does not begin with GGUF"
    yield "version_1", build(one, {}, version=1), "at byte 4: this version (1) is not read"
    yield "version_4", build(one, {}, version=4), "at byte 4: this version (4) is not read"
    yield "big_endian", build(one, {}, version=3 << 24), "at byte 4: a big-endian version"
    yield "cut_in_counts", head[:14], "at byte 8: the file ends in the count of tensors"
    for name, counts, says in [
        ("tensors_2_63", (1 << 63, 1), "at byte 8: it announces 9223372036854775808 tensors"),
        ("keys_2_63", (0, 1 << 63), "at byte 16: it announces 9223372036854775808 keys"),
        ("keys_5000", (0, 5000), "at byte 16: it announces 5000 keys, expected at most 4096"),
        ("tensors_beyond_end", (4000, 1), "the file ends in the name of a tensor"),
        ("keys_beyond_end", (0, 4096), "the file ends in the name of a key"),
    ]:
        yield name, build(one, {}, counts=counts)[:70], says
    for name, length in [("2_62", 1 << 62), ("2_64", (1 << 64) - 1), ("short", 40)]:
        body = head + struct.pack("<Q", length) + b"general"
        yield f"key_name_length_{name}", body, "the file ends in the name of a key"


def values():
    """Keys whose bytes are not what their types say."""
    def key(name, value):
        return build({name: value}, {})

    yield "key_name_empty", key("", u32(1)), "at byte 24: the name of a key has 0 bytes"
    yield "key_name_long", key("k" * 1025, u32(1)), "at byte 24: the name of a key has 1025 bytes"
    yield "key_name_control", key("a\x1b[2Jb", u32(1)), "at byte 24: the name of a key has 6 bytes or a control"
    yield "key_name_no_utf8", key(b"a\xff\xfe", u32(1)), "at byte 32: the name of a key is not UTF-8"
    at = 24 + 8 + 1
    where = f"at byte {at}: "
    yield "value_type_13", key("k", (13, b"\0" * 8)), where + "k has a value of type 13"
    yield "value_type_2_32", key("k", ((1 << 32) - 1, b"")), where + "k has a value of type 4294967295"
    yield "value_cut", build({"k": (U64, b"")}, {})[: at + 6], "the file ends in a value"
    yield "bool_2", key("k", (BOOL, b"\2")), where + "k is 2, expected 0 or 1"
    yield "u64_beyond_i64", key("k", u64((1 << 64) - 1)), where + "k is 18446744073709551615"
    yield "text_beyond_end", key("k", (TEXT, struct.pack("<Q", 1 << 40))), "the file ends in a text"
    inner = f"at byte {at + 4}: "
    yield "list_of_lists", key("k", array(ARRAY, [])), inner + "k is a list of type 9"
    yield "list_of_type_77", key("k", array(77, [])), inner + "k is a list of type 77"
    yield "list_2_61", key("k", array(U64, [], count=1 << 61)), "the file ends in a list"
    yield "list_2_40", key("k", array(U8, [], count=1 << 40)), "the file ends in a list"
    yield "texts_2_63", key("k", array(TEXT, [], count=1 << 63)), "the file ends in a text of a list"
    twice = [("k", u32(1)), ("k", u32(2))]
    yield "key_twice", build(twice, {}), "at byte 41: the key k is there twice"


def tensors():
    """Tensors that are not where or what they are said to be."""
    keys = {"general.architecture": string("llama")}
    at = len(build(keys, {}, counts=(1, 1)).rstrip(b"\0"))
    where = f"at byte {at}: "

    def one(sizes=(4, 2), kind=0, data=floats(8), name="token_embd.weight", **more):
        return build(keys, {name: (list(sizes), kind, data)}, **more)

    name = "token_embd.weight"
    yield "offset_overflow", one(offsets={name: (1 << 64) - 32}), where + "tensor token_embd.weight"
    yield "offset_misaligned", one(offsets={name: 8}), where + "tensor token_embd.weight"
    yield "offset_beyond_end", one(offsets={name: 1 << 30}), where + "tensor token_embd.weight"
    yield "ends_behind_the_file", one()[:-8], where + "tensor token_embd.weight"
    yield "no_data", one(data=b""), where + "tensor token_embd.weight"
    yield "dimensions_5", one((1, 1, 1, 1, 1)), where + "token_embd.weight has 5 dimensions, expected 1 to 4"
    yield "dimensions_0", one(()), where + "token_embd.weight has 0 dimensions"
    yield "size_0", one((4, 0)), where + "token_embd.weight has an impossible size"
    yield "sizes_overflow", one((1 << 33, 1 << 33)), where + "tensor token_embd.weight"
    yield "sizes_overflow_to_0", one((1 << 32, 1 << 32)), where + "tensor token_embd.weight"
    yield "no_whole_blocks_of_q5_0", one((4, 2), 6), where + "tensor token_embd.weight: [2, 4] of Q5_0"
    yield "no_whole_blocks", one((4, 2), 2), where + "tensor token_embd.weight: [2, 4] of Q4_0"
    yield "type_q3_k", one((256, 1), 11), where + "tensor token_embd.weight is Q3_K"
    yield "type_iq4_nl", one((32, 1), 20), where + "tensor token_embd.weight is IQ4_NL"
    yield "tensor_name_control", one(name="a\nb\x1b[31m"), where + "the name of a tensor has 8 bytes or a control"
    yield "tensor_name_empty", one(name=""), where + "the name of a tensor has 0 bytes"
    twice = [(name, ([1], 0, floats(1)))] * 2
    yield "tensor_twice", build(keys, twice), "the tensor token_embd.weight is there twice"
    for alignment in [0, 3, 1 << 20]:
        aligned = {**keys, "general.alignment": u32(alignment)}
        says = f"general.alignment is {alignment}, expected a multiple of 8"
        yield f"alignment_{alignment}", build(aligned), says


def llamas():
    """Headers that are whole and describe no Llama that can be run."""
    def with_(more, tensors=None):
        return build({**KEYS, **more}, tensors)

    def without(key):
        return build({name: value for name, value in KEYS.items() if name != key})

    yield "architecture_gpt2", with_({"general.architecture": string("gpt2")}), 'key general.architecture: is "gpt2"'
    yield "adapter", with_({"general.type": string("adapter")}), 'key general.type: is "adapter": a LoRA'
    yield "part_of_several", with_({"split.count": (U16, struct.pack("<H", 3))}), "key split.count: is 3"
    yield "architecture_number", with_({"general.architecture": u32(7)}), "key general.architecture: is not a text"
    yield "architecture_missing", without("general.architecture"), "key general.architecture: is missing"
    for key in ["block_count", "attention.head_count", "attention.layer_norm_rms_epsilon"]:
        yield f"{key.split('.')[-1]}_missing", without(f"llama.{key}"), f"key llama.{key}: is missing"
    for name, key, value, says in [
        ("head_count_0", "attention.head_count", u32(0), "num_attention_heads is 0"),
        ("head_count_negative", "attention.head_count", i32(-1), "key llama.attention.head_count: is not a number"),
        ("head_count_list", "attention.head_count", numbers(U32, "I", [2, 2]), "key llama.attention.head_count: is not a number"),
        ("head_count_kv_3", "attention.head_count_kv", u32(3), "num_attention_heads 2 over num_key_value_heads 3"),
        ("value_length_other", "attention.value_length", u32(8), "key llama.attention.value_length: is 8"),
        ("block_count_2_40", "block_count", u64(1 << 40), "num_hidden_layers is 1099511627776"),
        ("experts", "expert_count", u32(8), "key llama.expert_count: is 8, expected a dense Llama"),
        ("sliding_window", "attention.sliding_window", u32(4096), "key llama.attention.sliding_window: is 4096"),
        ("logit_scale", "logit_scale", f32(0.25), "key llama.logit_scale: is 0.25"),
        ("epsilon_nan", "attention.layer_norm_rms_epsilon", f32(NAN), "rms_norm_eps NaN"),
        ("theta_infinite", "rope.freq_base", f32(INF), "rope_theta inf"),
    ]:
        yield name, with_({f"llama.{key}": value}), says
    yarn = {"llama.rope.scaling.type": string("yarn"), "llama.rope.scaling.factor": f32(4.0)}
    yield "rope_yarn", with_(yarn), 'key llama.rope.scaling.type: is "yarn" by 4'
    for name, sizes, factors in [
        ("other_than_llama3", [1], [3.5]), ("nan", [1], [NAN]), ("0", [1], [0.0]),
        ("of_another_head", [7], [1.0] * 7),
    ]:
        data = struct.pack(f"<{len(factors)}f", *factors)
        nonsense = {**EMBEDDING, "rope_freqs.weight": (sizes, 0, data)}
        yield f"rope_freqs_{name}", with_({}, nonsense), "key rope_freqs.weight: "
    flat = {"token_embd.weight": ([8], 0, floats(8))}
    yield "embedding_flat", build(KEYS, flat), "token_embd.weight"
    yield "bos_beyond", with_({"tokenizer.ggml.bos_token_id": u32(8)}), "token id 8 is outside"
    yield "eos_2_40", with_({"tokenizer.ggml.eos_token_id": u64(1 << 40)}), "key tokenizer.ggml.eos_token_id: is no token's id"


def weights():
    """Llamas whose weights are not what the header promises."""
    def with_(more):
        return build(KEYS, {**TENSORS, **more})

    # What is read before the queries: where these are refused, nothing else is missed.
    before = {name: TENSORS[name] for name in ["token_embd.weight", "blk.0.attn_norm.weight"]}
    yield "tensor_missing", build(KEYS, before), "tensor model.layers.0.self_attn.q_proj.weight: is missing"
    yield "block_missing", build({**KEYS, "llama.block_count": u32(2)}, TENSORS), "tensor model.layers.1."
    shape = {"blk.0.attn_q.weight": ([4, 2], 0, floats(8))}
    says = "tensor model.layers.0.self_attn.q_proj.weight: has shape [2, 4], expected [4, 4]"
    yield "shape_of_another", build(KEYS, {**before, **shape}), says
    bias = {"blk.0.attn_q.bias": ([4], 0, floats(4))}
    yield "bias", with_(bias), "tensor blk.0.attn_q.bias: belongs to nothing"
    nan = {"blk.0.ffn_up.weight": ([4, 4], 0, floats(9) + floats(1, NAN) + floats(6))}
    yield "weight_nan", with_(nan), "tensor model.layers.0.mlp.up_proj.weight: element 9 is NaN"
    infinite = {"output_norm.weight": ([4], 0, floats(3) + floats(1, INF))}
    yield "norm_infinite", with_(infinite), "tensor model.norm.weight: element 3 is inf"
    alias = {"model.norm.weight": ([4], 0, floats(4, 2.0))}
    yield "two_names", build(KEYS, {**before, "output_norm.weight": TENSORS["output_norm.weight"], **alias}), "tensor model.norm.weight: "


def tokenizers():
    """Whole Llamas with the keys of a tokenizer."""
    tokens = ["<s>", "</s>", "a", "b", "ab"]
    keys = {
        "model": string("gpt2"),
        "pre": string("llama-bpe"),
        "tokens": texts(tokens),
        "token_type": numbers(I32, "i", [3, 3, 1, 1, 1]),
        "merges": texts(["a b"]),
        "bos_token_id": u32(0),
        "eos_token_id": u32(1),
    }

    def with_(**more):
        own = {f"tokenizer.ggml.{name}": value for name, value in {**keys, **more}.items()}
        return build({**KEYS, **own})

    kinds = [3, 3, 1, 1, 1]
    # Each of these can be made of all shorter ones, so their merges would be many times the file.
    run = ["a" * length for length in range(1, 57)]
    bomb = {
        "model": string("llama"), "tokens": texts(["<s>", "</s>", *run]), "merges": texts([]),
        "token_type": numbers(I32, "i", [3, 3] + [1] * 56), "scores": numbers(F32, "f", [0.0] * 58),
    }
    for name, more, says in [
        ("model_bert", {"model": string("bert")}, 'its model is "bert"'),
        ("tokens_numbers", {"tokens": numbers(I32, "i", [1, 2])}, "key tokenizer.ggml.tokens: is not a list of texts"),
        ("tokens_shorter", {"tokens": texts(tokens[:3])}, "token_type has 5 values, there are 3 tokens"),
        ("tokens_twice", {"tokens": texts(tokens[:4] + ["a"])}, 'token 4 is "a", as is token 2'),
        ("token_empty", {"tokens": texts(tokens[:4] + [""])}, "token 4 has 0 bytes"),
        ("token_long", {"tokens": texts(tokens[:4] + ["a" * 1025])}, "token 4 has 1025 bytes"),
        ("types_shorter", {"token_type": numbers(I32, "i", kinds[:2])}, "token_type has 2 values, there are 5"),
        ("type_9", {"token_type": numbers(I32, "i", kinds[:4] + [9])}, "token 4 has the type 9"),
        ("scores_nan", {"scores": numbers(F32, "f", [0.0, 0.0, 0.0, NAN, 0.0])}, "the score of token 3 is no number"),
        ("bos_no_mark", {"token_type": numbers(I32, "i", [1, 3, 1, 1, 1])}, 'bos_token_id is 0, which is "<s>" and no mark'),
        ("eos_behind_tokens", {"tokens": texts(["<s>"]), "token_type": numbers(I32, "i", [3])}, "eos_token_id is 1, there are 1 tokens"),
        ("merge_unknown", {"merges": texts(["a c"])}, 'merge 0 is "a c", expected two tokens'),
        ("bytes_missing", {}, "no token stands for the byte 0x00"),
        ("sentence_piece_without_scores", {"model": string("llama"), "merges": texts([])}, "neither merges nor scores"),
        ("merges_bomb", bomb, "its tokens can be made of each other in too many ways"),
        ("add_bos_number", {"add_bos_token": u32(1)}, "key tokenizer.ggml.add_bos_token: is not true or false"),
    ]:
        yield f"tokenizer_{name}", with_(**more), says


def cases():
    for group in [structure, values, tensors, llamas, weights, tokenizers]:
        for name, data, says in group():
            yield f"{name}.gguf", data, says


def whole():
    yield "llama.gguf", build(KEYS, TENSORS)
