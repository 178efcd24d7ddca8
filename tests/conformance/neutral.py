"""What all four protocols say, in one form: items of a conversation, answers, requests, and what a caller wants."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

Role = Literal["user", "assistant"]
Kind = Literal["text", "thought", "call", "result", "image"]

_encoder = msgspec.json.Encoder(decimal_format="number")


class Item(NamedTuple):
    """One thing somebody said. `text` is also a call's arguments and a result's content."""

    role: Role
    kind: Kind
    text: str = ""
    id: str = ""
    name: str = ""
    signature: str = ""
    media_type: str = ""
    data: bytes = b""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, read from the wire or shown by an SDK.

    `finish` is the native reason (`status:reason` for Responses), `usage` the native counters, flat. The text of a
    call is its exact JSON text; an SDK that only has values shows canonical text.
    """

    id: str
    items: tuple[Item, ...]
    finish: str
    usage: dict[str, int]
    stop_sequence: str | None = None

    def of(self, kind: Kind) -> list[Item]:
        """All items of one kind."""
        return [item for item in self.items if item.kind == kind]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(item.text for item in self.of("text"))

    @property
    def reasoning(self) -> str:
        """The whole thought."""
        return "".join(item.text for item in self.of("thought"))


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream was asked."""

    model: str
    stream: bool
    system: tuple[str, ...]
    items: tuple[Item, ...]
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    schema: Any = None
    tools: dict[str, Any] = {}

    def of(self, kind: Kind, role: Role | None = None) -> list[Item]:
        """All items of one kind."""
        return [item for item in self.items if item.kind == kind and role in (None, item.role)]


class Tool(NamedTuple):
    """A function the caller offers."""

    name: str
    schema: dict[str, Any]


class Result(NamedTuple):
    """What a function answered: text, or an object (Gemini callers send it as one, the others as JSON text)."""

    call: Item
    value: str | dict[str, Any]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller sets for a whole conversation."""

    system: str | None = None
    tools: tuple[Tool, ...] = ()
    thinking: bool = False
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    stop: str | None = None


def read_json(data: bytes | str) -> Any:
    """JSON in which every number keeps its spelling."""
    return json.loads(data, parse_float=Decimal)


def write_json(value: Any) -> str:
    """Compact JSON with the spelling of numbers kept."""
    return _encoder.encode(value).decode()


def joined(items: Iterable[Item]) -> tuple[Item, ...]:
    """Neighbouring pieces of the same text as one item; a piece without text may carry its signature."""
    out: list[Item] = []
    for item in items:
        last = out[-1] if out else None
        if (
            last is not None
            and item.kind in ("text", "thought")
            and last[:2] == item[:2]
            and not last.signature
        ):
            out[-1] = last._replace(text=last.text + item.text, signature=item.signature)
        else:
            out.append(item)
    return tuple(item for item in out if item.text or item.signature or item.kind not in ("text", "thought"))
