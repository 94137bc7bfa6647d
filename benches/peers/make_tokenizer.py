"""Writes the tokenizer of Llama 3 as a tokenizer.json, from the vocabulary that llama.cpp's sources bring.

Usage: make_tokenizer.py VOCABULARY.gguf FILE. Needs gguf and tokenizers.
"""

import sys

import gguf
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

# How Llama 3 cuts a text into words, as its tokenizer.json has it.
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
         r"|\s+(?!\S)|\s+")


def main():
    keys = gguf.GGUFReader(sys.argv[1])
    tokens, kinds, merges = (keys.get_field(f"tokenizer.ggml.{name}").contents()
                             for name in ["tokens", "token_type", "merges"])
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = tokenizers.Tokenizer(models.BPE({token: id_ for id_, token in enumerate(tokens)}, pairs,
                                                ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds) if kind != gguf.TokenType.NORMAL]
    tokenizer.add_special_tokens(special)
    tokenizer.save(sys.argv[2], pretty=False)


if __name__ == "__main__":
    main()
