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

# The constructs of Llama 3.1's: dates, tools in three places, results as JSON.
LLAMA31 = """\
{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- "You can call these functions, as JSON.\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("there is no first user message to put tools into") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and not 'tool_calls' in message %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
        {%- generation %}
            {{- message['content'] | trim + '<|eot_id|>' }}
        {%- endgeneration %}
    {%- elif not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {%- generation %}
            {{- '{"name": "' + tool_call.name + '", "parameters": ' + (tool_call.arguments | tojson) + "}" + "<|eot_id|>" }}
        {%- endgeneration %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""


# Tools as lines of their own with types looked at, several calls in a turn, marks of words.
LISTED = """\
{{ bos_token }}{% for tool in tools or [] %}
{{ '# ' + tool.function.name + ': ' + tool.function.description }}
{% for name, it in (tool.function.parameters.properties or {}).items() %}
{{ '- ' + name + (' (text)' if it.type == 'string' else ' (' + it.type + ')') + (': ' + it.description if it.description else '') }}
{% endfor %}
{% endfor %}
{% for message in messages %}
{{ '<|start_header_id|>' + message.role + '\\n' }}{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% for call in message.tool_calls or [] %}{{ '<|python_tag|>' + call.function.name + '(' }}{% for name, value in call.function.arguments.items() %}{{ name + '=' + value | tojson }}{{ ', ' if not loop.last else '' }}{% endfor %}{{ ')' }}{% endfor %}{{ '<|eot_id|>' }}{% endgeneration %}{{ '\\n' }}{% else %}{{ (message.name + ': ' if message.name else '') + message.content + '<|eot_id|>\\n' }}{% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|start_header_id|>assistant\\n' }}{% endif %}
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


def called(name, **arguments):
    return {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": name, "arguments": arguments}}]}


KUBECTL = {"type": "function", "function": {
    "name": "kubectl", "description": "Runs kubectl with these arguments, reading only.",
    "parameters": {"type": "object", "properties": {
        "args": {"type": "array", "items": {"type": "string"}, "description": "what stands behind kubectl"},
        "timeout": {"type": "number", "default": 1e-05, "maximum": 1e+16},
        "type": {"type": "string", "enum": ["a", "Größe"]}}, "required": ["args"]}}}
PROBE = {"type": "function", "function": {
    "name": "probe", "description": "Asks <a & \"b\"> 'c'\n\tin two lines", "parameters": {
        "type": "object", "properties": {"url": {"type": "string", "description": "Grüße, 日本 \U0001f525"}}}}}

# With tools and calls.
TOOLS = {
    "tools": {"tools": [KUBECTL, PROBE], "messages": turns("Is it up?", "I cannot know.", system="On call.")},
    "call": {"tools": [KUBECTL], "messages": [
        *turns("Which pods fail?"), called("kubectl", args=["get", "pods", "-l", 'app="x"'], timeout=2.50),
        {"role": "tool", "content": "api-0 OOMKilled"}, *turns(None, "api-0.")[1:]]},
    "calls": {"tools": [PROBE], "messages": [
        *turns("a", "b", "c", system="s"), called("probe", url="https://a.example/?q=ü&r='x'", n={"z": [], "a": {}}),
        {"role": "tool", "content": "502", "name": "probe"}, called("probe", url=None, deep={"b": [1, -2.0, True]}),
        {"role": "tool", "content": "200"}, *turns(None, "  It is.\n", "thanks", "yes")[1:]]},
    "numbers": {"messages": [*turns("x"), called("f", a=1e15, b=1e16, c=0.0001, d=0.00001234, e=-0.0, f=123456789012, g=1e300)]},
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
                messages[:-1], chat_template=template, tokenize=True, add_generation_prompt=True, return_dict=False,
            )
            cases.append({
                "template": template_name, "name": name, "messages": messages,
                "ids": made["input_ids"], "mask": made["assistant_masks"] if has_mask else None,
                "prompt_ids": prompt,
            })
    write("cases.json", cases)
    write("tools.json", list(with_tools(wrapped)))


def with_tools(wrapped):
    """Conversations with tools in two templates, with the mask that the templates declare."""
    for template_name, template in (("json_tools", LLAMA31), ("listed_tools", LISTED)):
        (OUT / f"{template_name}.jinja").write_text(template)
        for name, record in TOOLS.items():
            made = wrapped.apply_chat_template(
                record["messages"], tools=record.get("tools"), chat_template=template, tokenize=True,
                return_dict=True, return_assistant_tokens_mask=True,
            )
            yield {"template": template_name, "name": name, "record": record, "ids": made["input_ids"],
                   "mask": made["assistant_masks"]}


def write(name, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    (OUT / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
