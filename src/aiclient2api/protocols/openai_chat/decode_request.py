"""A client's request to the IR."""

from __future__ import annotations

from typing import cast, get_args

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    Effort,
    ModelRequest,
    Operation,
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
)
from aiclient2api.protocols.openai_chat.decode_messages import MessagesDecoder
from aiclient2api.protocols.openai_chat.members import unknown
from aiclient2api.protocols.openai_chat.schema import MAX_TOKENS_ALIAS, NAME, USER_ALIAS
from aiclient2api.protocols.openai_chat.tools import decode_tool_choice, decode_tools
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import NULL, Members

_EFFORTS = frozenset(get_args(Effort))


def operation_of(path: str) -> Operation:
    """What a path asks for."""
    return "embed" if path.endswith("/embeddings") else "generate"


def decode_request(request: WireRequest) -> ModelRequest:
    """Decode a chat completion or embeddings request."""
    body = Members.parse(request.body)
    model = body.require("model", str)
    if not model:
        raise MalformedMessage("must not be empty", "model")
    if operation_of(request.path) == "embed":
        return ModelRequest(protocol=NAME, model=model, operation="embed", ext=unknown(body))
    return _decode_chat(body, model)


def _decode_chat(body: Members, model: str) -> ModelRequest:
    messages = MessagesDecoder()
    items = body.array("messages")
    if items is None:
        raise MalformedMessage("is required", "messages")
    for index, raw in enumerate(items):
        messages.add(raw, f"messages[{index}]")
    options = body.object("stream_options")
    asked_usage = bool(options.take("include_usage", bool)) if options is not None else False
    max_output, limit_shape = _decode_limit(body)
    user, user_shape = _decode_user(body)
    return ModelRequest(
        protocol=NAME,
        model=model,
        stream="sse" if body.take("stream", bool) else "no",
        include_usage=asked_usage,
        turns=messages.turns,
        tools=decode_tools(body),
        tool_choice=decode_tool_choice(body),
        parallel_tools=body.take("parallel_tool_calls", bool),
        max_output=max_output,
        sampling=_decode_sampling(body),
        thinking=_decode_thinking(body),
        output=_decode_output(body),
        verbosity=body.take("verbosity", str),
        modalities=body.take("modalities", list[str]),
        state=_decode_state(body),
        tier=body.take("service_tier", str),
        user=user,
        metadata=body.take("metadata", dict[str, str]),
        cache_key=body.take("prompt_cache_key", str),
        cache_policy=_decode_raw(body, "prompt_cache_options"),
        safety=_decode_raw(body, "moderation"),
        shape=limit_shape | user_shape,
        ext=unknown(body, stream_options=options),
    )


def _decode_limit(body: Members) -> tuple[int | None, int]:
    """`max_completion_tokens`, else the deprecated `max_tokens`; both may be there for older servers."""
    limit = body.take("max_completion_tokens", int)
    if limit is not None:
        return limit, 0
    limit = body.take("max_tokens", int)
    return limit, MAX_TOKENS_ALIAS if limit is not None else 0


def _decode_user(body: Members) -> tuple[str | None, int]:
    """`safety_identifier`, else the deprecated `user`; both may be there for older servers."""
    identifier = body.take("safety_identifier", str)
    if identifier is not None:
        return identifier, 0
    user = body.take("user", str)
    return user, USER_ALIAS if user is not None else 0


def _decode_sampling(body: Members) -> Sampling:
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
        candidates=body.take("n", int),
        logprobs=body.take("logprobs", bool),
        top_logprobs=body.take("top_logprobs", int),
        shape=shape,
    )


def _decode_thinking(body: Members) -> Thinking | None:
    """`reasoning_effort`, and the `thinking` object of DeepSeek, GLM and Kimi where we know what it means."""
    exact, effort = body.peek("reasoning_effort"), body.take("reasoning_effort", str)
    if exact is not None and effort is not None and effort not in _EFFORTS:
        body.rest()["reasoning_effort"], effort = exact, None
    known = cast(Effort | None, effort)
    raw = body.peek("thinking")
    if raw is not None and raw != NULL:
        thinking = Members.parse(raw, "thinking")
        type_, budget = thinking.take("type", str), thinking.take("budget_tokens", int)
        if not thinking.rest() and type_ == "disabled" and budget is None:
            body.raw("thinking")
            return Thinking(effort=known, mode="off")
        if not thinking.rest() and type_ == "enabled" and budget is not None:
            body.raw("thinking")
            return Thinking(effort=known, mode="fixed", budget=budget)
    return Thinking(effort=known) if known is not None else None


def _decode_output(body: Members) -> OutputFormat | None:
    exact, format_ = body.peek("response_format"), body.object("response_format")
    if exact is None or format_ is None:
        return None
    match format_.require("type", str):
        case "text":
            return OutputFormat(kind="text", ext=unknown(format_))
        case "json_object":
            return OutputFormat(kind="json", ext=unknown(format_))
        case "json_schema":
            inner = format_.object("json_schema")
            if inner is None:
                raise MalformedMessage("is required", "response_format.json_schema")
            schema = _decode_raw(inner, "schema")
            return OutputFormat(
                kind="schema",
                schema=Schema(schema) if schema is not None else None,
                name=inner.require("name", str),
                description=inner.take("description", str),
                strict=inner.take("strict", bool),
                ext=unknown(format_, json_schema=inner),
            )
        case _:
            body.rest()["response_format"] = exact
            return None


def _decode_state(body: Members) -> State | None:
    store = body.take("store", bool)
    return State(store=store) if store is not None else None


def _decode_raw(body: Members, key: str) -> Raw | None:
    raw = body.raw(key)
    return None if raw is None or raw == NULL else raw
