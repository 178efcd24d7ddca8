"""`/v1/embeddings`, both ways."""

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
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.openai_chat.ext import keep, kept
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.protocols.openai_chat.usage import decode_usage
from aiclient2api.protocols.report import LossReport
from aiclient2api.protocols.vectors import as_array, as_base64
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

Wire = dict[str, object]


def decode_embedding(body: Members, model: str) -> ModelRequest:
    """A client's request."""
    whole = dict(body.rest)
    raw = body.raw("input")
    if raw is None or raw == NULL:
        raise MalformedMessage("is required", "input")
    inputs, is_list = _inputs(raw)
    encoding = body.take("encoding_format", str) or "float"
    if encoding not in ("float", "base64"):
        raise MalformedMessage("must be float or base64", "encoding_format")
    embedding = EmbedRequest(
        inputs=inputs,
        is_list=is_list,
        dimensions=body.take("dimensions", int),
        encoding="base64" if encoding == "base64" else "float",
        user=body.take("user", str),
        ext=keep(body),
    )
    return ModelRequest(
        protocol=NAME,
        model=model,
        operation="embed",
        embedding=embedding,
        ext={NAME: whole} if whole else None,
    )


def _inputs(raw: Raw) -> tuple[list[EmbedInput], bool]:
    if json.is_string(raw):
        return [EmbedText(json.decode(raw, str, "input"))], False
    items = json.parse_array(raw, "input")
    if not items:
        raise MalformedMessage("must not be empty", "input")
    if all(not json.is_string(item) and not json.is_array(item) for item in items):
        return [EmbedTokens(json.decode(raw, list[int], "input"))], False
    inputs: list[EmbedInput] = []
    for index, item in enumerate(items):
        path = f"input[{index}]"
        if json.is_string(item):
            inputs.append(EmbedText(json.decode(item, str, path)))
        else:
            inputs.append(EmbedTokens(json.decode(item, list[int], path)))
    return inputs, True


def encode_embedding(request: ModelRequest, report: LossReport) -> Wire:
    """The body for an upstream. Raises Unrepresentable."""
    if request.protocol == NAME:
        return {**kept(request), "model": request.model}
    asked = request.embedding
    if asked is None:
        raise Unrepresentable("there is nothing to embed")
    report.foreign_ext(asked, "embedding")
    for name, value in (("task", asked.task), ("title", asked.title)):
        if value is not None:
            report.dropped(f"embedding.{name}", name, value)
    inputs = [_plain(item, f"inputs[{index}]", report) for index, item in enumerate(asked.inputs)]
    body: Wire = {"model": request.model, "input": inputs if asked.is_list else inputs[0]}
    return body | json.compact({"dimensions": asked.dimensions, "user": asked.user})


def _plain(item: EmbedInput, path: str, report: LossReport) -> str | list[int]:
    match item:
        case EmbedText():
            return item.text
        case EmbedTokens():
            return item.numbers
        case EmbedParts():
            texts = [part.text for part in item.parts if isinstance(part, Text)]
            if len(texts) != len(item.parts):
                raise Unrepresentable("embeddings of anything but text cannot be sent to this upstream")
            report.approximated("embedding.parts", path, "joined to one text")
            return "\n".join(texts)


def decode_vectors(body: Members) -> ModelResponse:
    """An upstream's answer, whose `object` is `list`."""
    model = body.take("model", str) or ""
    usage = body.raw("usage")
    found: list[tuple[int, Raw | str]] = []
    for position, item in enumerate(body.objects("data")):
        index = item.take("index", int)
        value = item.raw("embedding")
        if value is None or value == NULL:
            raise MalformedMessage("is required", item.at("embedding"))
        vector: Raw | str = value
        if json.is_string(value):
            vector = json.decode(value, str, item.at("embedding"))
        elif not json.is_array(value):
            raise MalformedMessage("must be an array or base64", item.at("embedding"))
        found.append((position if index is None else index, vector))
    vectors = [vector for _, vector in sorted(found, key=lambda entry: entry[0])]
    return ModelResponse(
        protocol=NAME,
        id="",
        model=model,
        usage=decode_usage(usage) if usage is not None and usage != NULL else None,
        embedding=EmbedResponse(vectors=vectors, ext=keep(body)),
    )


def encode_vectors(response: ModelResponse, request: ModelRequest, report: LossReport) -> Wire:
    """The answer for a client, in the spelling it asked for."""
    asked, answer = request.embedding, response.embedding
    is_base64 = asked is not None and asked.encoding == "base64"
    data: list[Wire] = []
    for index, vector in enumerate(answer.vectors if answer is not None else []):
        path = f"embeddings[{index}]"
        value: object = as_base64(vector, path) if is_base64 else as_array(vector, path)
        data.append({"object": "embedding", "index": index, "embedding": value})
    usage = response.usage
    if usage is None or usage.input is None:
        report.defaulted("usage.detail", "usage", "the upstream counts no tokens of embeddings")
        usage = Usage(input=0)
    return {
        "object": "list",
        "data": data,
        "model": response.model or request.model,
        "usage": {"prompt_tokens": usage.input, "total_tokens": usage.total},
    }
