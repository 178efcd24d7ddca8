"""Wire objects in either casing: the API takes camelCase and snake_case, and its own SDK mixes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Raw

from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

SILENT = f"{NAME}{ECHO_SUFFIX}"
"""The `ext` namespace of members that mean nothing: other protocols lose nothing without them."""

_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def fields(data: bytes | Raw, path: str = "") -> Members:
    """An object with camelCase names, whichever casing it came in."""
    members = Members.parse(data, path)
    names = members.rest
    if not any("_" in name for name in names):
        return members
    return Members({_camel(name): value for name, value in names.items()}, path)


def has_snake_case(data: bytes | Raw) -> bool:
    """Whether an object's own names are written in snake_case."""
    return any("_" in name for name in Members.parse(data).rest)


def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def child(members: Members, key: str) -> Members | None:
    """Take a member that is an object."""
    raw = members.raw(key)
    return None if raw is None or raw == NULL else fields(raw, members.at(key))


def elements(members: Members, key: str) -> Iterator[tuple[Raw, str]]:
    """Take a member that is a list, element by element with its path.

    Google's parser takes a single object for a list of one, and its documentation shows requests like that.
    """
    raw = members.raw(key)
    if raw is None or raw == NULL:
        return
    path = members.at(key)
    if memoryview(raw)[0] == 0x7B:
        yield raw, path
        return
    for index, element in enumerate(json.parse_array(raw, path)):
        yield element, f"{path}[{index}]"


def given(raw: Raw) -> bool:
    """Whether a raw member of a struct is there and says something."""
    return bool(raw) and raw != NULL
