"""Plain data to typed sections, collecting every problem with its key path instead of stopping at the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct, UnsetType
from msgspec.structs import FieldInfo

from aiclient2api.config.secrets import SecretSource
from aiclient2api.config.units import Duration, Size, StoreUrl
from aiclient2api.providers.credentials import Secret

S = TypeVar("S", bound=Struct)


@cache
def _fields(type_: type[Struct]) -> tuple[FieldInfo, ...]:
    """Resolving annotations takes longer than everything else, and thousands of accounts have the same type."""
    return msgspec.structs.fields(type_)


class Unreadable(Exception):
    """Nothing can be made of a value; the problem is already noted."""


class Reader:
    """Reads sections; `problems` has one sentence for everything that is wrong."""

    def __init__(self, secrets: SecretSource) -> None:
        self.problems: list[str] = []
        self._secrets = secrets

    def section(self, type_: type[S], data: object, path: str, beside: Iterable[str] = ()) -> S:
        """`data` as `type_`, with the default in place of what does not fit, so that checks can go on.

        `beside` are keys that stand in the same section but are read elsewhere. Raises Unreadable when a key is
        missing that has no default. Null counts as absent.
        """
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise self._problem(path, "must be a section with keys")
        entries = cast(dict[object, object], data)
        fields = _fields(type_)
        self._unknown(entries, [field.encode_name for field in fields], beside, path)
        values: dict[str, object] = {}
        missing = False
        for field in fields:
            required = field.default is NODEFAULT and field.default_factory is NODEFAULT
            try:
                if entries.get(field.encode_name) is not None:
                    values[field.name] = self._value(field.type, entries[field.encode_name], _at(path, field))
                elif required:
                    raise self._problem(_at(path, field), "is required")
            except Unreadable:
                missing = missing or required
        if missing:
            raise Unreadable
        try:
            return type_(**values)
        except ValueError as error:
            raise self._problem(path, str(error)) from None

    def _unknown(
        self, entries: Mapping[object, object], own: list[str], beside: Iterable[str], path: str
    ) -> None:
        known = sorted({*own, *beside})
        for key in entries:
            if key not in own:
                close = get_close_matches(str(key), known, n=1)
                hint = f", did you mean {close[0]!r}?" if close else f" (known: {', '.join(known)})"
                self.problems.append(f"{path}.{key}: unknown key{hint}".removeprefix("."))

    def _value(self, type_: object, data: object, path: str) -> object:
        """A member: sections inside it are read by `section`, the rest by msgspec."""
        type_ = _without_none(type_)
        wanted: object = type_
        if isinstance(type_, type) and issubclass(type_, Struct):
            return self.section(type_, data, path)
        arguments = get_args(type_)
        inner = arguments[0] if get_origin(type_) is tuple else arguments[1] if len(arguments) == 2 else None
        if isinstance(inner, type) and issubclass(inner, Struct):
            if get_origin(type_) is tuple:
                return tuple(self._each(inner, self._list(data, path), path))
            mapping = self._value(dict[str, object], data, path)
            return dict(self._items(inner, cast(dict[str, object], mapping), path))
        try:
            # what comes from the environment is text, so numbers and booleans may be text everywhere
            return msgspec.convert(data, type_, strict=False, dec_hook=self._convert)
        except msgspec.ValidationError as error:
            reason, _, where = str(error).partition(" - at `$")
            raise self._problem(path + where.removesuffix("`"), _plain(reason, wanted)) from None

    def _list(self, data: object, path: str) -> list[object]:
        if not isinstance(data, list):
            raise self._problem(path, "must be a list")
        return cast(list[object], data)

    def _each(self, type_: type[S], data: list[object], path: str) -> Iterable[S]:
        results = [self._try(type_, item, f"{path}[{index}]") for index, item in enumerate(data)]
        return [result for result in results if result is not None]

    def _items(self, type_: type[S], data: dict[str, object], path: str) -> Iterable[tuple[str, S]]:
        results = [(key, self._try(type_, item, f"{path}.{key}")) for key, item in data.items()]
        return [(key, result) for key, result in results if result is not None]

    def _try(self, type_: type[S], data: object, path: str) -> S | None:
        try:
            return self.section(type_, data, path)
        except Unreadable:
            return None

    def _convert(self, type_: type, data: object) -> object:
        """What msgspec does not know: called for our own types."""
        if type_ is Secret:
            return self._secrets.resolve(data)
        if type_ is Duration:
            return Duration.parse(data)
        if type_ is Size:
            return Size.parse(data)
        if type_ is StoreUrl:
            return StoreUrl(self._secrets.resolve(data).reveal())  # it may hold a password
        if type_ is object:
            return data
        if type_ is Path and isinstance(data, str):
            return Path(data).expanduser()
        raise ValueError(f"must be a {type_.__name__.lower()}, not {data!r}")

    def _problem(self, path: str, reason: str) -> Unreadable:
        self.problems.append(f"{path}: {reason}" if path else reason)
        return Unreadable()


def _at(path: str, field: FieldInfo) -> str:
    return f"{path}.{field.encode_name}" if path else field.encode_name


def _without_none(type_: object) -> object:
    """`X | None` and `X | UNSET` as X: null counts as absent, so it never gets here."""
    if get_origin(type_) not in (Union, UnionType):
        return type_
    rest = [item for item in get_args(type_) if item not in (type(None), UnsetType)]
    return rest[0] if len(rest) == 1 else type_


def _plain(reason: str, type_: object) -> str:
    """Msgspec's «Expected `int`, got `str`» as the end of a sentence."""
    if reason.startswith("Invalid enum value ") and get_origin(type_) is Literal:
        choices = ", ".join(map(str, get_args(type_)))
        return f"must be one of {choices}, not {reason.removeprefix('Invalid enum value ')}"
    if reason.startswith("Invalid RFC3339"):
        return "must be a date with a zone, like 2027-01-31T00:00:00Z"
    return reason[:1].lower() + reason[1:].replace("`", "'")
