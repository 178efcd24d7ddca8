"""A Messages client's request to the IR."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Ext, Shape
from aiclient2api.ir.request import (
    ModelRequest,
)
from aiclient2api.protocols.anthropic.decode_settings import (
    decode_output,
    decode_sampling,
    decode_thinking,
    decode_tier,
    decode_user,
)
from aiclient2api.protocols.anthropic.decode_tools import decode_tool_choice, decode_tools
from aiclient2api.protocols.anthropic.decode_turns import decode_messages, decode_system
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.plain_request import decode_plain
from aiclient2api.protocols.anthropic.schema import (
    DEFAULT_VERSION,
    EXPLICIT_STREAM,
    NAME,
    SAMPLING_MEMBERS,
    STRICT_VERSION,
)
from aiclient2api.protocols.report import HEADERS_SUFFIX
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members

_SELDOM: Final = frozenset(
    ("tool_choice", "output_config", "thinking", "service_tier", "speed", "metadata", "cache_control")
)


def is_count(path: str) -> bool:
    """Whether the path asks for a token count."""
    return path.endswith("/count_tokens")


def decode_request(request: WireRequest) -> ModelRequest:
    """The request as IR. Raises MalformedMessage with the path of what is wrong."""
    dialect = request.header("anthropic-version") or DEFAULT_VERSION
    counts = is_count(request.path)
    if not counts and request.header("anthropic-beta") is None:
        plain = decode_plain(request.body, dialect)
        if plain is not None:
            return plain
    members = Members.parse(request.body)
    _refuse_sampling(members, dialect)
    model = members.require("model", str)
    if not model:
        raise MalformedMessage("must not be empty", "model")
    system = decode_system(members)
    streams = members.take("stream", bool)
    tools = members.array("tools")
    decoded = ModelRequest(
        protocol=NAME,
        model=model,
        dialect=dialect,
        operation="count_tokens" if counts else "generate",
        stream="sse" if streams else "no",
        turns=[*system, *decode_messages(members)],
        hoisted=len(system),
        tools=decode_tools(tools) if tools else [],
        max_output=_max_tokens(members, required=not counts),
        sampling=decode_sampling(members),
        shape=(Shape.EMPTY_LIST if tools == [] else 0) | (EXPLICIT_STREAM if streams is False else 0),
    )
    left: dict[str, Raw] = {}
    if not _SELDOM.isdisjoint(members.rest):
        decoded = _with_settings(decoded, members, left)
    return msgspec.structs.replace(decoded, ext=_with_betas(keep(members, **left), request))


def _with_settings(request: ModelRequest, members: Members, left: dict[str, Raw]) -> ModelRequest:
    """The request with what few ask for; members that are not understood are put into `left`."""
    choice, parallel = decode_tool_choice(members)
    effort, output = decode_output(members, left)
    return msgspec.structs.replace(
        request,
        tool_choice=choice,
        parallel_tools=parallel,
        thinking=decode_thinking(members, effort),
        output=output,
        tier=decode_tier(members),
        user=decode_user(members, left),
        cache_policy=members.value("cache_control"),
    )


def _with_betas(ext: Ext | None, request: WireRequest) -> Ext | None:
    """A relay passes `anthropic-beta` on; to any other upstream it is a loss."""
    betas = request.header("anthropic-beta")
    if betas is None:
        return ext
    return {**(ext or {}), f"{NAME}{HEADERS_SUFFIX}": {"anthropic-beta": json.raw(betas)}}


def _refuse_sampling(members: Members, dialect: str) -> None:
    """The newer dialects answer sampling settings with these very words, whatever their value."""
    if dialect < STRICT_VERSION:
        return
    for name in SAMPLING_MEMBERS:
        if name in members:
            raise MalformedMessage("Extra inputs are not permitted", name)


def _max_tokens(members: Members, *, required: bool) -> int | None:
    value = members.require("max_tokens", int) if required else members.take("max_tokens", int)
    if value is not None and value < 0:
        raise MalformedMessage("must not be negative", "max_tokens")
    return value
