"""An upstream's complete answer to the IR."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    Ext,
    Inline,
    Media,
    Part,
    Reasoning,
    Refusal,
    Shape,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, FinishReason, ModelResponse
from aiclient2api.protocols import data_url, ids
from aiclient2api.protocols.openai_chat.decode_parts import decode_annotations
from aiclient2api.protocols.openai_chat.decode_tools import decode_legacy_call, decode_tool_call
from aiclient2api.protocols.openai_chat.embeddings import decode_vectors
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.extra_content import Extra, reorder
from aiclient2api.protocols.openai_chat.logprobs import decode_logprobs, refusal_logprobs
from aiclient2api.protocols.openai_chat.reasoning import decode_reasoning
from aiclient2api.protocols.openai_chat.schema import FINISH_TO_IR, NAME, has_value
from aiclient2api.protocols.openai_chat.usage import decode_usage
from aiclient2api.wire import json
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.json import NULL, Members

_LIST = Raw(b'"list"')
SPOKEN_MIME = "audio/wav"
"""The answer does not say which audio format the request asked for."""


def decode_response(response: WireResponse) -> ModelResponse:
    """Decode a chat completion, or embeddings."""
    body = Members.parse(response.body)
    if body.raw("object") == _LIST:
        return decode_vectors(body)
    response_id = body.take("id", str) or ""
    usage = body.raw("usage")
    items = body.array("choices")
    if items is None:
        raise MalformedMessage("is required", "choices")
    return ModelResponse(
        protocol=NAME,
        id=response_id,
        model=body.take("model", str) or "",
        created=body.take("created", float),
        candidates=[
            _decode_choice(Members.parse(raw, f"choices[{position}]"), position, response_id)
            for position, raw in enumerate(items)
        ],
        usage=decode_usage(usage) if usage is not None and usage != NULL else None,
        tier=body.take("service_tier", str),
        ext=keep(body),
    )


def finish_of(
    word: str | None, has_calls: bool, has_refusal: bool, refused: Raw | None = None
) -> Finish | None:
    """The end of a candidate. Calls and a refusal say more than `stop`, which some servers send with both.

    `refused` are the logprobs of a refusal.
    """
    if word is None:
        return None
    reason: FinishReason = FINISH_TO_IR.get(word, "other")
    if has_calls and reason in ("stop", "other"):
        reason = "tool_use"
    elif has_refusal and reason in ("stop", "content_filter"):
        reason = "refusal"
    ext: Ext | None = {NAME: {"refusal_logprobs": refused}} if refused is not None else None
    return Finish(reason=reason, raw=word, ext=ext)


def decode_content_list(items: list[Raw], path: str) -> list[Text | Reasoning]:
    """Mistral's content: a list of text and of thinking parts."""
    parts: list[Text | Reasoning] = []
    for index, raw in enumerate(items):
        item = Members.parse(raw, f"{path}[{index}]")
        match item.take("type", str):
            case "text":
                parts.append(Text(text=item.take("text", str) or ""))
            case "thinking":
                pieces = [piece.take("text", str) or "" for piece in item.objects("thinking")]
                parts.append(Reasoning(raw=["".join(pieces)]))
            case _:
                pass
    return [part for part in parts if not isinstance(part, Text) or part.text]


def decode_image(raw: Raw, path: str) -> Media | None:
    """An image in an answer, a de-facto extension."""
    image = Members.parse(raw, path).object("image_url")
    url = image.take("url", str) if image is not None else None
    return Media(kind="image", source=data_url.parse(url)) if url else None


def _decode_choice(choice: Members, position: int, response_id: str) -> Candidate:
    index = choice.take("index", int)
    message = choice.object("message")
    if message is None:
        raise MalformedMessage("is required", choice.at("message"))
    message.raw("role")
    extra = Extra(message)
    index = position if index is None else index
    parts: list[Part] = [*decode_reasoning(message)]
    shape = _take_content(message, parts)
    _take_refusal(message, parts)
    _take_media(message, parts)
    logprobs = choice.peek("logprobs")
    spoken = None
    if logprobs is not None and has_value(logprobs):
        spoken = refusal_logprobs(logprobs, choice.at("logprobs"))
    _attach(choice, message, extra, parts)
    calls = _decode_calls(message, (response_id, str(index)))
    parts.extend(calls)
    word = choice.take("finish_reason", str)
    refused = any(isinstance(part, Refusal) for part in parts)
    turn = Turn(
        role="assistant",
        parts=reorder(parts, extra.order),
        shape=shape,
        ext=keep(message, extra_content=extra.members),
    )
    finish = finish_of(word, bool(calls), refused, spoken if refused else None)
    return Candidate(turn=turn, index=index, finish=finish, ext=keep(choice))


def _take_content(message: Members, parts: list[Part]) -> int:
    raw = message.raw("content")
    path = message.at("content")
    if raw is None:
        return Shape.CONTENT_ABSENT
    if raw == NULL:
        return Shape.CONTENT_NULL
    if json.is_array(raw):
        parts.extend(decode_content_list(json.parse_array(raw, path), path))
        return 0
    text = json.decode(raw, str, path)
    if text:
        parts.append(Text(text=text))
    return Shape.CONTENT_STRING


def _take_refusal(message: Members, parts: list[Part]) -> None:
    refusal = message.take("refusal", str)
    if refusal:
        parts.append(Refusal(text=refusal))


def _take_media(message: Members, parts: list[Part]) -> None:
    audio = message.object("audio")
    if audio is not None:
        parts.append(
            Media(
                kind="audio",
                id=audio.take("id", str),
                source=Inline(SPOKEN_MIME, audio.take("data", str) or ""),
                transcript=audio.take("transcript", str),
                expires_at=audio.take("expires_at", int),
            )
        )
    path = message.at("images")
    for index, raw in enumerate(message.array("images") or ()):
        image = decode_image(raw, f"{path}[{index}]")
        if image is not None:
            parts.append(image)


def _attach(choice: Members, message: Members, extra: Extra, parts: list[Part]) -> None:
    """Give the text what the wire keeps beside it: citations, logprobs and a signature."""
    citations = decode_annotations(message)
    raw = choice.raw("logprobs")
    logprobs = decode_logprobs(raw, choice.at("logprobs")) if raw is not None and has_value(raw) else []
    replace = msgspec.structs.replace
    for position, part in enumerate(parts):
        if isinstance(part, Text):
            parts[position] = replace(
                part, citations=citations, logprobs=logprobs or None, opaque=extra.opaque
            )
            return
    if extra.opaque is not None:
        parts.append(Text(text="", opaque=extra.opaque))


def _decode_calls(message: Members, where: tuple[str, str]) -> list[Part]:
    path = message.at("tool_calls")
    calls: list[Part] = []
    for ordinal, raw in enumerate(message.array("tool_calls") or ()):
        fallback = ids.synthetic_call_id(*where, str(ordinal))
        calls.append(decode_tool_call(raw, f"{path}[{ordinal}]", fallback))
    legacy: ToolCall | None = decode_legacy_call(message, *where)
    return [*calls, legacy] if legacy is not None else calls
