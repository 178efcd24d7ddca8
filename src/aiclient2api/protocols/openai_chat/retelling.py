"""A whole answer as the stream that it would have been: what it has is passed on as it is, whoever reads it."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from aiclient2api.protocols.openai_chat.stream_encoder import DONE_EVENT
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL

_CHUNK: Final = json.raw("chat.completion.chunk")
_NOTHING: Final = json.raw({})


def retold(body: bytes) -> bytes:
    """Each choice in one chunk and its end in another, then the counts. Raises MalformedMessage."""
    answer = json.decode(body, dict[str, Raw])
    choices, usage = json.parse_array(answer.pop("choices", NULL), "choices"), answer.pop("usage", NULL)
    head = answer | {"object": _CHUNK}
    chunks: list[dict[str, Raw]] = []
    for place, raw in enumerate(choices):
        choice = json.decode(raw, dict[str, Raw], "choices")
        if choice.get("index", NULL) == NULL:
            choice["index"] = json.raw(place)
        delta = _indexed(json.decode(choice.pop("message", NULL), dict[str, Raw], "choices.message"))
        begun = choice | {"delta": json.raw(delta), "finish_reason": NULL}
        ended = {name: choice.get(name, NULL) for name in ("index", "finish_reason")} | {"delta": _NOTHING}
        chunks += [head | {"choices": json.raw([begun])}, head | {"choices": json.raw([ended])}]
    if usage != NULL:
        chunks.append(head | {"choices": json.raw([]), "usage": usage})
    return b"".join([b"data: " + json.encode(chunk) + b"\n\n" for chunk in chunks]) + DONE_EVENT


def _indexed(message: dict[str, Raw]) -> dict[str, Raw]:
    """A message as a delta: in a stream each call says which it is."""
    calls = message.get("tool_calls", NULL)
    if calls == NULL:
        return message
    told = [
        _as_text(json.decode(call, dict[str, Raw], "tool_calls")) | {"index": json.raw(place)}
        for place, call in enumerate(json.parse_array(calls, "tool_calls"))
    ]
    return message | {"tool_calls": json.raw(told)}


def _as_text(call: dict[str, Raw]) -> dict[str, Raw]:
    """Some servers send the arguments themselves, which have no pieces."""
    function = json.as_object(call.get("function", NULL)) or {}
    arguments = function.get("arguments", NULL)
    if arguments == NULL or json.is_string(arguments):
        return call
    return call | {"function": json.raw(function | {"arguments": json.raw(json.text(arguments))})}
