#!/usr/bin/env python3
"""Writes the hostile files and what `srek` has to say of each into `expected.json`.

    python3 tests/hostile/make.py [DIRECTORY]

Needs nothing but Python's own library, and gives the same bytes every time. A file of `whole/` is as it
should be: the others stand beside one of these, or differ from one in what their name says.
"""

import json
import pathlib
import shutil
import sys

from makers import adapter, bnb, config, gguf, jsonl, safetensors, shards, tokenizer

READERS = {
    "adapter": adapter, "bnb": bnb, "config": config, "gguf": gguf, "jsonl": jsonl,
    "safetensors": safetensors, "shards": shards, "tokenizer": tokenizer,
}


def main():
    here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    expected = {}
    for reader, module in READERS.items():
        shutil.rmtree(here / reader, ignore_errors=True)
        (here / reader).mkdir(parents=True)
        for name, data, says in module.cases():
            path = f"{reader}/{name}"
            assert path not in expected, path
            assert len(data) < 4096, (path, len(data))
            (here / path).write_bytes(data)
            expected[path] = says
        (here / "whole").mkdir(exist_ok=True)
        for name, data in module.whole():
            assert len(data) < 4096, (name, len(data))
            (here / "whole" / name).write_bytes(data)
    text = json.dumps(expected, indent=0, ensure_ascii=False, sort_keys=True)
    (here / "expected.json").write_text(text + "\n")
    files = [path for path in here.rglob("*") if path.is_file() and path.parent != here]
    files = [path for path in files if path.parent.name != "makers" and "__pycache__" not in path.parts]
    print(len(expected), "hostile files,", sum(path.stat().st_size for path in files), "bytes")


main()
