"""Data sets: a shard, and the description that names it."""

import hashlib
import json
import struct

NUMBERS = [
    "version", "context", "vocab_size", "documents", "tokens", "trained", "sources_bytes", "ends",
    "groups", "times", "source_ends", "ids", "labels", "sources", "file_bytes",
]
NO_TIME = -(1 << 63)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sealed(content):
    return content + sha256(content).encode()


def content(ends=(2, 5), times=(NO_TIME, 0), source_ends=(1, 2), ids=(1, 2, 3, 4, 299),
            labels=(-100, 2, -100, 4, 299), sources=b"ab", hash=bytes(64), **header):
    """A shard of two documents without its checksum; what is given is said instead, whether it fits or not."""
    documents, tokens = len(ends), len(ids)
    at = [192 + 8 * documents * section for section in range(5)] + [192 + 32 * documents + 4 * tokens]
    at.append(at[-1] + 4 * tokens)
    trained = sum(label != -100 for label in labels)
    values = [2, 8, 300, documents, tokens, trained, len(sources), *at, at[-1] + len(sources) + 64]
    values = {**dict(zip(NUMBERS, values)), **header}
    data = b"srekdata" + struct.pack("<15Q", *(values[name] for name in NUMBERS)) + hash
    data += struct.pack(f"<{documents}Q{documents}Q{documents}q", *ends, *range(documents), *times)
    data += struct.pack(f"<{documents}Q{tokens}I{tokens}i", *source_ends, *ids, *labels)
    return data + sources


WHOLE = sealed(content())


def manifest(shards=None, seal=True, **more):
    entry = {"file": "data-00000.shard", "documents": 2, "tokens": 5, "trained_tokens": 3, "sha256": sha256(WHOLE)}
    value = {
        "version": 5, "context": 8, "vocab_size": 300, "tokenizer_sha256": None,
        "template_sha256": None, "documents": 2, "tokens": 5, "trained_tokens": 3, "redacted": None,
        "unchecked_records": 0, "removed_duplicates": None, "joined_groups": [], "refused": None,
        "shards": [entry] if shards is None else [{**entry, **it} for it in shards], **more, "sha256": "",
    }
    if seal:
        value["sha256"] = sha256(json.dumps(value, separators=(",", ":")).encode())
    return json.dumps(value).encode()


def headers():
    sizes = "its sections are not where its counts put them (byte 64)"
    yield "empty", b"", "it has 0 bytes, a header alone has 192"
    yield "header_cut", WHOLE[:150], "it has 150 bytes, a header alone has 192"
    yield "magic", b"SREKDATA" + WHOLE[8:], "it does not begin as a shard does (byte 0)"
    yield "version_1", sealed(content(version=1)), "version 1, expected 2 (byte 8)"
    yield "context_2_32", sealed(content(context=1 << 32)), "the context is beyond 32 bits (byte 16)"
    yield "vocabulary_2_32", sealed(content(vocab_size=1 << 32)), "the vocabulary is beyond 32 bits (byte 24)"
    for name in ["documents", "tokens", "sources_bytes"]:
        yield f"{name}_2_64", sealed(content(**{name: (1 << 64) - 1})), "its counts are beyond 64 bits (byte 32)"
        yield f"{name}_2_40", sealed(content(**{name: 1 << 40})), sizes
    yield "documents_2_61", sealed(content(documents=1 << 61)), "its counts are beyond 64 bits (byte 32)"
    yield "sections_overlap", sealed(content(groups=192)), sizes
    yield "size_2_40", sealed(content(file_bytes=1 << 40)), sizes
    yield "cut", WHOLE[:-10], f"it has {len(WHOLE) - 10} bytes, expected {len(WHOLE)}"
    yield "longer", WHOLE + b"\0", f"it has {len(WHOLE) + 1} bytes, expected {len(WHOLE)}"
    yield "hash_no_hash", sealed(content(hash=b"G" * 64)), "its tokenizer's hash is no hash (byte 128)"
    yield "checksum", WHOLE[:260] + b"\x07" + WHOLE[261:], "it is damaged: its SHA-256 is"
    yield "checksum_control", WHOLE[:-64] + b"\x1b[2J" * 16, "it is damaged: its SHA-256 is"


def insides():
    """Shards whose checksum fits what they say."""
    for name, more, says in [
        ("id_beyond", {"ids": (1, 2, 3, 4, 300)}, "token 4 has the id 300, the vocabulary is 300"),
        ("id_2_32", {"ids": (1, 2, 3, 4, (1 << 32) - 1), "vocab_size": (1 << 32) - 1}, "token 4 has the id 4294967295"),
        ("label_beyond", {"labels": (-100, 2, -100, 4, 300)}, "token 4 has the label 300"),
        ("label_negative", {"labels": (-100, 2, -100, 4, -7)}, "token 4 has the label -7"),
        ("first_trained", {"labels": (1, 2, -100, 4, 5)}, "the first token of document 0 is trained"),
        ("ends_backwards", {"ends": (5, 2)}, "the tokens of document 1 end at 2 after 5"),
        ("ends_beyond", {"ends": (2, 1 << 60)}, "the tokens of document 1 end at 1152921504606846976"),
        ("ends_before_the_last", {"ends": (2, 4)}, "the tokens of all documents are 4, 5 are announced"),
        ("document_empty", {"ends": (0, 5)}, "the tokens of document 0 end at 0 after 0"),
        ("document_longer_than_context", {"context": 2}, "document 1 has 3 tokens of 2"),
        ("no_document", {"ends": (), "times": (), "source_ends": ()}, "the tokens of all documents are 0, 5 are announced"),
        ("source_ends_beyond", {"source_ends": (1, 3)}, "the sources of document 1 end at 3"),
        ("source_no_utf8", {"sources": b"a\xff"}, "the source of document 1 is not UTF-8"),
        ("source_half_a_character", {"sources": "é".encode()}, "the source of document 0 is not UTF-8"),
        ("time_beyond", {"times": (NO_TIME, 1 << 62)}, "the time of document 1 is 4611686018427387904 s"),
        ("trained_other", {"trained": 2}, "3 tokens are trained, 2 are announced"),
        ("of_another_set", {"ids": (1, 2, 3, 4, 298)}, "it is whole, but not the shard that dataset.json describes"),
    ]:
        yield name, sealed(content(**more)), says


def descriptions():
    says = "dataset.json: "
    yield "description_empty", b"", says + "not a data set's description: EOF"
    yield "description_list", b"[5]", says
    yield "description_version_4", manifest(version=4), says + "version 4, expected 5"
    yield "description_version_text", manifest(version="5"), says + "not a data set's description: invalid type"
    yield "description_key_unknown", manifest(extra=1), "unknown field `extra`"
    yield "description_changed", manifest(seal=False), says + "it was changed after it was written"
    yield "description_deep", b'{"version": 5, "x": ' + b"[" * 200 + b"]" * 200 + b"}", "unknown field `x`"
    yield "shards_none", manifest([]), says + "it names no shard"
    yield "shard_outside", manifest([{"file": "../x"}]), 'shard 0 is "../x", expected data-00000.shard'
    yield "shard_twice", manifest([{}, {}], documents=4, tokens=10, trained_tokens=6), 'shard 1 is "data-00000.shard"'
    yield "shard_absent", manifest([{}, {"file": "data-00001.shard"}], documents=4, tokens=10, trained_tokens=6), "cannot map set/data-00001.shard: no such file"
    most = [{"tokens": (1 << 64) - 1}, {"file": "data-00001.shard"}]
    yield "counts_overflow", manifest(most), says + "its counts are beyond 64 bits"
    yield "sums_other", manifest(tokens=6), "the shards sum to [2, 5, 3], the totals are [2, 6, 3]"
    strange = "data-00000.shard: it is whole, but not the shard"
    yield "context_other", manifest(context=9), strange
    yield "checksum_other", manifest([{"sha256": "0" * 64}]), strange


def cases():
    for group in [headers, insides]:
        for name, data, says in group():
            yield f"{name}.shard", data, says
    for name, data, says in descriptions():
        yield f"{name}.json", data, says


def whole():
    yield "data-00000.shard", WHOLE
    yield "dataset.json", manifest()
