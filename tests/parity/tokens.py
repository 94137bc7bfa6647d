"""Tokens of 5 MB of mixed text: srek's data sets against the `tokenizers` package, with three vocabularies.

That of Llama 3 comes out of an npm package, which also tokenizes it itself: a third opinion. Special tokens that stand
in a text are text for srek, always, and so they are asked to be here.
"""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

from common import GOLDENS, HERE, ROOT, compare, documents

import make_chat
from tokenizers import Tokenizer

BYTES, PIECE = 5_000_000, 4000
DATA = ROOT.parent / "shared/data"
LLAMA3 = Path(os.environ["PARITY_CACHE"]) / "llama3/package"
# White space that JavaScript's regular expressions see otherwise.
ELSEWHERE = ("\ufeff", "\x85")


def from_files(numbers):
    """Pieces of Markdown, YAML, JSON and CSV: of the project, and of the data beside it where there is some."""
    paths = [path for folder in (ROOT / "datasets", ROOT / "docs", ROOT / "crates", DATA) if folder.exists()
             for path in sorted(folder.rglob("*")) if path.suffix in (".md", ".yaml", ".json", ".csv", ".rs", ".txt")]
    numbers.shuffle(paths)
    for path in paths:
        text = path.read_bytes()[:60_000].decode(errors="ignore")
        for start in range(0, len(text), PIECE):
            yield text[start:start + PIECE]


def log_line(numbers):
    """A line of a log, of JSON, YAML, a stack trace or Markdown, with words and numbers by chance."""
    word = lambda: "".join(numbers.choices("abcdefghijklmnopqrstuvwxyz", k=numbers.randint(2, 9)))
    upto = lambda most: numbers.randint(0, most)
    forms = (
        lambda: f"2026-{1 + upto(11):02}-{1 + upto(27):02}T{upto(23):02}:07:{numbers.random() * 60:09.6f}Z ERROR "
                f"[{word()}-{upto(16 ** 8):08x}] {word()}.{word()}: 0x{upto(16 ** 12):x}\tin {upto(99999)}ms",
        lambda: json.dumps({word(): numbers.random(), word(): [upto(10 ** 12) - 9, None, True], word(): word()}),
        lambda: f"  {word()}:\n    - {word()}: \"{word()}\"   # {word()}\n      {word()}: {upto(10 ** 6)}",
        lambda: f"10.{upto(255)}.{upto(255)}.7 - - \"GET /{word()}/{word()}?q={word()} HTTP/1.1\" {200 + upto(350)}",
        lambda: f"\tat {word()}.{word().title()}${upto(9)}({word().title()}.java:{upto(999)})\r",
        lambda: f"# {word().title()}'s {word()}: DON'T, we'LL, I'M — {word()}…  \n\n* **{word()}**\n\n\n",
    )
    return numbers.choice(forms)()


EMOJI = ("\U0001f525", "\U0001f469\u200d\U0001f692", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\U0001f44d\U0001f3fd")
WORDS = ("日本語のログ", "错误：连接超时", "서비스가 응답하지 않습니다", "Ошибка", "σφάλμα", "خطأ في الاتصال", "त्रुटि",
         "ข้อผิดพลาด", "Größenüberschreitung", "naïve", "e\u0301le\u0301ve", "ﬁle", "Ⅳ", "½", "٣٤٥", "𝟘𝟙", "ǅ", "שגיאה",
         "İstanbul", "ſ't")
SPACES = (" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u000b", "\u000c", "\x85",
          "\ufeff", "\u180e")


def mixed(numbers):
    """Emoji, many scripts, odd white space."""
    parts = []
    while sum(map(len, parts)) < PIECE // 2:
        parts += [numbers.choice(WORDS), numbers.choice(SPACES) * numbers.randint(0, 3), numbers.choice(EMOJI),
                  "".join(chr(numbers.randint(0x4e00, 0x9fff)) for _ in range(numbers.randint(0, 6))),
                  str(numbers.randrange(10 ** numbers.randint(1, 12))), numbers.choice(SPACES)]
    return "".join(parts)


def control(numbers):
    """Control characters, escapes of terminals, names of special tokens, long runs."""
    parts = []
    while sum(map(len, parts)) < PIECE // 2:
        run = numbers.choice(" \n\t=-.0aA\u00e9") * numbers.randint(1, 200)
        parts += ["".join(chr(numbers.randrange(32)) for _ in range(numbers.randint(1, 4))), "\x1b[31mred\x1b[0m",
                  numbers.choice(make_chat.SPECIALS), run, "\x7f\x00"]
    return "".join(parts)


def anything(numbers):
    """Characters drawn from all of Unicode but surrogates."""
    drawn = (numbers.choice((numbers.randrange(0x800), numbers.randrange(0x10000), numbers.randrange(0x110000)))
             for _ in range(PIECE // 2))
    return "".join(chr(it) for it in drawn if not 0xd800 <= it < 0xe000)


def pieces():
    """(name, text) up to BYTES; half out of files, half made."""
    numbers, found, size = random.Random(12), [], 0
    files = from_files(numbers)
    makers = {"logs": lambda it: "\n".join(log_line(it) for _ in range(40)), "mixed": mixed, "control": control,
              "unicode": anything}
    while size < BYTES:
        text = next(files, None)
        if text is not None and text.strip():
            found.append((f"file-{len(found)}", text))
            size += len(text.encode())
        kind = numbers.choice(list(makers))
        text = makers[kind](numbers)
        found.append((f"{kind}-{len(found)}", text))
        size += len(text.encode())
    return found


def by_node(room, texts, expression):
    """A JavaScript expression about the package's tokenizer `t` and these `texts`."""
    (room / "texts.json").write_text(json.dumps(texts))
    script = ("import t from './bundle/llama3-tokenizer-with-baked-data.js';"
              "import { readFileSync, writeFileSync } from 'fs';"
              "const texts = JSON.parse(readFileSync(process.argv[1], 'utf8'));"
              f"writeFileSync(process.argv[2], JSON.stringify({expression}))")
    subprocess.run(["node", "--input-type=module", "--eval", script, room / "texts.json", room / "found.json"],
                   cwd=LLAMA3, check=True)
    return json.loads((room / "found.json").read_text())


def llama3(room):
    """A tokenizer.json of the vocabulary in the package."""
    found = by_node(room, None, "{ vocabulary: t.vocabById, "
                    "merges: [...t.merges].sort((a, b) => a[1] - b[1]).map(it => it[0]) }")
    vocabulary, special = found["vocabulary"][:128000], found["vocabulary"][128000:]
    assert (len(special), special[0], special[1]) == (256, "<|begin_of_text|>", "<|end_of_text|>")
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": make_chat.WORDS}, "behavior": "Isolated", "invert": False}
    added = [{"id": 128000 + i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, name in enumerate(special)]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
             "vocab": {token: number for number, token in enumerate(vocabulary)}, "merges": found["merges"]}
    out = room / "llama3.json"
    out.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]}, "post_processor": None,
        "decoder": dict(level, use_regex=True), "model": model}))
    return out


def by_srek(srek, tokenizer, name):
    """The ids of every document without its marks of begin and end, by source."""
    srek.must("data", "build", "--input", "texts.jsonl", "--tokenizer", tokenizer, "--context", 1 << 20,
              "--duplicates", "keep", "--refused", "skip", "--out", name)
    return {source: ids[1:-1].tolist() for source, ids, _ in documents(srek.room / name)}


def first_difference(text, ours, theirs, tokenizer):
    """Where two lists part, for whoever looks for the reason."""
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    show = lambda ids: tokenizer.decode(ids[max(0, at - 2):at + 3], skip_special_tokens=False)
    return f"; first: {show(ours)!r} and {show(theirs)!r}".replace("`", "'")


def comparison(table, srek):
    texts = dict(pieces())
    with open(srek.room / "texts.jsonl", "w") as file:
        file.writelines(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items())
    cases = {"640 tokens (Llama 3's words)": GOLDENS / "chat/tokenizer.json",
             "sre-tiny's 4,096 tokens (GPT-2's words)": ROOT / "models/sre-tiny/tokenizer.json"}
    if shutil.which("node") and LLAMA3.exists():
        cases["Llama 3's 128,256 tokens"] = llama3(srek.room)
    else:
        table.row("Llama 3's vocabulary", "no node or npm", "", "skipped")
    for number, (name, path) in enumerate(cases.items()):
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.encode_special_tokens = True
        ours = by_srek(srek, path, f"set-{number}")
        encoded = tokenizer.encode_batch([texts[source] for source in ours], add_special_tokens=False)
        theirs = {source: it.ids for source, it in zip(ours, encoded)}
        wrong = [source for source in ours if ours[source] != theirs[source]]
        size = sum(len(texts[source].encode()) for source in ours)
        more = first_difference(texts[wrong[0]], ours[wrong[0]], theirs[wrong[0]], tokenizer) if wrong else ""
        count = sum(map(len, ours.values()))
        table.equal(f"{name}: texts tokenized alike by srek and tokenizers", len(ours) - len(wrong), len(ours),
                    f" ({size / 1e6:.2f} MB, {count} tokens){more}")
        if number == 0:
            table.row("text that srek takes; the rest looks to it like secrets", f"{size / 1e6:.2f} MB",
                      f">= {0.95 * BYTES / 1e6:g} MB", size >= 0.95 * BYTES)
        back = sum(tokenizer.decode(ids, skip_special_tokens=False) == texts[source] for source, ids in ours.items())
        table.equal(f"{name}: texts that tokenizers decodes from srek's tokens", back, len(ours))
    if "Llama 3's 128,256 tokens" in cases:
        known = [source for source in ours if not source.startswith(("unicode", "control"))
                 and not any(it in texts[source] for it in (*ELSEWHERE, *make_chat.SPECIALS))]
        node = by_node(srek.room, [texts[source] for source in known],
                       "texts.map(it => t.encode(it, { bos: false, eos: false }))")
        wrong = [(source, ids) for source, ids in zip(known, node) if ids != ours[source]]
        more = first_difference(texts[wrong[0][0]], ours[wrong[0][0]], wrong[0][1], tokenizer) if wrong else ""
        table.equal("Llama 3's 128,256 tokens: texts tokenized alike by srek and llama3-tokenizer-js",
                    len(known) - len(wrong), len(known), more)


compare("tokens", comparison)
