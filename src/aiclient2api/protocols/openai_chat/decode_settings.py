"""Settings of a request: limits, sampling, thinking, output."""

from __future__ import annotations

from typing import cast, get_args

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    Effort,
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
)
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.schema import MAX_TOKENS_ALIAS, USER_ALIAS
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

_EFFORTS = frozenset(get_args(Effort))


def decode_limit(body: Members) -> tuple[int | None, int]:
    """`max_completion_tokens`, else the deprecated `max_tokens`; both may be there for older servers."""
    limit = body.count("max_completion_tokens")
    if limit is not None:
        return limit, 0
    limit = body.count("max_tokens")
    return limit, MAX_TOKENS_ALIAS if limit is not None else 0


def decode_user(body: Members) -> tuple[str | None, int]:
    """`safety_identifier`, else the deprecated `user`; both may be there for older servers."""
    identifier = body.take("safety_identifier", str)
    if identifier is not None:
        return identifier, 0
    user = body.take("user", str)
    return user, USER_ALIAS if user is not None else 0


def decode_sampling(body: Members) -> Sampling:
    """How tokens are drawn."""
    stop, shape = body.raw("stop"), 0
    stops: list[str] | None = None
    if stop is not None and stop != NULL:
        if json.is_string(stop):
            stops, shape = [json.decode(stop, str, "stop")], Shape.SINGLE_STOP_STRING
        else:
            stops = json.decode(stop, list[str], "stop")
    return Sampling(
        temperature=body.take("temperature", float),
        top_p=body.take("top_p", float),
        top_k=body.take("top_k", float),
        seed=body.take("seed", int),
        presence_penalty=body.take("presence_penalty", float),
        frequency_penalty=body.take("frequency_penalty", float),
        logit_bias=body.take("logit_bias", dict[str, float]),
        stop=stops,
        candidates=_candidates(body),
        logprobs=body.take("logprobs", bool),
        top_logprobs=body.take("top_logprobs", int),
        shape=shape,
    )


def _candidates(body: Members) -> int | None:
    number = body.take("n", int)
    if number is not None and number < 1:
        raise MalformedMessage("must be at least 1", "n")
    return number


def decode_thinking(body: Members) -> Thinking | None:
    """`reasoning_effort`, and the `thinking` object of DeepSeek, GLM and Kimi where we know what it means."""
    exact, effort = body.peek("reasoning_effort"), body.take("reasoning_effort", str)
    if exact is not None and effort is not None and effort not in _EFFORTS:
        body.rest["reasoning_effort"], effort = exact, None
    known = cast(Effort | None, effort)
    raw = body.peek("thinking")
    if raw is not None and raw != NULL:
        thinking = Members.parse(raw, "thinking")
        type_, budget = thinking.take("type", str), thinking.take("budget_tokens", int)
        if not thinking.rest and type_ == "disabled" and budget is None:
            body.raw("thinking")
            return Thinking(effort=known, mode="off")
        if not thinking.rest and type_ == "enabled" and budget is not None:
            body.raw("thinking")
            return Thinking(effort=known, mode="fixed", budget=budget)
    return Thinking(effort=known) if known is not None else None


def decode_output(body: Members) -> OutputFormat | None:
    """How the answer must look."""
    exact, format_ = body.peek("response_format"), body.object("response_format")
    if exact is None or format_ is None:
        return None
    match format_.require("type", str):
        case "text":
            return OutputFormat(kind="text", ext=keep(format_))
        case "json_object":
            return OutputFormat(kind="json", ext=keep(format_))
        case "json_schema":
            inner = format_.object("json_schema")
            if inner is None:
                raise MalformedMessage("is required", "response_format.json_schema")
            schema = inner.value("schema")
            return OutputFormat(
                kind="schema",
                schema=Schema(schema) if schema is not None else None,
                name=inner.require("name", str),
                description=inner.take("description", str),
                strict=inner.take("strict", bool),
                ext=keep(format_, json_schema=inner),
            )
        case _:
            body.rest["response_format"] = exact
            return None


def decode_state(body: Members) -> State | None:
    """Server-side state."""
    store = body.take("store", bool)
    return State(store=store) if store is not None else None
