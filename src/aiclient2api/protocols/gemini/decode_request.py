"""A client's request to the IR."""

from __future__ import annotations

from urllib.parse import parse_qsl

from msgspec import Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import ModelRequest, Operation, State, StreamMode, Turn
from aiclient2api.protocols.gemini.decode_settings import decode_config
from aiclient2api.protocols.gemini.decode_tools import decode_tool_choice, decode_tools
from aiclient2api.protocols.gemini.decode_turns import ContentsDecoder, decode_system
from aiclient2api.protocols.gemini.embeddings import decode_embedding
from aiclient2api.protocols.gemini.ext import keep
from aiclient2api.protocols.gemini.fields import child, elements, fields, has_snake_case
from aiclient2api.protocols.gemini.schema import NAME, PATH, TIERS
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import NULL, Members

_OPERATIONS: dict[str, Operation] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count_tokens",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}


class Address(Struct, frozen=True):
    """What the path and the query of a request say."""

    version: str
    model: str
    method: str
    operation: Operation
    stream: StreamMode


def read_address(request: WireRequest) -> Address:
    """The model, which is nowhere else, and the operation."""
    found = PATH.fullmatch(request.path)
    operation = _OPERATIONS.get(found["method"]) if found else None
    if found is None or operation is None:
        raise MalformedMessage("the path must be /v1beta/models/{model}:{method}")
    stream: StreamMode = "no"
    if found["method"] == "streamGenerateContent":
        stream = "sse" if ("alt", "sse") in parse_qsl(request.query) else "json_array"
    model = found["model"].removeprefix("models/")
    return Address(found["version"], model, found["method"], operation, stream)


def decode_request(request: WireRequest) -> ModelRequest:
    """See Converter.decode_request."""
    address = read_address(request)
    try:
        if address.operation == "embed":
            return decode_embedding(address.method, address.model, fields(request.body))
        return _generation(address, request.body)
    except UnicodeDecodeError:
        raise MalformedMessage("not valid UTF-8") from None


def _generation(address: Address, data: bytes) -> ModelRequest:
    body = fields(data)
    if address.operation == "count_tokens" and "generateContentRequest" in body:
        body = child(body, "generateContentRequest") or body
    body.raw("model")  # the path is the authority
    turns: list[Turn] = []
    system = child(body, "systemInstruction")
    if system is not None:
        turns.append(decode_system(system))
    hoisted = len(turns)
    contents = ContentsDecoder(turns)
    if "contents" not in body:
        raise MalformedMessage("is required", body.at("contents"))
    for raw, path in elements(body, "contents"):
        contents.add(raw, path)
    config = child(body, "generationConfig") or Members({}, body.at("generationConfig"))
    tool_config = child(body, "toolConfig")
    settings = decode_config(config)
    tier = body.take("serviceTier", str)
    store = body.take("store", bool)
    cached = "cachedContent" if body.peek("cachedContent") not in (None, NULL) else None
    return ModelRequest(
        protocol=NAME,
        model=address.model,
        operation=address.operation,
        stream=address.stream,
        turns=turns,
        hoisted=hoisted,
        tools=decode_tools(body),
        tool_choice=decode_tool_choice(tool_config),
        max_output=settings.max_output,
        sampling=settings.sampling,
        thinking=settings.thinking,
        output=settings.output,
        modalities=settings.modalities,
        state=State(store=store, stored=cached) if store is not None or cached else None,
        tier=TIERS.get(tier.lower(), tier) if tier is not None else None,
        metadata=body.take("labels", dict[str, str]),
        safety=body.raw("safetySettings"),
        shape=Shape.SNAKE_CASE if has_snake_case(data) else 0,
        ext=keep(body, generationConfig=config, toolConfig=tool_config),
    )
