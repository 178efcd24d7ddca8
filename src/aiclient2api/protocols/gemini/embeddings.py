"""`embedContent` and `batchEmbedContents`, both ways."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import MalformedMessage, Unrepresentable
from aiclient2api.ir.embedding import (
    EmbedInput,
    EmbedParts,
    EmbedRequest,
    EmbedResponse,
    EmbedText,
    EmbedTokens,
)
from aiclient2api.ir.parts import Part, Text
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import ModelResponse
from aiclient2api.protocols.gemini.decode_parts import decode_part
from aiclient2api.protocols.gemini.ext import keep, kept
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.gemini.usage import decode_usage
from aiclient2api.protocols.report import LossReport
from aiclient2api.protocols.vectors import as_array
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

Wire = dict[str, object]
BATCH = "batchEmbedContents"
SINGLE = "embedContent"
_Settings = tuple[str | None, str | None, int | None]


def decode_embedding(method: str, model: str, body: Members) -> ModelRequest:
    """A client's request. Settings that differ within a batch cannot leave this protocol: they stay in `ext`."""
    whole = dict(body.rest)
    requests = [fields(raw, path) for raw, path in elements(body, "requests")] if method == BATCH else [body]
    if not requests:
        raise MalformedMessage("is required", "requests")
    inputs: list[EmbedInput] = []
    settings: set[_Settings] = set()
    for one in requests:
        one.raw("model")
        inputs.append(_input(one))
        settings.add(
            (one.take("taskType", str), one.take("title", str), one.take("outputDimensionality", int))
        )
    task, title, dimensions = settings.pop() if len(settings) == 1 else (None, None, None)
    unknown = {name: raw for one in requests for name, raw in one.rest.items()}
    if settings:
        unknown["requests"] = json.raw("settings differ")
    embedding = EmbedRequest(
        inputs=inputs,
        is_list=method == BATCH,
        dimensions=dimensions,
        task=task,
        title=title,
        ext={NAME: unknown} if unknown else None,
    )
    return ModelRequest(
        protocol=NAME,
        model=model,
        operation="embed",
        dialect=method,
        embedding=embedding,
        ext={NAME: whole} if whole else None,
    )


def _input(one: Members) -> EmbedInput:
    content = child(one, "content")
    if content is None:
        raise MalformedMessage("is required", one.at("content"))
    parts: list[Part] = [decode_part(raw, path) for raw, path in elements(content, "parts")]
    if len(parts) == 1 and isinstance(parts[0], Text):
        return EmbedText(parts[0].text)
    return EmbedParts(parts)


def encode_embedding(request: ModelRequest, report: LossReport) -> tuple[str, Wire]:
    """The method and the body for an upstream. Raises Unrepresentable."""
    if request.protocol == NAME:
        members = kept(request)
        return BATCH if "requests" in members else SINGLE, dict(members)
    asked = request.embedding
    if asked is None:
        raise Unrepresentable("there is nothing to embed")
    report.foreign_ext(asked, "embedding")
    if asked.user is not None:
        report.dropped("user", "user")
    resource = request.model if "/" in request.model else f"models/{request.model}"
    requests = [
        {
            "model": resource,
            "content": {"parts": [{"text": _text(item)}]},
            **json.compact({"outputDimensionality": asked.dimensions}),
        }
        for item in asked.inputs
    ]
    return (BATCH, {"requests": requests}) if asked.is_list else (SINGLE, dict(requests[0]))


def _text(item: EmbedInput) -> str:
    match item:
        case EmbedText():
            return item.text
        case EmbedTokens():
            raise Unrepresentable("token numbers belong to another vendor's vocabulary: send text")
        case EmbedParts():
            raise Unrepresentable("embeddings of several parts cannot be converted")


def decode_vectors(body: Members) -> ModelResponse:
    """An upstream's answer to either method."""
    single = child(body, "embedding")
    found = (
        [single] if single is not None else [fields(raw, path) for raw, path in elements(body, "embeddings")]
    )
    vectors: list[Raw | str] = []
    for one in found:
        values = one.raw("values")
        if values is None or not json.is_array(values):
            raise MalformedMessage("must be an array", one.at("values"))
        vectors.append(values)
    usage = body.raw("usageMetadata")
    return ModelResponse(
        protocol=NAME,
        id="",
        model="",
        usage=decode_usage(usage) if usage is not None and usage != NULL else None,
        embedding=EmbedResponse(vectors=vectors, ext=keep(body)),
    )


def encode_vectors(response: ModelResponse, request: ModelRequest, report: LossReport) -> Wire:
    """The answer for a client of either method."""
    answer = response.embedding
    vectors = answer.vectors if answer is not None else []
    values: list[Wire] = [
        {"values": as_array(vector, f"embeddings[{index}]")} for index, vector in enumerate(vectors)
    ]
    if response.usage is not None:
        report.dropped("usage.detail", "usage", "this protocol counts no tokens of embeddings")
    if request.dialect == BATCH:
        return {"embeddings": values}
    return {"embedding": values[0] if values else {"values": []}}
