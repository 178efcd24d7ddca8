"""Whole requests and answers out of many atoms, as a client or an upstream might send them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.laws.matrix import DOCS
from tests.laws.messages import LAST
from tests.laws.native import AM, GG, OC, OR, SHORT, request, say
from tests.laws.observe import ASKS
from tests.laws.pieces import Piece, call, text, thought
from tests.laws.plain import Doc
from tests.laws.words import Words

_FIRST = ("opening", "system")
_CONFLICTS = ({"max_output", "reasoning.budget"}, {"sampling.logprobs", "sampling.candidates"})
_HEADERS = ("headers.beta", "headers.trace")
_STORED = ("state.previous", "state.background", "cache.content")


@cache
def cell(feature: str, client: str, upstream: str) -> str:
    """All marks of a cell of the committed matrix, in one string."""
    found = json.loads((DOCS / "conversion-matrix.json").read_text(encoding="utf-8"))
    marks = found["features"][feature]["cells"].get(f"{SHORT[client]}>{SHORT[upstream]}", "")
    return marks if isinstance(marks, str) else "".join(marks.values())


@cache
def _usable(client: str, upstream: str) -> list[str]:
    """Atoms that a client can write and the upstream's side does not refuse."""
    return [
        feature
        for feature, atom in ASKS.items()
        if client in atom.write
        and feature not in _HEADERS
        and feature not in _STORED
        and not set(cell(feature, client, upstream)) & {"R", "!"}
    ]


def composed(client: str, upstream: str, words: Words, most: int = 4) -> tuple[Doc, dict[str, Any]]:
    """A client's request with several atoms, and the value of each; every atom has its slot for itself."""
    chosen: dict[str, str] = {}
    usable = _usable(client, upstream)
    for _ in range(words.count(1, most)):
        feature = words.pick(usable)
        slot = ASKS[feature].slot or feature
        if not any(feature in pair and pair & set(chosen.values()) for pair in _CONFLICTS):
            chosen.setdefault(slot, feature)
    doc = request(client)
    order = sorted(chosen, key=lambda slot: (slot == "closing", slot not in _FIRST, slot == "system", slot))
    values = {chosen[slot]: ASKS[chosen[slot]].write[client](doc, words) for slot in order}
    if not doc.pop(LAST, False):
        say(client, doc, "Go on")
    return doc, values


def unknown(protocol: str, doc: Doc, words: Words) -> None:
    """Members that nobody has heard of, on the request and on its last message."""
    doc["xUnknown"] = words.unknown()
    holder = doc.get({OR: "input", GG: "contents"}.get(protocol, "messages"))
    if isinstance(holder, list) and holder and words.coin():
        holder[-1] = holder[-1] | {"xNote": words.unknown()}


# ---- answers


def spoken(protocol: str, words: Words) -> list[Piece]:
    """What an upstream may say: thoughts, texts and calls, mixed as its protocol can mix them."""
    thoughts = [
        thought(protocol, words.pick(("", words.text())) or words.text(), words)
        for _ in range(words.count(0, 1 if protocol == GG else 2))
    ]
    if protocol == OC:
        said = [text(OC, words.text(), words)] if words.coin() or not thoughts else []
        return [*thoughts[:1], *said, *_calls(protocol, words, words.count(0 if said else 1, 3))]
    pieces: list[Piece] = [*thoughts]
    is_signed = False
    for _ in range(words.count(1, 4)):
        last = pieces[-1].kind if pieces else ""
        kinds = ["call"] if last == "text" else ["text", "call", "call"]
        if last not in ("text", "thought", "") and protocol in (AM, OR):
            kinds.append("thought")
        kind = words.pick(kinds)
        if kind == "text":
            pieces.append(text(protocol, words.text(), words))
        elif kind == "thought":
            pieces += [thought(protocol, words.text(), words), *_calls(protocol, words, 1, len(pieces))]
        else:
            pieces += _calls(protocol, words, 1, len(pieces), signed=not is_signed)
            is_signed = True
    return _ended(protocol, pieces, words)


def _ended(protocol: str, pieces: list[Piece], words: Words) -> list[Piece]:
    """Gemini signs a text late, on an empty part; Claude redacts a thought."""
    if protocol == GG and pieces[-1].kind == "text" and words.coin():
        return [*pieces, text(GG, "", words, thoughtSignature=words.signature("gemini"))]
    if protocol == AM and words.count(0, 3) == 0:
        data = {"type": "redacted_thinking", "data": words.signature("anthropic")}
        return [Piece("redacted", data), *pieces]
    return pieces


def _calls(protocol: str, words: Words, count: int, place: int = 0, *, signed: bool = False) -> list[Piece]:
    return [
        call(
            protocol,
            f"call_{place + index}_{words.count(0, 9999)}",
            words.pick(("f", "get_weather", "search-web")),
            words.arguments(),
            words,
            signed=signed and index == 0,
        )
        for index in range(count)
    ]
