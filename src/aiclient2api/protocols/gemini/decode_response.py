"""An upstream's complete answer."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Part, Text, ToolCall
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, ModelResponse
from aiclient2api.protocols import ids
from aiclient2api.protocols.gemini.citations import decode_grounding
from aiclient2api.protocols.gemini.decode_parts import decode_part
from aiclient2api.protocols.gemini.embeddings import decode_vectors
from aiclient2api.protocols.gemini.ext import keep, repeated
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.gemini.finish import decode_block, decode_finish
from aiclient2api.protocols.gemini.logprobs import decode_logprobs
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.gemini.usage import decode_count, decode_usage, tier_of
from aiclient2api.wire import json
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.json import NULL, Members

MADE_AT = ("createTime",)
"""What the IR has as `created`."""


def decode_response(response: WireResponse) -> ModelResponse:
    """See Converter.decode_response."""
    try:
        return _decode(fields(response.body))
    except UnicodeDecodeError:
        raise MalformedMessage("not valid UTF-8") from None


def _decode(body: Members) -> ModelResponse:
    if "totalTokens" in body:
        return decode_count(body)
    if "embedding" in body or "embeddings" in body:
        return decode_vectors(body)
    response_id = body.take("responseId", str) or ""
    candidates = [
        _candidate(fields(raw, path), position, response_id)
        for position, (raw, path) in enumerate(elements(body, "candidates"))
    ]
    raw_usage = body.value("usageMetadata")
    feedback = body.peek("promptFeedback")
    blocked = None
    if not candidates and feedback is not None and feedback != NULL:
        blocked = decode_block(feedback)
        body.raw("promptFeedback")
    if not candidates and blocked is None:
        raise MalformedMessage("there are none, nor a block reason", "candidates")
    created = body.peek("createTime")
    return ModelResponse(
        protocol=NAME,
        id=response_id,
        model=body.take("modelVersion", str) or "",
        created=timestamp(json.decode(created, str)) if created is not None else None,
        candidates=candidates,
        usage=decode_usage(raw_usage) if raw_usage is not None else None,
        blocked=blocked,
        tier=tier_of(raw_usage),
        ext=repeated((keep(body) or {}).get(NAME), MADE_AT),
    )


def timestamp(text: str) -> float | None:
    """Unix time of an RFC 3339 text, None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _candidate(members: Members, position: int, response_id: str) -> Candidate:
    index = members.take("index", int)
    index = position if index is None else index
    parts: list[Part] = []
    content, beside = child(members, "content"), None
    if content is not None:
        content.take("role", str)
        for raw, path in elements(content, "parts"):
            part = decode_part(raw, path)
            if isinstance(part, ToolCall) and not part.call_id:
                ordinal = sum(isinstance(known, ToolCall) for known in parts)
                call_id = ids.synthetic_call_id(response_id, str(index), str(ordinal))
                part = msgspec.structs.replace(part, call_id=call_id)
            if not is_padding(part):
                parts.append(part)
        beside = keep(content)
    _annotate(members, parts)
    finish = decode_finish(
        members.take("finishReason", str),
        members.take("finishMessage", str),
        keep(members),
        has_calls=any(isinstance(part, ToolCall) for part in parts),
    )
    return Candidate(turn=Turn(role="assistant", parts=parts, ext=beside), index=index, finish=finish)


def is_padding(part: Part) -> bool:
    """Google ends answers with an empty text that says nothing."""
    return isinstance(part, Text) and not part.text and part.opaque is None and part.ext is None


def _annotate(members: Members, parts: list[Part]) -> None:
    """Attach sources and probabilities to the last text; the raw members stay in the candidate's `ext`."""
    found = next(((at, part) for at, part in reversed(list(enumerate(parts))) if _is_spoken(part)), None)
    if found is None:
        return
    place, text = found
    assert isinstance(text, Text)
    grounding, logprobs = members.peek("groundingMetadata"), members.peek("logprobsResult")
    if grounding is not None and grounding != NULL:
        text = msgspec.structs.replace(text, citations=decode_grounding(grounding, text.text))
    if logprobs is not None and logprobs != NULL:
        text = msgspec.structs.replace(text, logprobs=decode_logprobs(logprobs) or None)
    parts[place] = text


def _is_spoken(part: Part) -> bool:
    return isinstance(part, Text) and bool(part.text)
