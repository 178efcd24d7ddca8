"""Images that a hosted tool of Responses drew, for clients of other protocols, whose blocks are not their own."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import HostedCall, Inline, Media
from aiclient2api.protocols import data_url
from aiclient2api.wire import json

_DRAWING: Final = "image_generation_call"
_FORMAT: Final = "png"


class _Drawn(msgspec.Struct):
    result: str | None = None
    output_format: str | None = None


def drawn_image(block: HostedCall) -> Media | None:
    """The image that a block holds, if it is one that holds images."""
    if block.wire_type != _DRAWING:
        return None
    try:
        drawn = json.decode(block.raw, _Drawn)
        data = data_url.checked(drawn.result or "", "result")
    except MalformedMessage:
        return None
    return (
        Media(kind="image", source=Inline(f"image/{drawn.output_format or _FORMAT}", data)) if data else None
    )


def without_image(block: HostedCall) -> HostedCall:
    """The block without the image, which the client sends back beside it."""
    members = json.decode(block.raw, dict[str, Raw])
    return msgspec.structs.replace(block, raw=json.raw({**members, "result": None}))


def with_image(block: HostedCall, media: Media) -> Raw | None:
    """The block that drew this image, whole; None where it is another's."""
    if block.wire_type != _DRAWING or not isinstance(media.source, Inline):
        return None
    own = drawn_image(block)
    if own is not None:
        return block.raw if own.source == media.source else None
    members = json.decode(block.raw, dict[str, Raw])
    return json.raw({**members, "result": media.source.data})
