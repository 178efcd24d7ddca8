"""A client's request to the IR."""

from __future__ import annotations

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import (
    ModelRequest,
    Operation,
)
from aiclient2api.protocols.openai_chat.decode_settings import (
    decode_limit,
    decode_output,
    decode_sampling,
    decode_state,
    decode_thinking,
    decode_user,
)
from aiclient2api.protocols.openai_chat.decode_tools import decode_tool_choice, decode_tools
from aiclient2api.protocols.openai_chat.decode_turns import MessagesDecoder
from aiclient2api.protocols.openai_chat.embeddings import decode_embedding
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members


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
        return decode_embedding(body, model)
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
    max_output, limit_shape = decode_limit(body)
    user, user_shape = decode_user(body)
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
        sampling=decode_sampling(body),
        thinking=decode_thinking(body),
        output=decode_output(body),
        verbosity=body.take("verbosity", str),
        modalities=body.take("modalities", list[str]),
        state=decode_state(body),
        tier=body.take("service_tier", str),
        user=user,
        metadata=body.take("metadata", dict[str, str]),
        cache_key=body.take("prompt_cache_key", str),
        cache_policy=body.value("prompt_cache_options"),
        safety=body.value("moderation"),
        shape=limit_shape | user_shape,
        ext=keep(body, stream_options=options),
    )
