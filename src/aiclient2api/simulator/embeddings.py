"""Embeddings: unit vectors made of the text's own digest, in both providers' forms."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Literal

from aiclient2api.simulator import gemini_request as gemini
from aiclient2api.simulator.checks import Strict, one_of, read_as, read_tree
from aiclient2api.simulator.conversation import words
from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import shown_model
from aiclient2api.simulator.voices import OpenAIVoice, Refused

VOICE = OpenAIVoice()


class EmbeddingsRequest(Strict):
    """The members of `POST /v1/embeddings`."""

    input: str | list[str | int | list[int]]
    model: str
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


def vector(text: str, size: int) -> list[float]:
    """A unit vector: the same for the same text, another for another."""
    raw: list[float] = []
    block = 0
    while len(raw) < size:
        digest = hashlib.sha256(f"{block}\0{text}".encode()).digest()
        raw.extend(byte / 127.5 - 1.0 for byte in digest)
        block += 1
    raw = raw[:size]
    length = sum(value * value for value in raw) ** 0.5
    return [_single(value / length) for value in raw]


def openai_embeddings(body: bytes, settings: SimulatorSettings) -> bytes:
    """`POST /v1/embeddings`."""
    read_tree(body, VOICE)
    request = read_as(body, EmbeddingsRequest, VOICE)
    one_of(request.dimensions, 1, 65536, "dimensions")
    texts = _inputs(request)
    size = request.dimensions or settings.embedding_size
    data: list[Json] = []
    for index, text in enumerate(texts):
        values = vector(text, size)
        packed = base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
        is_packed = request.encoding_format == "base64"
        data.append({"object": "embedding", "index": index, "embedding": packed if is_packed else values})
    count = max(1, sum(words(text) for text in texts))
    usage = {"prompt_tokens": count, "total_tokens": count}
    return dump({"object": "list", "data": data, "model": shown_model(request.model), "usage": usage})


def gemini_embedding(body: bytes, settings: SimulatorSettings) -> bytes:
    """`embedContent`."""
    request = read_as(_camel(body), gemini.EmbedRequest, gemini.VOICE)
    return dump({"embedding": _embedded(request, settings)})


def gemini_embeddings(body: bytes, settings: SimulatorSettings) -> bytes:
    """`batchEmbedContents`."""
    request = read_as(_camel(body), gemini.BatchEmbedRequest, gemini.VOICE)
    return dump({"embeddings": [_embedded(one, settings) for one in request.requests]})


def _camel(body: bytes) -> bytes:
    return dump(gemini.camel_cased(read_tree(body, gemini.VOICE)))


def _embedded(request: gemini.EmbedRequest, settings: SimulatorSettings) -> dict[str, Json]:
    text = "\n".join(part.text for part in request.content.parts or () if part.text)
    if not text:
        raise Refused("* EmbedContentRequest.content: contents is not specified\n")
    return {"values": vector(text, request.outputDimensionality or settings.embedding_size)}


def _inputs(request: EmbeddingsRequest) -> list[str]:
    """One text per vector; token lists are turned into text of their numbers."""
    if isinstance(request.input, str):
        texts = [request.input]
    elif request.input and all(isinstance(item, int) for item in request.input):
        texts = [" ".join(str(item) for item in request.input)]
    else:
        texts = [item if isinstance(item, str) else str(item) for item in request.input]
    if not texts or not all(texts):
        raise Refused("Invalid 'input': input cannot be an empty string.", param="input")
    return texts


def _single(value: float) -> float:
    """Rounded to 32 bits, so that both encodings say the same."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
