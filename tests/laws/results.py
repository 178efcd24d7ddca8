"""Atoms of tool results, and of what steers a conversation, in a request (mapping 2.4)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, first
from tests.laws.instructions import texts
from tests.laws.media import inline
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, history, say
from tests.laws.plain import Doc, dump, load
from tests.laws.tools import declare, function
from tests.laws.words import Words


def call(protocol: str, doc: Doc, *calls: tuple[str, str, str]) -> None:
    """The assistant calls tools: id, name, arguments."""
    for name in dict.fromkeys(name for _, name, _ in calls):
        declare(protocol, doc, function(protocol, name))
    match protocol:
        case "openai_chat":
            made = [
                {"id": id_, "type": "function", "function": {"name": name, "arguments": text}}
                for id_, name, text in calls
            ]
            doc["messages"].append({"role": "assistant", "content": None, "tool_calls": made})
        case "openai_responses":
            doc["input"] += [
                {"type": "function_call", "call_id": id_, "name": name, "arguments": text}
                for id_, name, text in calls
            ]
        case "anthropic":
            made = [
                {"type": "tool_use", "id": id_, "name": name, "input": load(text)}
                for id_, name, text in calls
            ]
            doc["messages"].append({"role": "assistant", "content": made})
        case _:
            made: list[Doc] = [
                {"functionCall": {"id": id_, "name": name, "args": load(text)}} for id_, name, text in calls
            ]
            made[0]["thoughtSignature"] = "c2tpcA=="
            doc["contents"].append({"role": "model", "parts": made})


def result(protocol: str, doc: Doc, *results: tuple[str, str, Any]) -> None:
    """The client answers calls: id, name, text (or a native content)."""
    match protocol:
        case "openai_chat":
            doc["messages"] += [
                {"role": "tool", "tool_call_id": id_, "content": text} for id_, _, text in results
            ]
        case "openai_responses":
            doc["input"] += [
                {"type": "function_call_output", "call_id": id_, "output": text} for id_, _, text in results
            ]
        case "anthropic":
            made = [{"type": "tool_result", "tool_use_id": id_, "content": text} for id_, _, text in results]
            doc["messages"].append({"role": "user", "content": made})
        case _:
            made = [
                {
                    "functionResponse": {
                        "id": id_,
                        "name": name,
                        "response": {"output": text} if isinstance(text, str) else text,
                    }
                }
                for id_, name, text in results
            ]
            doc["contents"].append({"role": "user", "parts": made})


def results(protocol: str, doc: Doc) -> list[tuple[str | None, Doc]]:
    """Id and native form of every tool result of a request."""
    found: list[tuple[str | None, Doc]] = []
    for message in history(protocol, doc):
        if protocol == OC and message["role"] == "tool":
            found.append((message["tool_call_id"], message))
        elif protocol == OR and str(message.get("type", "")).endswith("call_output"):
            found.append((message.get("call_id"), message))
        elif protocol == AM and isinstance(message.get("content"), list):
            blocks = [one for one in message["content"] if one["type"] == "tool_result"]
            found += [(block["tool_use_id"], block) for block in blocks]
        elif protocol == GG:
            answers = [
                part["functionResponse"] for part in message.get("parts") or () if "functionResponse" in part
            ]
            found += [(answer.get("id"), answer) for answer in answers]
    return found


def result_text(protocol: str, native: Doc) -> str:
    """What a tool result says."""
    if protocol == GG:
        response = native["response"]
        said = first([response.get("output"), response.get("error")])
        return said if isinstance(said, str) else dump(response).decode()
    content = native.get("output" if protocol == OR else "content")
    return "\n".join(texts(content))


def _result(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        id_, text = words.token("call_"), words.pick(("", "0", "{}", words.text()))
        say(protocol, doc, words.text())
        call(protocol, doc, (id_, "f", words.arguments()))
        result(protocol, doc, (id_, "f", text))
        return {id_: text}

    return write


def _results_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        return {id_: result_text(protocol, native) for id_, native in results(protocol, doc)} or None

    return read


ASKS["tool_result"] = Ask(
    {protocol: _result(protocol) for protocol in PROTOCOLS},
    {protocol: _results_read(protocol) for protocol in PROTOCOLS},
    ("tool_result",),
    slot="results",
)


def _several(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        ids = [words.token(f"call_{letter}") for letter in "abc"]
        names = ["f", "g", "f"]
        said = [words.text() for _ in ids]
        say(protocol, doc, words.text())
        call(protocol, doc, *((id_, name, words.arguments()) for id_, name in zip(ids, names, strict=True)))
        order = words.pick(((0, 1, 2), (2, 1, 0), (1, 0, 2)))
        result(protocol, doc, *((ids[index], names[index], said[index]) for index in order))
        return dict(zip(ids, said, strict=True))

    return write


ASKS["tool_result.several"] = Ask(
    {protocol: _several(protocol) for protocol in PROTOCOLS},
    {protocol: _results_read(protocol) for protocol in PROTOCOLS},
    ("tool_result",),
    slot="results",
)


def _by_name(doc: Doc, words: Words) -> Any:
    said = {name: words.text() for name in ("f", "g")}
    say(GG, doc, words.text())
    for name in said:
        declare(GG, doc, function(GG, name))
    calls: list[Doc] = [{"functionCall": {"name": name, "args": {}}} for name in said]
    calls[0]["thoughtSignature"] = "c2tpcA=="
    answers = [
        {"functionResponse": {"name": name, "response": {"output": said[name]}}} for name in ("g", "f")
    ]
    doc["contents"] += [{"role": "model", "parts": calls}, {"role": "user", "parts": answers}]
    return said


def called(protocol: str, doc: Doc) -> dict[str | None, str]:
    """The name of every call of a request by its id."""
    found: dict[str | None, str] = {}
    for message in history(protocol, doc):
        if protocol == OC:
            found |= {
                one["id"]: (one.get("function") or one["custom"])["name"]
                for one in message.get("tool_calls") or ()
            }
        elif protocol == OR and message.get("type") in ("function_call", "custom_tool_call"):
            found[message["call_id"]] = message["name"]
        elif protocol == AM and isinstance(message.get("content"), list):
            found |= {one["id"]: one["name"] for one in message["content"] if one["type"] == "tool_use"}
    return found


def _by_name_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == GG:
            return {native["name"]: result_text(GG, native) for _, native in results(GG, doc)} or None
        names = called(protocol, doc)
        return {
            names.get(id_): result_text(protocol, native) for id_, native in results(protocol, doc)
        } or None

    return read


ASKS["tool_result.by_name"] = Ask(
    {GG: _by_name},
    {protocol: _by_name_read(protocol) for protocol in PROTOCOLS},
    ("tool_result",),
    slot="results",
)


def _error_am(doc: Doc, words: Words) -> Any:
    id_, text = words.token("call_"), words.text()
    say(AM, doc, words.text())
    call(AM, doc, (id_, "f", "{}"))
    result(AM, doc, (id_, "f", text))
    doc["messages"][-1]["content"][0]["is_error"] = True
    return (True, text)


def _error_gg(doc: Doc, words: Words) -> Any:
    id_, text = words.token("call_"), words.text()
    say(GG, doc, words.text())
    call(GG, doc, (id_, "f", "{}"))
    result(GG, doc, (id_, "f", {"error": text}))
    return (True, text)


ASKS["tool_result.is_error"] = Ask(
    {AM: _error_am, GG: _error_gg},
    {
        AM: lambda doc: first(
            [(True, result_text(AM, one)) for _, one in results(AM, doc) if one.get("is_error")]
        ),
        GG: lambda doc: first(
            [
                (True, result_text(GG, one))
                for _, one in results(GG, doc)
                if one["response"].get("error") is not None
            ]
        ),
    },
    ("tool_result.is_error",),
    slot="results",
)


def _structured(doc: Doc, words: Words) -> Any:
    value = load(words.pick(('{"temp":1.50}', '{"a":[1,{"b":null}]}', '{"output":{"x":1}}', "{}")))
    id_ = words.token("call_")
    say(GG, doc, words.text())
    call(GG, doc, (id_, "f", "{}"))
    result(GG, doc, (id_, "f", value))
    return value


def _structured_of(native: Doc) -> Any:
    response = native["response"]
    return (
        None
        if isinstance(response.get("output"), str) or isinstance(response.get("error"), str)
        else response
    )


ASKS["tool_result.structured"] = Ask(
    {GG: _structured},
    {GG: lambda doc: first([_structured_of(native) for _, native in results(GG, doc)])},
    ("tool_result.structured",),
    slot="results",
)


def _media(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        id_, data, text = words.token("call_"), words.base64(), words.text()
        image: dict[str, Doc] = {
            OR: {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "auto"},
            AM: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
            GG: {"inlineData": {"mimeType": "image/png", "data": data}},
        }
        say(protocol, doc, words.text())
        call(protocol, doc, (id_, "f", "{}"))
        if protocol == GG:
            result(GG, doc, (id_, "f", text))
            doc["contents"][-1]["parts"][0]["functionResponse"]["parts"] = [image[GG]]
        else:
            said = {"type": "input_text" if protocol == OR else "text", "text": text}
            result(protocol, doc, (id_, "f", [said, image[protocol]]))
        return (text, ("image/png", data))

    return write


def _media_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for _, native in results(protocol, doc):
            parts = native.get({OR: "output", GG: "parts"}.get(protocol, "content"))
            found = first([inline(part) for part in parts or () if isinstance(part, dict)])
            if found is not None:
                return result_text(protocol, native), found
        return None

    return read


ASKS["tool_result.media"] = Ask(
    {protocol: _media(protocol) for protocol in (OR, AM, GG)},
    {protocol: _media_read(protocol) for protocol in (OR, AM, GG)},
    ("tool_result.media",),
    slot="results",
)


def _approval(doc: Doc, words: Words) -> Any:
    id_ = words.token("mcpr_")
    say(OR, doc, words.text())
    asked = {"type": "mcp_approval_request", "id": id_, "server_label": "s", "name": "f", "arguments": "{}"}
    doc["input"] += [asked, {"type": "mcp_approval_response", "approval_request_id": id_, "approve": True}]
    return id_


ASKS["control.approval"] = Ask(
    {OR: _approval},
    {OR: lambda doc: first([item.get("approval_request_id") for item in history(OR, doc)])},
    (
        "control.approval",
        "control.mcp_approval_request",
        "control.mcp_approval_response",
        "ext.mcp_approval_request",
        "tool.hosted",
    ),
)
