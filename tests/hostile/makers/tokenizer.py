"""`tokenizer.json`, and the `tokenizer.model` of Llama 3."""

import base64
import json


def characters():
    """The character of each byte in byte-level vocabularies."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
FEW = {"a": 0, "b": 1, "ab": 2}
BYTES = {**{it: byte for byte, it in enumerate(characters())}, "ab": 256}


def mark(token, name, **more):
    return {"id": token, "content": name, "special": True, **more}


def marks(first):
    return [mark(first, "<|begin_of_text|>"), mark(first + 1, "<|end_of_text|>")]


def file(vocab, added=None, model=None, **more):
    model = {"type": "BPE", "vocab": vocab, "merges": ["a b"], **(model or {})}
    # Where bytes are missing nothing but the kind of the steps is looked at.
    step = BYTE_LEVEL if len(vocab) > 250 else {"type": "ByteLevel"}
    added = marks(len(vocab)) if added is None else added
    if len(vocab) > 250:
        flags = ["single_word", "lstrip", "rstrip", "normalized"]
        added = [{**token, **dict.fromkeys(flags, False)} for token in added]
    parts = {
        "added_tokens": added, "normalizer": None,
        "pre_tokenizer": step, "decoder": step, "model": model, **more,
    }
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()


def split(pattern, behavior="Isolated"):
    step = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}
    return {"type": "Sequence", "pretokenizers": [step, {**BYTE_LEVEL, "use_regex": False}]}


def vocabularies():
    def model(**more):
        return file(FEW, model=more)

    yield "merge_unknown", model(merges=["a c"]), 'merge 0 needs "c", which is no token'
    yield "merge_to_unknown", model(merges=[["b", "a"]]), 'merge 0 needs "ba", which is no token'
    yield "merge_one", model(merges=["ab"]), 'merge 0 is "ab", expected two tokens'
    yield "merge_three", model(merges=[["a", "b", "a"]]), "at line 1 column"
    yield "merge_control", model(merges=[["\x1b[2J\n", "b"]]), "merge 0 needs \"\\u{1b}[2J\\n\""
    yield "merges_map", model(merges={"a": "b"}), "invalid type: map"
    yield "merge_number", model(merges=[7]), "expected a merge, as two tokens"
    for name, token in [("2_32_less_1", (1 << 32) - 1), ("2_24_less_1", (1 << 24) - 1), ("gap", 60000)]:
        yield f"id_{name}", file({**FEW, "c": token}), f"a token has the id {token}, expected less than"
        yield f"added_id_{name}", file(FEW, [*marks(3), mark(token, "<x>")]), f"a token has the id {token}, expected less than"
    yield "id_2_32", file({**FEW, "c": 1 << 32}), "invalid value: integer `4294967296`"
    yield "id_negative", file({**FEW, "c": -1}), "invalid value: integer `-1`"
    yield "id_text", file({**FEW, "c": "1"}), 'invalid type: string "1"'
    yield "id_twice", file({**FEW, "c": 1}), "two tokens have the id 1"
    yield "token_twice", file(FEW).replace(b'"b":1', b'"b":1,"a":3'), 'the token "a" is there twice'
    yield "vocab_list", file(["a", "b"]), "invalid type: sequence"
    yield "vocab_none", file({}, model={"merges": []}), "no token stands for the byte 0x00"
    yield "dropout", model(dropout=0.1), "it drops merges at random (dropout)"
    yield "suffix", model(end_of_word_suffix="</w>"), "marks the parts of words with a prefix or suffix"
    yield "model_unigram", model(type="Unigram"), 'its model is "Unigram", expected "BPE"'
    yield "model_missing", b'{"version": "1.0", "added_tokens": []}', "missing field `model` at line 1 column"


def steps():
    def few(**more):
        return file(FEW, **more)

    yield "decoder_missing", few(decoder=None), 'its decoder is "none"'
    yield "decoder_wordpiece", few(decoder={"type": "WordPiece", "prefix": "##"}), 'its decoder is "WordPiece"'
    for kind, more in [
        ("Lowercase", {}), ("NFKC", {}), ("Strip", {"strip_left": True, "strip_right": True}),
        ("Prepend", {"prepend": "x"}), ("Replace", {"pattern": {"Regex": "[0-9]"}, "content": "0"}),
    ]:
        step = {"type": kind, **more}
        says = f'it changes text before it is cut (normalizer "{kind}")'
        yield f"normalizer_{kind.lower()}", few(normalizer=step), says
    inner = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}
    outer = {"type": "Sequence", "normalizers": [inner]}
    yield "normalizer_in_sequences", few(normalizer=outer), "it changes text before it is cut"
    cut = "it cuts text into words by "
    yield "words_none", few(pre_tokenizer=None), cut + "nothing"
    yield "words_whitespace", few(pre_tokenizer={"type": "Whitespace"}), cut + "Whitespace"
    yield "words_removed", few(pre_tokenizer=split(" ", "Removed")), 'Split with the behavior "Removed"'
    many = split("(a{999}){999}")
    many["pretokenizers"] = many["pretokenizers"][:1] * 12 + many["pretokenizers"][1:]
    yield "words_of_many_bombs", few(pre_tokenizer=many), "it cuts text into words in 13 steps, expected at most 8"
    spaced = {**BYTE_LEVEL, "add_prefix_space": True}
    yield "words_with_a_space", few(pre_tokenizer=spaced), "it puts a space in front of a text (add_prefix_space)"
    yield "split_no_pattern", file(BYTES, pre_tokenizer=split("(")), "not a tokenizer: "
    yield "split_too_large", file(BYTES, pre_tokenizer=split("(((a{999}){999}){999}){999}")), "not a tokenizer: "
    deep = b'{"type":"Sequence","normalizers":[' * 70
    yield "normalizer_deep", b'{"normalizer":' + deep + b"]}" * 70 + b"}", "recursion limit exceeded"


def sentence_pieces():
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]

    def few(model=None, vocab=FEW, **more):
        decoder = {"type": "Sequence", "decoders": back}
        parts = {"normalizer": replace, "pre_tokenizer": None, "decoder": decoder, **more}
        return file(vocab, model={"byte_fallback": True, **(model or {})}, **parts)

    yield "fallback_missing", few({"byte_fallback": False}), "(byte_fallback)"
    yield "whole_words", few({"ignore_merges": True}), "(ignore_merges)"
    yield "fallback_bytes_missing", few(), "no token stands for the byte 0x00"
    yield "fallback_normalizer", few(normalizer={"type": "NFKC"}), "it prepares a text by NFKC"
    yield "fallback_decoder", few(decoder={"type": "Sequence", "decoders": back[::-1]}), "its decoder is Fuse, ByteFallback, Replace"
    made = {"<0x4": 0, "1>": 1, "<0x41>": 2}
    yield "merge_to_a_byte", few({"merges": ["<0x4 1>"]}, made), 'merge 0 makes "<0x41>", which is not text'


def ranks():
    def line(token, rank):
        return base64.b64encode(token) + b" %d\n" % rank

    all_bytes = b"".join(line(bytes([byte]), byte) for byte in range(256))
    ab = line(b"a", 0) + line(b"b", 1)
    yield "base64_damaged", ab + b"Y*== 2\n", "line 3: the token of \"Y*== 2\" is not base64"
    yield "base64_bits_left", ab + b"YR== 2\n", "line 3: the token of"
    yield "token_empty", ab + b" 2\n", "line 3: the token of"
    yield "token_long", ab + line(b"a" * 1025, 2), "line 3: its token has 1025 bytes"
    yield "rank_missing", ab + b"YWI=\n", "line 3: \"YWI=\" is not a token"
    yield "rank_no_number", ab + b"YWI= x\n", "line 3: the rank of"
    yield "rank_signed", ab + b"YWI= +2\n", "line 3: the rank of"
    yield "rank_2_64", ab + b"YWI= 18446744073709551616\n", "line 3: the rank of"
    yield "rank_beyond", ab + line(b"ab", 9), "line 3: its rank is 9, expected less than the 3"
    yield "rank_twice", ab + line(b"ab", 1), "line 3: its rank 1 is that of line 2"
    yield "token_twice", ab + line(b"a", 2), "line 3: its token is that of line 1"
    yield "byte_missing", all_bytes.replace(line(b"\x80", 128), line(b"ab", 128)), "no token stands for the byte 0x80"
    yield "control", ab + b"\x1b[2J 2\n", "line 3: the token of \"\\u{1b}[2J 2\""
    yield "sentence_piece", b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", "it is a SentencePiece model, which is not read"
    yield "nul", bytes(64), "not a byte-level BPE tokenizer: expected value at line 1 column 1"
    yield "empty", b"", "not a byte-level BPE tokenizer: EOF"


def cases():
    for group in [vocabularies, steps, sentence_pieces]:
        for name, data, says in group():
            yield f"{name}.json", data, says
    yield "cut.json", file(BYTES)[:900], "EOF while parsing"
    yield "no_utf8.json", file(FEW).replace(b'"b"', b'"\xff"'), "at line 1 column"
    yield "utf16.json", file(FEW).decode().encode("utf-16"), "expected value at line 1 column 1"
    for name, data, says in ranks():
        yield f"{name}.model", data, says


def whole():
    yield "tokenizer.json", file(BYTES)
