"""Lines of records."""

import json


def one(**record):
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


GOOD = one(text="A line that is as it should be.")


def forms():
    yield "no_utf8", b'{"text": "a\xffb"}\n', "not a record: invalid unicode code point (byte 12 of the line)"
    yield "surrogate", b'{"text": "\\ud800"}\n', "not a record: "
    yield "nul", bytes(64) + b"\n", "not a record: "
    yield "nul_in_text", b'{"text": "a\0b"}\n', "control character"
    yield "mark_of_order", "\ufeff".encode() + GOOD, "not a record: "
    yield "utf16", GOOD.decode().encode("utf-16"), "not a record: "
    yield "list", b"[1, 2]\n", "not a record: "
    yield "number", b"7\n", "not a record: "
    yield "cut", b'{"text": "a\n', "not a record: EOF while parsing a string"
    yield "two_in_a_line", GOOD.strip() + GOOD, "trailing characters"
    yield "comment", b"// text\n", "not a record: "
    yield "depth_300", b'{"id": ' + b"[" * 300 + b"]" * 300 + b"}\n", "not a record: "
    yield "key_of_1500_bytes", one(**{"k" * 1500: 1}), "unknown field `kkk"
    yield "key_unknown", one(text="a", note="b"), "unknown field `note`"
    yield "key_control", one(**{"a\x1b[2J": 1}), "unknown field `a"
    yield "key_twice", b'{"text": "a", "text": "b"}\n', "duplicate field `text`"
    yield "empty_object", b"{}\n", "expected one of text; input_ids and labels"
    yield "two_forms", one(text="a", messages=[]), "expected one of text; input_ids and labels"
    yield "text_number", one(text=7), "invalid type: integer `7`, expected a string"
    yield "text_empty", one(text=""), "the document is empty"
    yield "text_blank", one(text=" \n\t "), "the document is empty"
    yield "id_fraction", one(id=1.5, text="a"), "the id or group is neither a string nor a whole number"
    yield "id_list", one(id=[1], text="a"), "the id or group is neither a string nor a whole number"
    yield "id_of_1025_bytes", one(id="x" * 1025, text="a"), "the id has 1025 bytes, at most 1024 go"
    yield "id_control", one(id="a\x1b[2J\nb", text="a"), "the id has a control character"
    yield "group_of_1025_bytes", one(group="x" * 1025, text="a"), "the group has 1025 bytes"
    yield "time_none", one(time="yesterday", text="a"), "the time is none"
    yield "time_32nd", one(time="2024-01-32", text="a"), "the time is none"
    yield "time_number", one(time=1715934600, text="a"), "invalid type: integer"


def tokens():
    def ids(ids, labels=None):
        return one(input_ids=ids, labels=ids if labels is None else labels)

    yield "ids_text", ids(["1"]), "not a record: invalid type: string"
    yield "ids_negative", ids([1, -1]), "invalid value: integer `-1`"
    yield "ids_2_32", ids([1 << 32]), "invalid value: integer `4294967296`"
    yield "ids_fraction", ids([1.5]), "invalid type: floating point `1.5`"
    yield "ids_none", ids([]), "the document has no token"
    yield "ids_beyond_vocabulary", ids([1, 4294967295]), "input_ids[1] is 4294967295"
    yield "labels_missing", one(input_ids=[1]), "there are input_ids without labels"
    yield "labels_alone", one(labels=[1]), "expected one of text; input_ids and labels"
    yield "labels_longer", ids([1], [1, 2]), "there are 1 input_ids and 2 labels"
    yield "label_beyond_vocabulary", ids([1, 2], [-100, 300]), "labels[1] is 300"
    yield "label_minus_1", ids([1, 2], [-100, -1]), "labels[1] is -1"
    yield "label_2_63", ids([1, 2], [-100, 1 << 63]), "invalid value: integer `9223372036854775808`"


def conversations():
    def turns(*pairs):
        return one(messages=[{"role": role, "content": content} for role, content in pairs])

    yield "role_unknown", turns(("root", "a")), 'message 1: the role "root" is none of'
    yield "role_control", turns(("user", "a"), ("\x1b[2J", "b")), "message 2: the role "
    yield "role_number", one(messages=[{"role": 1, "content": "a"}]), "invalid type: integer `1`"
    yield "messages_none", one(messages=[]), "the conversation has no message"
    yield "messages_text", one(messages="hello"), "invalid type: string"
    yield "content_missing", one(messages=[{"role": "user"}]), "message 1: it has no content"
    yield "content_parts", one(messages=[{"role": "user", "content": [{"type": "text"}]}]), "invalid type: sequence"
    yield "answer_empty", turns(("user", "a"), ("assistant", " ")), "message 2 is to be trained and says nothing"
    yield "calls_of_a_user", one(messages=[{"role": "user", "content": "a", "tool_calls": []}]), "not of user"
    yield "from_unknown", one(conversations=[{"from": "bot", "value": "a"}]), 'message 1: it is from "bot"'
    yield "output_missing", one(instruction="a"), "expected one of text; input_ids and labels"
    yield "sides_mixed", one(prompt="a", completion=[{"role": "assistant", "content": "b"}]), "must both be text or both be lists"
    yield "side_number", one(prompt=1, completion="b"), "a prompt or completion that is a string or a list of messages"
    yield "completion_none", one(prompt=[], completion=[]), "the completion has no message"


def tools():
    def calls(value):
        return one(messages=[{"role": "assistant", "tool_calls": value}])

    def of(value):
        return one(tools=value, messages=[{"role": "user", "content": "a"}])

    yield "calls_number", calls(1), "message 1: tool_calls is no list"
    yield "calls_none", calls([]), "message 1: it has no content"
    yield "call_of_65_bits", calls([{"name": "f", "arguments": {"a": 1 << 64}}]), "the calls hold a whole number of more than 64 bits"
    yield "call_number", calls([1]), "message 1: call 1: it is no object"
    yield "call_without_name", calls([{"function": {"arguments": {}}}]), "call 1: it has no name"
    yield "arguments_missing", calls([{"name": "f"}]), "call 1: it has no arguments"
    yield "arguments_list", calls([{"name": "f", "arguments": []}]), "call 1: its arguments are no object"
    yield "arguments_cut", calls([{"name": "f", "arguments": '{"a": '}]), "call 1: its arguments are no JSON"
    yield "arguments_twice_text", calls([{"name": "f", "arguments": '"{}"'}]), "call 1: its arguments are no object"
    yield "arguments_deep", calls([{"name": "f", "arguments": '{"a":' * 300}]), "call 1: its arguments are no JSON"
    yield "tools_object", of({}), "the tools are no list"
    yield "tools_text_of_text", of('"[]"'), "the tools are no list"
    yield "tool_name_number", of([{"function": {"name": 1}}]), "tool 1: it has no name"
    yield "tools_of_text", one(text="a", tools=[{"name": "f"}]), "tools go with messages only"
    yield "call_of_no_json", one(conversations=[{"from": "function_call", "value": "f()"}]), "message 1: the calls are no JSON"
    # No template that is built in knows tools: nothing is left out silently.
    yield "tools_unwritten", of([{"name": "f"}]), "of 1 names of tools and parts of calls it writes 0"


def cases():
    for group in [forms, tokens, conversations, tools]:
        for name, data, says in group():
            # It stands in the second line, because an error has to name the right one.
            yield f"{name}.jsonl", (data if name in ("utf16", "mark_of_order") else GOOD + data), says


def whole():
    yield "records.jsonl", GOOD + one(input_ids=[1, 2], labels=[-100, 2])
