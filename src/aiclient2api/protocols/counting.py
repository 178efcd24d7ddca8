"""How many input tokens a request has, estimated: for upstreams that offer no count. Never presented as exact.

The rule, measured against no vocabulary but the same for everybody and a little on the high side:

- text: one token for every 4 characters of ASCII, one for every other character up to U+2FFF in pairs, one for
  each character beyond (Chinese, Japanese, Korean, emoji);
- 4 tokens for each turn and each tool, for what stands around them;
- an image 1,000 tokens, any other medium 1,500: providers count by pixels, pages and seconds, which we do not read;
- schemas, arguments, native blocks and signatures by their JSON text.
"""

from __future__ import annotations

import math
from typing import assert_never

from msgspec import Raw

from aiclient2api.ir.parts import (
    Control,
    HostedCall,
    Media,
    Native,
    Part,
    PartsSource,
    Reasoning,
    Refusal,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, ModelRequest, Tool

AROUND = 4
IMAGE = 1_000
OTHER_MEDIA = 1_500
_WIDE = "\u3000"


def estimate(request: ModelRequest) -> int:
    """The estimated number of input tokens."""
    total = sum(AROUND + sum(_part(part) for part in turn.parts) for turn in request.turns)
    total += sum(AROUND + _tool(tool) for tool in request.tools)
    if request.output is not None and request.output.schema is not None:
        total += _raw(request.output.schema.raw)
    return total


def tokens_of(text: str) -> int:
    """The estimated number of tokens of a text."""
    if text.isascii():
        return math.ceil(len(text) / 4)
    plain = sum(char < "\x80" for char in text)
    wide = sum(char >= _WIDE for char in text)
    return math.ceil(plain / 4 + (len(text) - plain - wide) / 2) + wide


def _raw(raw: Raw) -> int:
    return tokens_of(bytes(raw).decode("utf-8", "replace"))


def _part(part: Part) -> int:
    match part:
        case Text() | Refusal():
            return tokens_of(part.text)
        case Reasoning():
            shown = sum(tokens_of(text) for text in (*part.summary, *part.raw))
            return shown or (tokens_of(part.opaque.data) if part.opaque is not None else 0)
        case ToolCall():
            return AROUND + tokens_of(part.name) + tokens_of(part.arguments)
        case ToolResult():
            own = _raw(part.structured) if part.structured is not None else 0
            return AROUND + own + sum(_part(inner) for inner in part.parts)
        case Media():
            return _media(part)
        case HostedCall() | Control() | Native():
            return _raw(part.raw)
        case _:
            assert_never(part)


def _media(part: Media) -> int:
    match part.source:
        case TextSource(text=text):
            return tokens_of(text)
        case PartsSource(parts=parts):
            return sum(_part(inner) for inner in parts)
        case _:
            return IMAGE if part.kind == "image" else OTHER_MEDIA


def _tool(tool: Tool) -> int:
    match tool:
        case FunctionTool():
            schema = _raw(tool.parameters.raw) if tool.parameters is not None else 0
            return tokens_of(tool.name) + tokens_of(tool.description or "") + schema
        case CustomTool():
            form = _raw(tool.format) if tool.format is not None else 0
            return tokens_of(tool.name) + tokens_of(tool.description or "") + form
        case HostedTool():
            return _raw(tool.raw)
        case _:
            assert_never(tool)
