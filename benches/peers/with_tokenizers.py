"""Tokenizes Markdown with Hugging Face's tokenizers, packs it into rows and writes them; prints one JSON object.

Usage: with_tokenizers.py TOKENIZER.json DIRECTORY OUT CONTEXT. RAYON_NUM_THREADS says how many threads there are.
"""

import json
import pathlib
import sys
import time

import numpy
import tokenizers

BATCH = 256


def main():
    tokenizer_file, directory, out, context = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    start = time.perf_counter()
    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_file)
    begin, end = (tokenizer.token_to_id(name) for name in ["<|begin_of_text|>", "<|end_of_text|>"])
    files = sorted(directory.rglob("*.md"))
    tokens = size = 0
    rest = numpy.zeros(0, numpy.uint32)
    with open(out, "wb") as packed:
        for at in range(0, len(files), BATCH):
            texts = [file.read_text() for file in files[at:at + BATCH]]
            size += sum(file.stat().st_size for file in files[at:at + BATCH])
            encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ids = numpy.concatenate([rest, *(numpy.array([begin, *it.ids, end], numpy.uint32) for it in encoded)])
            tokens += len(ids) - len(rest)
            whole = len(ids) // context * context
            packed.write(ids[:whole].tobytes())
            rest = ids[whole:]
        packed.write(rest.tobytes())
    seconds = time.perf_counter() - start
    print(json.dumps({"megabytes_per_second": size / seconds / 1e6, "tokens": tokens}))


if __name__ == "__main__":
    main()
