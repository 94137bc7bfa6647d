"""Makes `tokenizers/`: small tokenizers of the kinds of Llama 2 and Llama 3 in all the formats that they
come in, and what `tokenizers` and `transformers` make of texts and conversations with them.

    python tests/goldens/make_tokenizers.py
"""

import base64
import json
import tempfile
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.tokenization_utils_base import generate_merges

from make_chat import WORDS

HERE = Path(__file__).resolve().parent
OUT = HERE / "tokenizers"
PROSE = sorted((HERE.parent.parent / "datasets" / "house-style").iterdir())

TEXTS = [
    "", " ", "  ", "a", " a", "  two  blanks ", "\n", "\n\nThe pod\twas evicted.\r\n",
    "The pod was evicted because the node ran out of memory.",
    "Déploiement annulé à 14:05 → la mémoire du nœud était épuisée 🔥 (error=OOMKilled).",
    "```\nkubectl rollout undo deployment/checkout --namespace=shop\n```\n\n\n  - then wait\t5 min",
    "日本語のログ：接続が切れました。 한국어 로그 مرحبا",
    "<s>[INST] no mark </s><unk><0x0A>", "<|eot_id|><|begin_of_text|>x", "12345678 1,000.50 v1.31.0-rc.2",
    "\x00\x01\x7f\u200b\ufeff", "don't WE'LL I'M they'd", "👩‍👩‍👧‍👦 e\u0301 ﬁ", "x" * 40, " \n \n  y",
]

LLAMA2 = """\
{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
{% set system_message = false %}{% endif %}{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}\
{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

TINYLLAMA = """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n' + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

CONVERSATIONS = [
    [("user", "Why was the pod evicted?"), ("assistant", "The node ran out of memory.")],
    [("system", "You keep systems running."), ("user", "  Why?\n"), ("assistant", "Disk is full: `df -h`"),
     ("user", "And now?"), ("assistant", "Déploiement annulé 🔥")],
]


def prose():
    return [file.read_text() for file in PROSE if file.is_file()] + TEXTS


def sentence_piece():
    """A vocabulary of characters with bytes for the others, and its merged tokens, as in Llama 2."""
    model = models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    # Words are those of the blanks while learning; then merges may not go over them, as in Llama 2.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=620, special_tokens=names, show_progress=False,
                                  max_token_length=12)
    # Rare characters are left to the bytes.
    counts = Counter("".join(prose()))
    common = {character for character, count in counts.items() if count > 5 and character != "\n"}
    texts = ["".join(it if it in common else " " for it in text) for text in prose()]
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    # Llama 2's order: bytes, then what is merged, then characters.
    vocab = {name: id for id, name in enumerate(names)}
    made = ["".join(pair) for pair in learned["merges"]]
    single = sorted(token for token in learned["vocab"] if token not in vocab and token not in set(made))
    for token in dict.fromkeys(made + single):
        vocab.setdefault(token, len(vocab))
    return vocab, list(dict.fromkeys(made))


def llama2_tokenizer(vocab, made, scheme):
    """The tokenizer as the files of Llama 2 say it."""
    merges = generate_merges(vocab, {token: -float(vocab[token]) for token in made})
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    after = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(after)
    if scheme == "prepend":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False)
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in list(vocab)[:3]])
    return tokenizer


def encoded(tokenizer, texts=TEXTS):
    """Ids of texts in which nothing is a special token."""
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.encode_special_tokens = True
    return [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts]


def conversations(tokenizer, templates):
    cases = []
    for name, template in templates.items():
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>",
                                       unk_token="<unk>", chat_template=template)
        for turns in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in turns]
            ids = [fast.apply_chat_template(part, add_generation_prompt=prompt, return_dict=False)
                   for part, prompt in [(messages, False), (messages[:-1], True)]]
            cases.append({"template": name, "messages": messages, "ids": ids[0], "prompt_ids": ids[1]})
    return cases


def llama2():
    templates = {"llama2": LLAMA2, "tinyllama": TINYLLAMA}
    for name, source in templates.items():
        (OUT / f"{name}.jinja").write_text(source)
    goldens = {}
    vocab, made = sentence_piece()
    for scheme in ["prepend", "first"]:
        tokenizer = llama2_tokenizer(vocab, made, scheme)
        goldens[scheme] = {"texts": encoded(tokenizer), "conversations": conversations(tokenizer, templates)}
        if scheme == "prepend":
            (OUT / "llama2.json").write_text(tokenizer.to_str())
            kind = {"<unk>": 2, "<s>": 3, "</s>": 3}
            by_rank = {token: -float(vocab[token]) for token in vocab}
            keys = {
                "tokens": list(vocab),
                "token_type": [kind.get(it, 6 if it.startswith("<0x") else 1) for it in vocab],
                "scores": [by_rank[it] if it in set(made) else -1e9 for it in vocab],
            }
            (OUT / "llama2_gguf.json").write_text(json.dumps(keys, ensure_ascii=False))
    (OUT / "llama2_cases.json").write_text(json.dumps(goldens, ensure_ascii=False))


def llama3():
    """Tokens that byte-level BPE learns, in the form of Meta's `tokenizer.model`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(prose(), trainer)
    learned = json.loads(tokenizer.to_str())["model"]["vocab"]
    kept = [byte for byte in range(256) if chr(byte).isprintable() and 33 <= byte and byte != 0xad]
    characters = {chr(byte): byte for byte in kept}
    others = [byte for byte in range(256) if byte not in kept]
    characters |= {chr(256 + place): byte for place, byte in enumerate(others)}
    lines = []
    for token, rank in sorted(learned.items(), key=lambda it: it[1]):
        token = bytes(characters[character] for character in token)
        lines.append(f"{base64.b64encode(token).decode()} {rank}\n")
    (OUT / "llama3.model").write_text("".join(lines))
    # What transformers makes of that file.
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}
    TikTokenConverter.load_tiktoken_bpe = staticmethod(lambda _: ranks)
    with tempfile.NamedTemporaryFile() as file:
        converted = TikTokenConverter(vocab_file=file.name).converted()
    cases = {"texts": encoded(converted), "merges": len(json.loads(converted.to_str())["model"]["merges"])}
    (OUT / "llama3_cases.json").write_text(json.dumps(cases, ensure_ascii=False))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    llama2()
    llama3()
