"""Typed JSON with nothing lost: shallow objects whose members stay raw until somebody asks for them.

`Members` is how every converter reads an object: take what you know with its type, keep the rest as it was.
Numbers, key order inside untouched members and unknown fields survive byte for byte, because a member that
nobody takes is never decoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage

T = TypeVar("T")

_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_any = msgspec.json.Decoder(Raw)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_encoder = msgspec.json.Encoder()
_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is wrong with data that cannot be decoded."""
_SENTINEL = re.compile(rb"\s*(?:\[[A-Z]+\]\s*)?")

encode = _encoder.encode
"""Compact JSON of builtins, structs and Raw members (Raw is spliced as it is)."""

_ESCAPED = b"\\ud"

NULL = Raw(b"null")


def decode(data: bytes | Raw, type_: type[T], path: str = "") -> T:
    """`data` as `type_`; MalformedMessage names the path of what does not fit."""
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        if type(data) is bytes and not data.isascii():
            data.decode()  # raw members are never looked into: what is no UTF-8 has to be found in the whole
        found: T = decoder.decode(data)
        return found
    except msgspec.ValidationError as error:
        raise _wrong_type(error, path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(error, data, path) from None
    except RecursionError:
        raise MalformedMessage("nested too deeply", path) from None


def _not_json(error: Exception, data: bytes | Raw, path: str) -> MalformedMessage:
    """What a decoder gave up on. Half of a surrogate pair is JSON's only fault that has a place."""
    where = _surrogate_path(data, path) if _ESCAPED in bytes(data).lower() else None
    if where is not None:
        return MalformedMessage("half of a surrogate pair", where)
    return MalformedMessage(f"not valid JSON: {error}", path)


def text(data: Raw, path: str = "") -> str:
    """A raw member as it is written."""
    try:
        return bytes(data).decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"not valid JSON: {error}", path) from None


def check_event(data: bytes) -> None:
    """An event that is relayed unread must at least be whole; raises MalformedMessage.

    Sentinels such as `[DONE]`, and nothing at all, are no JSON.
    """
    if data[:1] != b"{" and _SENTINEL.fullmatch(data):
        return
    try:
        _any.decode(data)
    except msgspec.DecodeError as error:
        raise MalformedMessage(f"not valid JSON: {error}") from None
    except RecursionError:
        raise MalformedMessage("nested too deeply") from None


def _wrong_type(error: msgspec.ValidationError, path: str) -> MalformedMessage:
    """Msgspec says «Expected `int`, got `str` - at `$.a[0]`»: split the path off and join it to ours."""
    text, _, where = str(error).partition(" - at `$")
    inner = where.removesuffix("`")
    missing = text.partition("missing required field `")[2].removesuffix("`")
    if missing:
        text, inner = "is required", f"{inner}.{missing}"
    return MalformedMessage(
        text[:1].lower() + text[1:], f"{path}{inner}" if path else inner.removeprefix(".")
    )


def _surrogate_path(data: bytes | Raw, path: str) -> str | None:
    """Where the half of a surrogate pair stands that made a decoder give up, if that is what did."""
    try:
        waiting: list[tuple[str, object]] = [(path, json.loads(bytes(data)))]
    except (ValueError, RecursionError):
        return None
    while waiting:
        where, node = waiting.pop()
        if isinstance(node, str) and any("\ud800" <= char <= "\udfff" for char in node):
            return where
        if isinstance(node, list):
            items = cast(list[object], node)
            waiting.extend(reversed([(f"{where}[{index}]", item) for index, item in enumerate(items)]))
        elif isinstance(node, dict):
            named = cast(dict[str, object], node).items()
            waiting.extend(reversed([(f"{where}.{name}" if where else name, inner) for name, inner in named]))
    return None


class Members(Struct, eq=False):
    """A JSON object being taken apart."""

    rest: dict[str, Raw]
    """Everything that was not taken yet, as it was."""
    path: str = ""

    @classmethod
    def parse(cls, data: bytes | Raw, path: str = "") -> Members:
        """`data` must be a JSON object."""
        try:
            if type(data) is bytes and not data.isascii():
                data.decode()  # as in `decode`
            return cls(_object.decode(data), path)
        except msgspec.ValidationError:
            raise MalformedMessage("must be an object", path) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _not_json(error, data, path) from None
        except RecursionError:
            raise MalformedMessage("nested too deeply", path) from None

    def __contains__(self, key: str) -> bool:
        return key in self.rest

    def at(self, key: str) -> str:
        """The path of a member, for error messages."""
        return f"{self.path}.{key}" if self.path else key

    def raw(self, key: str) -> Raw | None:
        """Take a member as it is; None when absent. An explicit null is returned as such."""
        return self.rest.pop(key, None)

    def value(self, key: str) -> Raw | None:
        """Take a member as it is; None when absent or null."""
        raw = self.rest.pop(key, None)
        return None if raw is None or raw == NULL else raw

    def peek(self, key: str) -> Raw | None:
        """Look at a member without taking it."""
        return self.rest.get(key)

    def take(self, key: str, type_: type[T]) -> T | None:
        """Take a member with its type; None when absent or null."""
        raw = self.rest.pop(key, None)
        if raw is None or raw == NULL:
            return None
        decoder = _decoders.get(type_)
        if decoder is not None:
            try:
                found: T = decoder.decode(raw)
                return found
            except _FAULTS:
                pass  # `decode` says what is wrong, and where
        return decode(raw, type_, self.at(key))

    def require(self, key: str, type_: type[T]) -> T:
        """Take a member that must be there."""
        value = self.take(key, type_)
        if value is None:
            raise MalformedMessage("is required", self.at(key))
        return value

    def count(self, key: str) -> int | None:
        """Take a number that may not be negative; None when absent or null."""
        number = self.take(key, int)
        if number is not None and number < 0:
            raise MalformedMessage("must not be negative", self.at(key))
        return number

    def object(self, key: str) -> Members | None:
        """Take a member that is an object."""
        raw = self.rest.pop(key, None)
        if raw is None or raw == NULL:
            return None
        return Members.parse(raw, self.at(key))

    def array(self, key: str) -> list[Raw] | None:
        """Take a member that is an array; its elements stay raw."""
        raw = self.rest.pop(key, None)
        if raw is None or raw == NULL:
            return None
        return parse_array(raw, self.at(key))

    def objects(self, key: str) -> Iterator[Members]:
        """Take a member that is an array of objects; nothing when absent."""
        for index, raw in enumerate(self.array(key) or ()):
            yield Members.parse(raw, f"{self.at(key)}[{index}]")


def compact(members: Mapping[str, object | None]) -> dict[str, object]:
    """The members that have a value."""
    told: dict[str, object] = {}
    for name, value in members.items():
        if value is not None:
            told[name] = value
    return told


def parse_array(data: bytes | Raw, path: str = "") -> list[Raw]:
    """`data` must be a JSON array; its elements stay raw."""
    try:
        if type(data) is bytes and not data.isascii():
            data.decode()  # as in `decode`
        return _array.decode(data)
    except msgspec.ValidationError:
        raise MalformedMessage("must be an array", path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"not valid JSON: {error}", path) from None
    except RecursionError:
        raise MalformedMessage("nested too deeply", path) from None


def raw(value: object) -> Raw:
    """Any encodable value as a Raw member."""
    return Raw(encode(value))


def is_string(data: Raw) -> bool:
    """Whether a raw member is a JSON string."""
    return memoryview(data)[0] == 0x22


def is_array(data: Raw) -> bool:
    """Whether a raw member is a JSON array."""
    return memoryview(data)[0] == 0x5B


def as_object(data: bytes | Raw) -> dict[str, Raw] | None:
    """The members of a JSON object; None where `data` is something else, or no JSON."""
    try:
        return _object.decode(data)
    except _FAULTS:
        return None


def is_object(data: bytes) -> bool:
    """Whether `data` is the text of a JSON object (checked by parsing it)."""
    return as_object(data) is not None
