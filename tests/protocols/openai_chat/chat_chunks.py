"""Chunks of upstreams' streams."""

from __future__ import annotations

from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import Part
from tests.protocols.openai_chat.chat_wire import decode_stream, delta

END = delta({}, "stop")
CALLS_END = delta({}, "tool_calls")
USAGE: dict[str, object] = {
    "id": "r1",
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def call(index: int | None, arguments: str, **members: object) -> dict[str, object]:
    function: dict[str, object] = {"arguments": arguments}
    if "name" in members:
        function["name"] = members.pop("name")
    fragment: dict[str, object] = {"function": function, **members}
    return fragment if index is None else {"index": index, **fragment}


def parts(*chunks: object) -> list[Part]:
    return fold(decode_stream(*chunks), "openai_chat").candidates[0].turn.parts
