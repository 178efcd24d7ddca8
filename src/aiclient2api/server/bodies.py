"""Request bodies: how much memory all of them may hold, and JSON that two readers could take for two things.

The checks are searches over the whole text in C; only a body that looks suspicious is taken apart.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from aiclient2api.errors import Busy, MalformedMessage

MAX_DEPTH: Final = 128
MAX_DIGITS: Final = 64
MAX_BRACKETS: Final = 400_000
"""Two for each object and array. Converting takes some 20 µs for each, in which nobody else is served."""
ONCE: Final = ("model", "stream", "messages", "max_tokens")
"""Members that decide what a request is: readers differ on which of two counts, and those of Go also on case."""

_ONCE_BYTES: Final = tuple(f'"{name}"'.encode() for name in ONCE)
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER: Final = b"0" * (MAX_DIGITS + 1)
_EVERY: Final = 4
_SOME_OF_IT: Final = b"0" * (len(_LONG_NUMBER) // _EVERY)
"""What every fourth byte of a long number is at least."""
_LARGE: Final = 16 * 1024
"""Bytes from which on a parser that keeps no values is faster than searches."""
_OUTERMOST: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MEMBER: Final = re.compile(rb'[ \t\r\n]*,?[ \t\r\n]*"[^"\\]*"[ \t\r\n]*:[ \t\r\n]*')
_END: Final = re.compile(rb"[ \t\r\n]*}[ \t\r\n]*")
_NEITHER_BRACKETS_NOR_QUOTES: Final = bytes(set(range(256)) - set(b'[]{}"'))
_SAME_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class BodyBudget:
    """Bytes that the bodies of all requests under way hold together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more. Raises Busy over the limit."""
        if self.used + size > self.limit:
            raise Busy("the gateway holds too many large requests", retry_after=2.0)
        self.used += size

    def give(self, size: int) -> None:
        """Hold so many bytes less."""
        self.used -= size


def check_body(body: bytes) -> None:
    """Refuse JSON that could mean two things, or that is made to be expensive. Raises MalformedMessage.

    What is not JSON at all is for the parser to find.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body)
    if len(body) > MAX_DIGITS and _SOME_OF_IT in body[_EVERY - 1 :: _EVERY].translate(_DIGITS_TO_ZERO):
        _check_numbers(body)
    has_escapes = b"\\u" in body
    if has_escapes and _SURROGATE.search(body) is not None:
        _check_surrogates(body)
    if len(body) > _LARGE and _stands_once(body):
        return
    if has_escapes and b"\\u00" in body:
        _check_members(body)
        return
    if max(map(body.lower().count, _ONCE_BYTES)) > 1:
        _check_members(body)


def _outside_strings(body: bytes) -> bytes:
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _check_depth(body: bytes) -> None:
    """Take the innermost pairs away, level by level."""
    text = body.replace(rb"\\", b"").replace(rb"\"", b"")
    few = text.translate(_SAME_BRACKETS, _NEITHER_BRACKETS_NOR_QUOTES)
    brackets = b"".join(few.split(b'"')[::2])
    if len(brackets) > MAX_BRACKETS:
        raise MalformedMessage(f"more than {MAX_BRACKETS // 2} objects and arrays")
    for _ in range(MAX_DEPTH):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if not brackets or len(brackets) == before:
            return
    raise MalformedMessage(f"nested more than {MAX_DEPTH} levels deep")


def _check_numbers(body: bytes) -> None:
    if _LONG_NUMBER in _outside_strings(body).translate(_DIGITS_TO_ZERO):
        raise MalformedMessage(f"a number of more than {MAX_DIGITS} digits")


def _check_surrogates(body: bytes) -> None:
    if _SURROGATE.search(_PAIR.sub(b"", body.replace(rb"\\", b""))) is not None:
        raise MalformedMessage("half of a surrogate pair in a string")


def _stands_once(body: bytes) -> bool:
    """Whether no outermost member stands twice, in whatever case; False also where only `_check_members` can say.

    The value of each is found again behind the one before it, and none is left at the end: so there are as many
    members as names.
    """
    try:
        members = _OUTERMOST.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    position = body.find(b"{") + 1
    for raw in members.values():
        found, value = _MEMBER.match(body, position), bytes(raw)
        if found is None or not body.startswith(value, found.end()):
            return False
        position = found.end() + len(value)
    names = [name.casefold() for name in members]
    return _END.fullmatch(body, position) is not None and all(names.count(name) < 2 for name in ONCE)


def _check_members(body: bytes) -> None:
    """Read the whole text for its outermost members: none of the decisive ones may stand there twice."""
    names: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> None:
        names[:] = [name.casefold() for name, _ in pairs]  # the outermost object is the last one that ends

    try:
        json.loads(body, object_pairs_hook=members, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return  # not JSON: the parser has the better words for it
    for name in ONCE:
        if names.count(name) > 1:
            raise MalformedMessage("is there twice", name)
