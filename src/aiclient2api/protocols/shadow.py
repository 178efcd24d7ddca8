"""What a hosted tool did, told in a short text, for upstreams of another protocol. The same block, the same text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import msgspec
from msgspec import Raw

from aiclient2api.ir.parts import HostedCall, Part
from aiclient2api.ir.request import ModelRequest
from aiclient2api.wire import json

MAX_CHARACTERS: Final = 1000
_TELLING: Final = (
    "query",
    "queries",
    "url",
    "uri",
    "title",
    "name",
    "filename",
    "command",
    "commands",
    "code",
    "output",
    "outcome",
    "stdout",
    "stderr",
    "text",
    "error_code",
    "arguments",
    "path",
)
"""Members whose text says what happened; everything else is ids, ciphers and bytes."""


def with_shadows(request: ModelRequest, upstream: str) -> ModelRequest:
    """The request with a shadow for every hosted block that the upstream cannot have as it is."""
    if not any(_is_foreign(part, upstream) for turn in request.turns for part in turn.parts):
        return request
    replace = msgspec.structs.replace
    return replace(
        request,
        turns=[
            replace(turn, parts=[_shadowed(part, upstream) for part in turn.parts]) for turn in request.turns
        ],
    )


def _is_foreign(part: Part, upstream: str) -> bool:
    return isinstance(part, HostedCall) and part.protocol != upstream and part.shadow is None


def _shadowed(part: Part, upstream: str) -> Part:
    if not (isinstance(part, HostedCall) and _is_foreign(part, upstream)):
        return part
    return msgspec.structs.replace(part, shadow=shadow_of(part))


def shadow_of(part: HostedCall) -> str:
    """`[web_search call: Oslo weather]`, at most `MAX_CHARACTERS` long."""
    words = list(dict.fromkeys(text for text in _texts(part.raw) if text.strip()))
    told = " · ".join(words)
    if len(told) > MAX_CHARACTERS:
        told = told[: MAX_CHARACTERS - 1] + "…"
    kind = part.family if part.family != "other" else part.wire_type
    side = "" if part.side == "both" else f" {part.side}"
    return f"[{kind}{side}: {told}]" if told else f"[{kind}{side}]"


def _texts(raw: Raw) -> Iterator[str]:
    """The telling texts in the order of the block."""
    yield from _walk(json.decode(raw, object), telling=False)


def _walk(value: object, *, telling: bool) -> Iterator[str]:
    if isinstance(value, str):
        if telling:
            yield value
    elif isinstance(value, dict):
        for key, inner in cast(dict[str, object], value).items():
            yield from _walk(inner, telling=key in _TELLING)
    elif isinstance(value, list):
        for inner in cast(list[object], value):
            yield from _walk(inner, telling=telling)
