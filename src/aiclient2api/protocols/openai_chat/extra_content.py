"""`extra_content`: Google's signature slot, and our skeleton of the part order.

A Chat message has fixed places for reasoning, text and calls. Where an answer had another order, the skeleton
`r0 c0 r1 c1 t0` tells it, and a client that sends the message object back keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.ir.parts import Opaque, Part, Reasoning, Text, ToolCall
from aiclient2api.protocols import carrier
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_LETTER: dict[type[Part], str] = {Reasoning: "r", Text: "t", ToolCall: "c"}


class Extra:
    """The extra content of a message or a call, taken apart; `members` keeps what is not ours."""

    __slots__ = ("members", "opaque", "order")

    def __init__(self, outer: Members) -> None:
        self.members = outer.object("extra_content")
        self.opaque: Opaque | None = None
        self.order: str | None = None
        if self.members is None:
            return
        google, gateway = self.members.object("google"), self.members.object("gateway")
        if google is not None:
            signature = google.take("thought_signature", str)
            self.opaque = carrier.opaque("gemini.signature", signature) if signature else None
            if google.rest:
                self.members.rest["google"] = json.raw(google.rest)
        if gateway is not None:
            self.order = gateway.take("order", str)


def signature(opaque: Opaque) -> dict[str, object]:
    """`extra_content` with a signature."""
    return {"google": {"thought_signature": opaque.data}}


def skeleton(letters: Sequence[str]) -> str | None:
    """The skeleton of a sequence of `r`, `t` and `c`; None for the order that a message has anyway."""
    if "".join(letters) == "".join(sorted(letters, key="rtc".index)):
        return None
    counts = dict.fromkeys("rtc", 0)
    tokens: list[str] = []
    for letter in letters:
        tokens.append(f"{letter}{counts[letter]}")
        counts[letter] += 1
    return " ".join(tokens)


def reorder(parts: list[Part], order: str | None) -> list[Part]:
    """The parts as the skeleton says, if it fits exactly; other kinds of parts stay behind them."""
    if not order:
        return parts
    places: dict[str, Part] = {}
    counts = dict.fromkeys("rtc", 0)
    others: list[Part] = []
    for part in parts:
        letter = _LETTER.get(type(part))
        if letter is None:
            others.append(part)
            continue
        places[f"{letter}{counts[letter]}"] = part
        counts[letter] += 1
    tokens = order.split()
    if sorted(tokens) != sorted(places):
        return parts
    return [*(places[token] for token in tokens), *others]
