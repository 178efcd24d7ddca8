"""A client's request to the IR.

Normal form: a null member is an absent one, and `stream: false` is the default.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Ext, Shape, Text
from aiclient2api.ir.request import (
    Effort,
    ModelRequest,
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
    Turn,
)
from aiclient2api.protocols.openai_responses.decode_items import decode_input_items
from aiclient2api.protocols.openai_responses.schema import (
    EFFORTS,
    INCLUDE_LOGPROBS,
    NAME,
    SUMMARIES,
    ext_of,
)
from aiclient2api.protocols.openai_responses.tools import decode_tool_choice, decode_tools
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
    output, verbosity, text = _text(members.object("text"))
    user = members.take("safety_identifier", str)
    if user is None and "user" in members:
        user, shape = members.take("user", str), shape | Shape.LEGACY_FUNCTION
    decoded = ModelRequest(
        protocol=NAME,
        model=model,
        stream="sse" if members.take("stream", bool) else "no",
        turns=[*hoisted, *turns],
        hoisted=len(hoisted),
        shape=shape,
        tools=decode_tools(members),
        tool_choice=decode_tool_choice(members),
        parallel_tools=members.take("parallel_tool_calls", bool),
        max_output=members.take("max_output_tokens", int),
        sampling=_sampling(members, include),
        thinking=_thinking(members.object("reasoning")),
        output=output,
        verbosity=verbosity,
        state=_state(members, include),
        tier=members.take("service_tier", str),
        user=user,
        metadata=members.take("metadata", dict[str, str]),
        cache_key=members.take("prompt_cache_key", str),
        cache_policy=_object(members, "prompt_cache_options"),
        safety=_object(members, "moderation"),
    )
    return msgspec.structs.replace(decoded, ext=_with_text(ext_of(members), text))


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


def _sampling(members: Members, include: Raw | None) -> Sampling:
    wants_logprobs = include is not None and f'"{INCLUDE_LOGPROBS}"'.encode() in bytes(include)
    return Sampling(
        temperature=members.take("temperature", float),
        top_p=members.take("top_p", float),
        top_logprobs=members.take("top_logprobs", int),
        logprobs=True if wants_logprobs else None,
    )


def _state(members: Members, include: Raw | None) -> State | None:
    """Server-side state; `include` waits beside it, because whether reasoning comes back sealed depends on it."""
    if include is not None and include != json.NULL:
        json.decode(include, list[str], "include")
    else:
        include = None
    state = State(
        previous_id=members.take("previous_response_id", str),
        conversation=_conversation(members),
        store=members.take("store", bool),
        background=members.take("background", bool),
        truncation=members.take("truncation", str),
        stored="prompt" if members.peek("prompt") not in (None, json.NULL) else None,
        ext={NAME: {"include": include}} if include is not None else None,
    )
    return None if state == State() else state


def _conversation(members: Members) -> Raw | None:
    raw = members.raw("conversation")
    return None if raw == json.NULL else raw


def _object(members: Members, key: str) -> Raw | None:
    raw = members.raw(key)
    if raw is None or raw == json.NULL:
        return None
    if not json.is_object(bytes(raw)):
        raise MalformedMessage("must be an object", members.at(key))
    return raw


def _thinking(members: Members | None) -> Thinking | None:
    """`reasoning`; an effort or summary that we do not know stays in ext."""
    if members is None:
        return None
    effort, show, shape = _effort(members), _summary(members, "summary"), 0
    if show is None:
        show, shape = _summary(members, "generate_summary"), Shape.LEGACY_FUNCTION
    return Thinking(effort=effort, show=show, shape=shape, ext=ext_of(members))


def _effort(members: Members) -> Effort | None:
    raw = members.peek("effort")
    if raw is None or raw == json.NULL:
        return None
    effort = json.decode(raw, str, members.at("effort"))
    if effort not in EFFORTS:
        return None
    members.raw("effort")
    return effort  # pyright: ignore[reportReturnType]  # EFFORTS holds the literal's values


def _summary(members: Members, key: str) -> Literal["auto", "concise", "detailed"] | None:
    raw = members.peek(key)
    if raw is None or raw == json.NULL:
        return None
    summary = json.decode(raw, str, members.at(key))
    if summary not in SUMMARIES:
        return None
    members.raw(key)
    return summary  # pyright: ignore[reportReturnType]  # SUMMARIES holds the literal's values


def _text(members: Members | None) -> tuple[OutputFormat | None, str | None, Ext | None]:
    """`text`: the format, the verbosity, and what else it has."""
    if members is None:
        return None, None, None
    verbosity = members.take("verbosity", str)
    raw = members.peek("format")
    output = None
    if raw is not None and raw != json.NULL:
        output = _format(Members.parse(raw, members.at("format")))
        if output is not None:
            members.raw("format")
    return output, verbosity, ext_of(members)


def _format(members: Members) -> OutputFormat | None:
    match members.require("type", str):
        case "text":
            return OutputFormat(kind="text", ext=ext_of(members))
        case "json_object":
            return OutputFormat(kind="json", ext=ext_of(members))
        case "json_schema":
            schema = _object(members, "schema")
            if schema is None:
                raise MalformedMessage("is required", members.at("schema"))
            return OutputFormat(
                kind="schema",
                schema=Schema(schema),
                name=members.require("name", str),
                description=members.take("description", str),
                strict=members.take("strict", bool),
                ext=ext_of(members),
            )
        case _:
            return None


def _with_text(ext: Ext | None, text: Ext | None) -> Ext | None:
    """The request's unknown members with those of `text` under its own name."""
    if text is None:
        return ext
    own = ext.get(NAME, {}) if ext else {}
    return {NAME: {**own, "text": json.raw(text[NAME])}}
