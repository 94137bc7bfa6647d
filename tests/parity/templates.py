"""Chat templates: conversations as srek writes and trains them, against apply_chat_template of transformers.

srek has no command that only renders, so the conversations are built into a data set and its tokens decoded. A
template that leaves out or changes what a message says is refused by srek on purpose, as nobody could tell what of it
is trained; transformers renders it. That counts as agreement only where the message is indeed not in the text.
"""

import json

from common import GOLDENS, compare, documents

import make_chat
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

LLAMA2 = """\
{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}\
{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}\
{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate user/assistant/...') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}\
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}\
{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

ZEPHYR = """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""


def plain(template):
    """The template without its blocks that say what is generated."""
    return template.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")


# Name: template, marks of begin and end, what is trained of an answer: all behind the prompt that asks for it.
LLAMA3_MARKS, LLAMA2_MARKS = ("<|begin_of_text|>", "<|eot_id|>"), ("<s>", "</s>")
TEMPLATES = {
    "llama 3": (plain(make_chat.LLAMA3), LLAMA3_MARKS,
                lambda text: text.strip() + "<|eot_id|>"),
    "llama 3.1": (plain(make_chat.LLAMA31), LLAMA3_MARKS, lambda text: text.strip() + "<|eot_id|>"),
    "llama 3.1, results as they are": (plain(make_chat.LLAMA31).replace("mapping or message.content is iterable", "mapping"),
                                       LLAMA3_MARKS, lambda text: text.strip() + "<|eot_id|>"),
    "llama 2": (LLAMA2, LLAMA2_MARKS, lambda text: f" {text.strip()} </s>"),
    "zephyr": (ZEPHYR, LLAMA2_MARKS, lambda text: text + "</s>"),
}


def said(*turns):
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    return [{"role": names[name], "content": text} for name, text in turns]


CONVERSATIONS = {
    "no system": said(("u", "Why is the pod evicted?"), ("a", "The node is out of memory.")),
    "system": said(("s", "You are on call."), ("u", "What now?"), ("a", "Cordon node-7, then drain it.")),
    "several turns": said(("u", "a?"), ("a", "b."), ("u", "c?"), ("a", "d.\n\n- e\n- f"), ("u", "g"), ("a", "h")),
    "call and result": said(("s", "You have kubectl."), ("u", "Which pods fail?"),
                            ("a", '{"name": "kubectl", "parameters": {"args": ["get", "pods"]}}'),
                            ("t", '{"pods": ["api-0"], "restarts": 12}'), ("a", "api-0, 12 times.")),
    "result as text": said(("u", "Is it up?"), ("a", '{"name": "probe", "parameters": {}}'),
                           ("t", "HTTP 502\n<html>\"bad\" & 'gone'</html>\n"), ("a", "No: 502.")),
    "same role twice": said(("u", "One."), ("u", "Two."), ("a", "First."), ("a", "Second.")),
    "empty question": said(("u", ""), ("a", "There is nothing to answer.")),
    "empty system": said(("s", ""), ("u", "x"), ("a", "y")),
    "white space": said(("s", " \n x \n"), ("u", "  \n two leading\t"), ("a", "\n\n  indented\n    code  \n\n")),
    "unicode": said(("s", "Отвечай коротко"), ("u", "Почему 502? 日本語 \U0001f525 e\u0301"),
                    ("a", "Größe überschritten — naïve \u00a0\u3000x")),
    "code": said(("u", "Show {{ it }} {% if x %}"), ("a", "```yaml\nkind: Pod\n\tspec:   {}\n```\n{{ bos_token }}\r\n")),
    "marks in text": said(("u", "Say <|eot_id|> or </s> or [INST]."), ("a", "<|eot_id|><s></s>: that is all.")),
}


def tokenizers(room):
    """The goldens' tokenizer, and the same with the marks of Llama 2 among its special tokens."""
    found = {}
    for name, marks in (("llama3", LLAMA3_MARKS), ("llama2", LLAMA2_MARKS)):
        inner = Tokenizer.from_file(str(GOLDENS / "chat/tokenizer.json"))
        inner.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
        found[marks] = inner
    return found


def by_srek(srek, number, inner, template, marks):
    """By conversation the whole text and the trained stretches, and what was refused with its reason."""
    folder, out = srek.room / f"tokenizer-{number}", srek.room / f"set-{number}"
    folder.mkdir()
    inner.save(str(folder / "tokenizer.json"))
    config = {"bos_token": marks[0], "eos_token": marks[1], "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    srek.must("data", "build", "--input", "conversations.jsonl", "--tokenizer", folder / "tokenizer.json", "--context",
              4096, "--duplicates", "keep", "--refused", "skip", "--out", out)
    decode = lambda ids: inner.decode(ids, skip_special_tokens=False)
    found = {}
    for source, ids, labels in documents(out):
        stretches, current = [], []
        for number, label in zip([*ids.tolist(), -1], [*labels.tolist(), -100]):
            if label != -100:
                current.append(number)
            elif current:
                stretches, current = [*stretches, decode(current)], []
        found[source] = (decode(ids.tolist()), stretches)
    refused = json.loads((out / "dataset.json").read_text())["refused"]
    return found, refused


def by_transformers(inner, template, marks, messages, prompt=False):
    """The text, or None where the template refuses; with `prompt`, up to where an answer begins."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=marks[0], eos_token=marks[1])
    try:
        return wrapped.apply_chat_template(messages, chat_template=template, tokenize=False,
                                           add_generation_prompt=prompt)
    except Exception:
        return None


def comparison(table, srek):
    with open(srek.room / "conversations.jsonl", "w") as file:
        file.writelines(json.dumps({"id": name, "messages": it}) + "\n" for name, it in CONVERSATIONS.items())
    inner_of = tokenizers(srek.room)
    for number, (name, (template, marks, trained)) in enumerate(TEMPLATES.items()):
        ours, refused = by_srek(srek, number, inner_of[marks], template, marks)
        same, both, lost, wrong, spans = 0, 0, [], [], 0
        for key, messages in CONVERSATIONS.items():
            text = by_transformers(inner_of[marks], template, marks, messages)
            if key not in ours:
                both += text is None
                if text is not None and not all(it["content"].strip() in text for it in messages):
                    lost.append(key)
                elif text is not None:
                    wrong.append(f"{key}: refused")
                continue
            found, stretches = ours[key]
            same += found == text
            if found != text:
                wrong.append(f"{key}: {found!r} and {text!r}")
            expected = [trained(it["content"]) for it in messages if it["role"] == "assistant"]
            prompt = by_transformers(inner_of[marks], template, marks, messages[:-1], prompt=True)
            assert text == prompt + expected[-1] + ("\n" if text.endswith("\n") else ""), (key, text, prompt)
            spans += "".join(stretches) == "".join(expected)
            if "".join(stretches) != "".join(expected):
                wrong.append(f"{key} trains {stretches!r}, expected {expected!r}")
        more = f", {both} refused by both" if both else ""
        more += f", {len(lost)} refused here as the template loses a message ({', '.join(lost)})" if lost else ""
        more += f"; not {wrong[0]}" if wrong else ""
        agreed = not wrong and same + both + len(lost) == len(CONVERSATIONS)
        table.row(f"{name}: conversations written alike by srek and transformers",
                  f"{same} of {len(CONVERSATIONS)}{more}", "all", agreed)
        table.equal(f"{name}: of these, answers and their end marks are trained and nothing else", spans, len(ours))
    for name, template in (("llama 3.1", make_chat.LLAMA31), ("tools as lines", make_chat.LISTED)):
        with_tools(table, srek, name, template, inner_of[LLAMA3_MARKS])


def with_tools(table, srek, name, template, inner):
    """Conversations with tools and calls; what is trained is what the template declares to be generated."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=LLAMA3_MARKS[0], eos_token=LLAMA3_MARKS[1])
    kind = name.replace(" ", "-")
    with open(srek.room / "conversations.jsonl", "w") as file:
        file.writelines(json.dumps({"id": key, **it}) + "\n" for key, it in make_chat.TOOLS.items())
    ours, _ = by_srek(srek, kind, inner, template, LLAMA3_MARKS)
    same, masks = 0, 0
    for key, record in make_chat.TOOLS.items():
        made = wrapped.apply_chat_template(
            record["messages"], tools=record.get("tools"), chat_template=template, tokenize=True, return_dict=True,
            return_assistant_tokens_mask=True)
        text, stretches = ours.get(key, ("", []))
        same += text == inner.decode(made["input_ids"], skip_special_tokens=False)
        trained = [number for number, it in zip(made["input_ids"], made["assistant_masks"]) if it]
        masks += "".join(stretches) == inner.decode(trained, skip_special_tokens=False)
    table.equal(f"{name}: conversations with tools and calls written alike", same, len(make_chat.TOOLS))
    table.equal(f"{name}: of these, trained is what the template declares to be generated", masks, len(make_chat.TOOLS))


compare("templates", comparison)
