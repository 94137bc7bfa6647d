"""Makes `chat/`: a small tokenizer of the kind of Llama 3, chat templates, and what transformers makes
of conversations with them: the ids, and the mask of the assistant's tokens.

    python tests/goldens/make_chat.py
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
OUT = HERE / "chat"
TEXTS = HERE.parent.parent / "datasets" / "house-style"

SPECIALS = [
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>",
    "<|eot_id|>", "<|python_tag|>",
]

# How the tokenizers of this family cut words.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The format of Llama 3 with the assistant's tokens declared.
LLAMA3 = """\
{{- bos_token }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}
            {{- message['content'] | trim + '<|eot_id|>' }}
        {%- endgeneration %}
    {%- else %}
        {{- message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

# A system turn of its own with a date, blocks that trim, methods of strings, a macro, errors.
DATED = """\
{%- macro turn(name, text) %}
<|start_header_id|>{{ name }}<|end_header_id|>

{{ text }}<|eot_id|>
{%- endmacro %}
{{ bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = '26 Jul 2024' %}
{%- endif %}
{% if messages[0]['role'] == 'system' %}
    {%- set system = messages[0].content.strip() %}
    {%- set turns = messages[1:] %}
{% else %}
    {%- set system = 'You keep systems running.' %}
    {%- set turns = messages %}
{% endif %}
{{ turn('system', 'Today: ' ~ date_string ~ '\\n\\n' ~ system) }}
{%- for message in turns %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('turns must alternate') }}
    {%- endif %}
{{ turn(message.role, message.content | trim) }}
{%- endfor %}
{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}
"""

# Markers of another kind, white space kept, a line break behind the end mark.
UNTRIMMED = """\
{% for message in messages %}
{% if message.role == 'assistant' %}
{{ '<|start_header_id|>' + message.role + '\\n' }}{% generation %}{{ message.content + '<|eot_id|>' }}{% endgeneration %}{{ '\\n' }}
{% else %}
{{ '<|start_header_id|>' + message.role + '\\n' + message.content + '<|eot_id|>' + '\\n' }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|start_header_id|>assistant\\n' }}
{% endif %}
"""


def turns(*contents, system=None):
    names = ["user", "assistant"]
    start = [{"role": "system", "content": system}] if system is not None else []
    return start + [{"role": names[i % 2], "content": text} for i, text in enumerate(contents)]


CONVERSATIONS = {
    "one": turns("Why is the pod evicted?", "The node is out of memory."),
    "system": turns("What now?", "Cordon node-7, then drain it.", system="You are on call."),
    "several": turns("a?", "b.", "c?", "d.\n\n- e\n- f", "12345 and 6789?", "Don't: it's 100% wrong!"),
    "white_space": turns("  \n two leading\t", "\n\n  indented\n    code  \n\n", system=" \n x \n"),
    "empty_user": turns("", "There is nothing to answer."),
    "empty_system": turns("x", "y", system=""),
    "only_space": turns(" \n\t ", "y", system="  "),
    "other_letters": turns("Почему 502? 日本語 \U0001f525 e\u0301", "Größe überschritten — naïve café \u00a0\u3000x"),
    "crlf": turns("line one\r\nline two\r\n", "kubectl get pods\r\n\r\nthen wait"),
    "code": turns("Show it", "```yaml\nkind: Pod\n\tspec:   {}\n```\n"),
}


def tokenizer():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator((p.read_text() for p in sorted(TEXTS.glob("*.md"))), trainer)
    return inner


def main():
    OUT.mkdir(exist_ok=True)
    inner = tokenizer()
    inner.save(str(OUT / "tokenizer.json"))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
    )
    templates = {"llama3": LLAMA3, "dated": DATED, "untrimmed": UNTRIMMED}
    for name, template in templates.items():
        (OUT / f"{name}.jinja").write_text(template)
    config = {"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|eot_id|>"}}
    config["chat_template"] = [{"name": "default", "template": LLAMA3}, {"name": "dated", "template": DATED}]
    (OUT / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    cases = []
    for template_name, template in templates.items():
        has_mask = "generation %}" in template
        for name, messages in CONVERSATIONS.items():
            made = wrapped.apply_chat_template(
                messages, chat_template=template, tokenize=True, return_dict=True,
                return_assistant_tokens_mask=has_mask,
            )
            prompt = wrapped.apply_chat_template(
                messages[:-1], chat_template=template, tokenize=True, add_generation_prompt=True,
            )
            cases.append({
                "template": template_name, "name": name, "messages": messages,
                "ids": made["input_ids"], "mask": made["assistant_masks"] if has_mask else None,
                "prompt_ids": prompt,
            })
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
