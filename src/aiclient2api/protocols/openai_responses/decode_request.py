"""A client's request to the IR.

Normal form: a null member is an absent one, and `stream: false` is the default.
"""

from __future__ import annotations

import msgspec

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Ext, Shape, Text
from aiclient2api.ir.request import (
    ModelRequest,
    Turn,
)
from aiclient2api.protocols.openai_responses.decode_settings import (
    decode_object,
    decode_sampling,
    decode_state,
    decode_text,
    decode_thinking,
)
from aiclient2api.protocols.openai_responses.decode_tools import decode_tool_choice, decode_tools
from aiclient2api.protocols.openai_responses.decode_turns import decode_input_items
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.schema import (
    COUNT_PATH,
    NAME,
)
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members


def decode_request(request: WireRequest) -> ModelRequest:
    """The IR of a `POST /v1/responses` body."""
    members = Members.parse(request.body)
    model = members.require("model", str)
    if not model:
        raise MalformedMessage("must not be empty", "model")
    hoisted = _instructions(members)
    turns, shape = _input(members)
    include = members.raw("include")
    output, verbosity, text = decode_text(members.object("text"))
    user = members.take("safety_identifier", str)
    if user is None and "user" in members:
        user, shape = members.take("user", str), shape | Shape.LEGACY_FUNCTION
    decoded = ModelRequest(
        protocol=NAME,
        model=model,
        operation="count_tokens" if request.path.endswith(COUNT_PATH) else "generate",
        stream="sse" if members.take("stream", bool) else "no",
        turns=[*hoisted, *turns],
        hoisted=len(hoisted),
        shape=shape,
        tools=decode_tools(members),
        tool_choice=decode_tool_choice(members),
        parallel_tools=members.take("parallel_tool_calls", bool),
        max_output=members.count("max_output_tokens"),
        sampling=decode_sampling(members, include),
        thinking=decode_thinking(members.object("reasoning")),
        output=output,
        verbosity=verbosity,
        state=decode_state(members, include),
        tier=members.take("service_tier", str),
        user=user,
        metadata=members.take("metadata", dict[str, str]),
        cache_key=members.take("prompt_cache_key", str),
        cache_policy=decode_object(members, "prompt_cache_options"),
        safety=decode_object(members, "moderation"),
    )
    return msgspec.structs.replace(decoded, ext=_with_text(keep(members), text))


def _instructions(members: Members) -> list[Turn]:
    instructions = members.take("instructions", str)
    if instructions is None:
        return []
    return [Turn(role="system", parts=[Text(text=instructions)], shape=Shape.CONTENT_STRING)]


def _input(members: Members) -> tuple[list[Turn], int]:
    """The turns, and how `input` was written: as text, as items, or not at all (a stored prompt has it)."""
    raw = members.raw("input")
    if raw is None or raw == json.NULL:
        return [], Shape.CONTENT_ABSENT
    if json.is_string(raw):
        text = json.decode(raw, str, "input")
        return [Turn(role="user", parts=[Text(text=text)])], Shape.CONTENT_STRING
    return decode_input_items(json.parse_array(raw, "input"), "input"), 0


def _with_text(ext: Ext | None, text: Ext | None) -> Ext | None:
    """The request's unknown members with those of `text` under its own name."""
    if text is None:
        return ext
    own = ext.get(NAME, {}) if ext else {}
    return {NAME: {**own, "text": json.raw(text[NAME])}}
