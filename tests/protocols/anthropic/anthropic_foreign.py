"""Short words for requests of other protocols, written for a real Messages upstream."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from aiclient2api.ir.parts import (
    Opaque,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import (
    FunctionTool,
    ModelRequest,
    Turn,
)
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.profile import ModelProfile

CONVERTER = AnthropicConverter()


HI = Turn(role="user", parts=[Text(text="hi")])


BASE = ModelRequest(protocol="openai_chat", model="claude", max_output=5000, turns=[HI])


TOOL = FunctionTool(name="f")


BUDGET = ModelProfile(thinking="budget")


EFFORT = ModelProfile()


def user(*texts: str) -> Turn:
    return Turn(role="user", parts=[Text(text=text) for text in texts])


def says(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def system(text: str, role: str = "system") -> Turn:
    return Turn(role=role, parts=[Text(text=text)])  # pyright: ignore[reportArgumentType]  # two known roles


def result(call_id: str, text: str, **members: Any) -> Turn:
    return Turn(role="tool", parts=[ToolResult(call_id=call_id, parts=[Text(text=text)], **members)])


def encoded(
    request: ModelRequest, profile: ModelProfile = EFFORT
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    out = CONVERTER.encode_request(request, profile)
    return json.loads(out.wire.body), [(loss.feature, loss.act) for loss in out.losses]


def conversation(*turns: Turn) -> ModelRequest:
    return replace(BASE, turns=list(turns))


CALLS = says(ToolCall(call_id="a", name="f", arguments='{"x":1}'), ToolCall(call_id="b", name="g"))


SIGNED = Opaque("anthropic.signature", "SIG")


FOREIGN = Opaque("openai.encrypted", "gAAA")
