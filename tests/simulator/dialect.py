"""What the tests ask and see, whatever the protocol."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "number"}},
    "required": ["city"],
}


class Seen(NamedTuple):
    """An answer in neutral form."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""
    refusal: str = ""
    usage: tuple[int, int, int, int, int] | None = None
    """Input, cached, cache write, output, reasoning."""


Ask = dict[str, Any]
"""Neutral wishes: system, prompt, history, tools, choice, parallel, thinking, schema, max_tokens, stop, count."""


class Dialect:
    """One protocol."""

    name: str
    path: str
    headers: dict[str, str]

    def url(self, *, stream: bool) -> str:
        return self.path

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        raise AssertionError

    def whole(self, data: Any) -> Seen:
        raise AssertionError

    def streamed(self, body: bytes) -> Seen:
        raise AssertionError


def sse(body: bytes) -> list[tuple[str | None, Any]]:
    """Events as (name, data); `[DONE]` stays text."""
    events: list[tuple[str | None, Any]] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        if not block.strip():
            continue
        name: str | None = None
        data = ""
        for line in block.decode().split("\n"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
        events.append((name, data if data == "[DONE]" else json.loads(data)))
    return events


def named(names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, SCHEMA) for name in names]
