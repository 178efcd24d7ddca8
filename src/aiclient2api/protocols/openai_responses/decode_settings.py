"""Settings of a request: sampling, reasoning, text."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Ext, Shape
from aiclient2api.ir.request import (
    Effort,
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
)
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.schema import (
    EFFORTS,
    INCLUDE_LOGPROBS,
    INCLUDE_REASONING,
    NAME,
    SUMMARIES,
)
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


def decode_sampling(members: Members, include: Raw | None) -> Sampling:
    """How tokens are drawn."""
    wants_logprobs = include is not None and f'"{INCLUDE_LOGPROBS}"'.encode() in bytes(include)
    return Sampling(
        temperature=members.take("temperature", float),
        top_p=members.take("top_p", float),
        top_logprobs=members.take("top_logprobs", int),
        logprobs=True if wants_logprobs else None,
    )


def decode_state(members: Members, include: Raw | None) -> State | None:
    """Server-side state; `include` waits beside it, because whether reasoning comes back sealed depends on it."""
    include = None if include == json.NULL else include
    state = State(
        previous_id=members.take("previous_response_id", str),
        conversation=members.value("conversation"),
        store=members.take("store", bool),
        background=members.take("background", bool),
        truncation=members.take("truncation", str),
        stored="prompt" if members.peek("prompt") not in (None, json.NULL) else None,
        ext=_include(include),
    )
    return None if state == State() else state


def _include(include: Raw | None) -> Ext | None:
    """`include` for its own protocol; reasoning and logprobs are asked for by other members elsewhere."""
    if include is None:
        return None
    asked = set(json.decode(include, list[str], "include"))
    is_elsewhere = asked <= {INCLUDE_REASONING, INCLUDE_LOGPROBS}
    return {f"{NAME}{ECHO_SUFFIX}" if is_elsewhere else NAME: {"include": include}}


def decode_object(members: Members, key: str) -> Raw | None:
    """A member that must be an object, as it is."""
    raw = members.value(key)
    if raw is not None and not json.is_object(bytes(raw)):
        raise MalformedMessage("must be an object", members.at(key))
    return raw


def decode_thinking(members: Members | None) -> Thinking | None:
    """`reasoning`; an effort or summary that we do not know stays in ext."""
    if members is None:
        return None
    effort, show, shape = _effort(members), _summary(members, "summary"), 0
    if show is None:
        show, shape = _summary(members, "generate_summary"), Shape.LEGACY_FUNCTION
    return Thinking(effort=effort, show=show, shape=shape, ext=keep(members))


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


def decode_text(members: Members | None) -> tuple[OutputFormat | None, str | None, Ext | None]:
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
    return output, verbosity, keep(members)


def _format(members: Members) -> OutputFormat | None:
    match members.require("type", str):
        case "text":
            return OutputFormat(kind="text", ext=keep(members))
        case "json_object":
            return OutputFormat(kind="json", ext=keep(members))
        case "json_schema":
            schema = decode_object(members, "schema")
            if schema is None:
                raise MalformedMessage("is required", members.at("schema"))
            return OutputFormat(
                kind="schema",
                schema=Schema(schema),
                name=members.require("name", str),
                description=members.take("description", str),
                strict=members.take("strict", bool),
                ext=keep(members),
            )
        case _:
            return None
