"""Requests as an upstream received them, read without any code of the gateway."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.neutral import Item, Request, Role, joined, read_json, write_json

_DATA_URL = re.compile(r"data:([^;,]+);base64,(.*)", re.DOTALL)


def read_request(protocol: str, path: str, query: str, body: bytes) -> Request:
    """A generation request."""
    return _READERS[protocol](read_json(body), path, query)


def _chat(tree: Any, path: str, query: str) -> Request:
    assert path.endswith("/chat/completions")
    system: list[str] = []
    items: list[Item] = []
    for message in tree["messages"]:
        role, content = message["role"], message.get("content")
        match role:
            case "system" | "developer":
                system += _texts(content)
            case "user":
                items += [_chat_part(part) for part in _parts(content)]
            case "assistant":
                items.append(Item("assistant", "thought", message.get("reasoning_content") or ""))
                items += [Item("assistant", "text", text) for text in _texts(content)]
                for call in message.get("tool_calls") or ():
                    items.append(_call(call["id"], call["function"]["name"], call["function"]["arguments"]))
            case _:
                items.append(_result(items, message["tool_call_id"], "".join(_texts(content))))
    form = tree.get("response_format") or {}
    stop = tree.get("stop")
    tools = [tool["function"] for tool in tree.get("tools") or ()]
    return Request(
        model=tree["model"],
        stream=bool(tree.get("stream")),
        system=tuple(system),
        items=joined(items),
        max_tokens=tree.get("max_tokens") or tree.get("max_completion_tokens"),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        schema=form.get("json_schema", {}).get("schema"),
        tools={tool["name"]: tool["parameters"] for tool in tools},
    )


def _chat_part(part: Any) -> Item:
    if part["type"] == "text":
        return Item("user", "text", part["text"])
    return _data_url(part["image_url"]["url"])


def _responses(tree: Any, path: str, query: str) -> Request:
    assert path.endswith("/responses")
    system = [tree["instructions"]] if tree.get("instructions") else []
    items: list[Item] = []
    given: Any = tree["input"]
    messages: list[Any] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for item in messages:
        match item.get("type", "message"):
            case "message":
                if item["role"] in ("system", "developer"):
                    system += _texts(item["content"])
                elif item["role"] == "assistant":
                    items += [Item("assistant", "text", text) for text in _texts(item["content"])]
                else:
                    items += [_responses_part(part) for part in _parts(item["content"])]
            case "reasoning":
                text = "".join(part["text"] for part in item["summary"])
                secret = item.get("encrypted_content") or ""
                items.append(Item("assistant", "thought", text, signature=secret))
            case "function_call":
                items.append(_call(item["call_id"], item["name"], item["arguments"]))
            case _:
                items.append(_result(items, item["call_id"], "".join(_texts(item["output"]))))
    form = (tree.get("text") or {}).get("format") or {}
    return Request(
        model=tree["model"],
        stream=bool(tree.get("stream")),
        system=tuple(system),
        items=joined(items),
        max_tokens=tree.get("max_output_tokens"),
        stops=(),
        schema=form.get("schema"),
        tools={tool["name"]: tool["parameters"] for tool in tree.get("tools") or ()},
    )


def _responses_part(part: Any) -> Item:
    if part["type"] in ("input_text", "text"):
        return Item("user", "text", part["text"])
    return _data_url(part["image_url"])


def _messages(tree: Any, path: str, query: str) -> Request:
    assert path.endswith("/messages")
    system = _texts(tree.get("system"))
    items: list[Item] = []
    for message in tree["messages"]:
        role: Role = message["role"]
        for block in _parts(message["content"]):
            items.append(_block(block, role, items))
    form = (tree.get("output_config") or {}).get("format") or {}
    return Request(
        model=tree["model"],
        stream=bool(tree.get("stream")),
        system=tuple(system),
        items=joined(items),
        max_tokens=tree["max_tokens"],
        stops=tuple(tree.get("stop_sequences") or ()),
        schema=form.get("schema"),
        tools={tool["name"]: tool["input_schema"] for tool in tree.get("tools") or ()},
    )


def _block(block: Any, role: Role, items: list[Item]) -> Item:
    match block["type"]:
        case "text":
            return Item(role, "text", block["text"])
        case "thinking":
            return Item(role, "thought", block["thinking"], signature=block["signature"])
        case "tool_use":
            return _call(block["id"], block["name"], write_json(block["input"]))
        case "tool_result":
            return _result(items, block["tool_use_id"], "".join(_texts(block["content"])))
        case _:
            source = block["source"]
            return _image(source["media_type"], source["data"])


def _gemini(tree: Any, path: str, query: str) -> Request:
    tree = camel_cased(tree)
    model, _, method = path.rpartition("/")[2].partition(":")
    config = tree.get("generationConfig") or {}
    declared = [one for tool in tree.get("tools") or () for one in tool.get("functionDeclarations") or ()]
    assert method in ("generateContent", "streamGenerateContent")
    return Request(
        model=model,
        stream=method == "streamGenerateContent" and "alt=sse" in query,
        system=tuple(part["text"] for part in (tree.get("systemInstruction") or {}).get("parts", ())),
        items=joined(_gemini_items(tree["contents"])),
        max_tokens=config.get("maxOutputTokens"),
        stops=tuple(config.get("stopSequences") or ()),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        tools={one["name"]: one.get("parametersJsonSchema") or one.get("parameters") for one in declared},
    )


def _gemini_items(contents: list[Any]) -> Iterator[Item]:
    for content in contents:
        role: Role = "assistant" if content.get("role") == "model" else "user"
        for part in content["parts"]:
            signature = _standard(part.get("thoughtSignature") or "")
            if call := part.get("functionCall"):
                yield _call(call.get("id") or "", call["name"], write_json(call["args"]))._replace(
                    signature=signature
                )
            elif answer := part.get("functionResponse"):
                value = answer["response"]
                text = value["output"] if list(value) == ["output"] else write_json(value)
                yield Item("user", "result", text, id=answer.get("id") or "", name=answer["name"])
            elif blob := part.get("inlineData"):
                yield _image(blob["mimeType"], _standard(blob["data"]))
            elif part.get("thought"):
                yield Item(role, "thought", part["text"], signature=signature)
            else:
                yield Item(role, "text", part.get("text") or "", signature=signature)


def camel_cased(value: Any) -> Any:
    """Google accepts snake_case names for its own members; schemas and arguments stay as they are."""
    if isinstance(value, list):
        return [camel_cased(one) for one in value]  # pyright: ignore[reportUnknownVariableType]  # any JSON
    if not isinstance(value, dict):
        return value
    own = ("args", "response", "parametersJsonSchema", "responseJsonSchema")
    renamed: dict[str, Any] = {
        re.sub(r"_(\w)", lambda found: found[1].upper(), str(name)): one  # pyright: ignore[reportUnknownArgumentType]
        for name, one in value.items()  # pyright: ignore[reportUnknownVariableType]
    }
    return {name: one if name in own else camel_cased(one) for name, one in renamed.items()}


def _parts(content: Any) -> list[Any]:
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _texts(content: Any) -> list[str]:
    return [part["text"] for part in _parts(content)]


def _call(id_: str, name: str, arguments: str) -> Item:
    return Item("assistant", "call", arguments, id=id_, name=name)


def _result(items: list[Item], id_: str, text: str) -> Item:
    """With the name of the call that it answers: there is exactly one."""
    (name,) = [item.name for item in items if item.kind == "call" and item.id == id_]
    return Item("user", "result", text, id=id_, name=name)


def _data_url(url: str) -> Item:
    found = _DATA_URL.fullmatch(url)
    assert found, f"not a data: URL: {url[:40]}"
    return _image(found[1], found[2])


def _image(media_type: str, data: str) -> Item:
    return Item("user", "image", media_type=media_type, data=base64.b64decode(data, validate=True))


def _standard(data: str) -> str:
    """Google takes both alphabets of base64, and its SDK sends back the one that it did not get."""
    return data.translate(str.maketrans("-_", "+/"))


_READERS: dict[str, Callable[[Any, str, str], Request]] = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
}
