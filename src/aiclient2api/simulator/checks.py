"""Strict reading of request bodies: every mistake becomes a refusal in the provider's own words."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import TypeVar, cast

import msgspec

from aiclient2api.simulator.conversation import Media, MediaKind, byte_size
from aiclient2api.simulator.jsontext import canonical, read
from aiclient2api.simulator.samples import as_object
from aiclient2api.simulator.voices import Refused, Voice

T = TypeVar("T")

GATEWAY_MAGIC = b"Z3ctY2Fycnkx"
"""How the gateway's own envelopes begin: one that reaches a provider was not taken out on the way."""

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_VALUE = re.compile(r"Invalid (?:enum )?value (.*)")
_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^,]*)?,(?P<data>.*)", re.DOTALL)
_decoders: dict[object, msgspec.json.Decoder[object]] = {}
_STREAM_MEMBERS = ("stream", "stream_options")


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object of which every member is known."""


def read_tree(body: bytes, voice: Voice) -> dict[str, object]:
    """The body as plain JSON; refused when it is none or carries a gateway's envelope."""
    try:
        tree = as_object(read(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise voice.not_json(str(error)) from None
    if tree is None:
        raise voice.not_json("the body must be an object")
    if GATEWAY_MAGIC in body:
        raise Refused("foreign signature: the request carries a gateway's envelope")
    return tree


def read_as(data: bytes, type_: type[T], voice: Voice) -> T:
    """The body as `type_`."""
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_, float_hook=Decimal)
    try:
        return cast(T, decoder.decode(data))
    except msgspec.ValidationError as error:
        raise _worded(str(error), voice) from None


def digest_of(tree: dict[str, object], *context: str) -> str:
    """What the request says, as a number; streaming or not makes no difference."""
    content = {name: value for name, value in tree.items() if name not in _STREAM_MEMBERS}
    return hashlib.sha256("\0".join(context).encode() + canonical(content)).hexdigest()


def media_from(voice: Voice, at: str, kind: MediaKind, media_type: str, data: str) -> Media:
    """Inline media; refused when it is not base64."""
    size = byte_size(data)
    if size is None:
        raise voice.wrong_type("base64 text", "text that is not base64", at)
    return Media(kind=kind, media_type=media_type, size=size)


def media_from_url(voice: Voice, at: str, kind: MediaKind, url: str) -> Media:
    """A `data:` URL or an address."""
    if found := _DATA_URL.fullmatch(url):
        return media_from(voice, at, kind, found["type"], found["data"])
    if not url.startswith(("http://", "https://")):
        raise Refused(f"Invalid '{at}': expected a data: or http(s) URL.", code="invalid_value", param=at)
    return Media(kind=kind, reference=f"url {url}")


def one_of(value: int | None, low: int, high: int, at: str) -> None:
    """A number inside its limits (OpenAI's words)."""
    if value is not None and not low <= value <= high:
        side = f">= {low}" if value < low else f"<= {high}"
        raise Refused(f"Invalid '{at}': expected a value {side}, but got {value} instead.", param=at)


def _worded(message: str, voice: Voice) -> Refused:
    """Msgspec's `text - at `$.path`` in the provider's words."""
    text, _, where = message.partition(" - at `$")
    at = where.removesuffix("`")
    if found := _UNKNOWN.match(text):
        return voice.unknown_field(found[1], at)
    if found := _MISSING.match(text):
        return voice.missing_field(found[1], at)
    if found := _TYPE.match(text):
        return voice.wrong_type(found[1], found[2], at)
    if found := _VALUE.match(text):
        return voice.wrong_value(found[1], at)
    return voice.wrong_value(f"'{text}'", at)
