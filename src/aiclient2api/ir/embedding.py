"""Embeddings: texts in, vectors out."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from aiclient2api.ir.parts import Node, Part


class EmbedText(Struct, frozen=True, tag="text", tag_field="input"):
    """One text."""

    text: str


class EmbedTokens(Struct, frozen=True, tag="tokens", tag_field="input"):
    """Numbers of a vocabulary that only the model's vendor has."""

    numbers: list[int]


class EmbedParts(Struct, frozen=True, tag="parts", tag_field="input"):
    """Several parts that make one vector."""

    parts: list[Part]


EmbedInput = EmbedText | EmbedTokens | EmbedParts


class EmbedRequest(Node, frozen=True, kw_only=True):
    """What is to be embedded: one vector for each input."""

    inputs: list[EmbedInput]
    is_list: bool = True
    """The client sent a list, and not one bare input."""
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    task: str | None = None
    title: str | None = None
    user: str | None = None


class EmbedResponse(Node, frozen=True, kw_only=True):
    """Vectors in the order of the inputs: a JSON array of numbers, verbatim, or base64 of little-endian floats."""

    vectors: list[Raw | str]
