"""Whole requests and answers out of many atoms, as a client or an upstream might send them."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tests.laws.messages import LAST
from tests.laws.native import AM, GG, OC, OR, SHORT, Said, request, say
from tests.laws.observe import ASKS, TELLS, told_by
from tests.laws.pieces import Piece, call, text, thought
from tests.laws.plain import Doc
from tests.laws.words import Words

_FIRST = ("opening", "system")
_CONFLICTS = ({"max_output", "reasoning.budget"}, {"sampling.logprobs", "sampling.candidates"})
_HEADERS = ("headers.beta", "headers.trace")
"""They are beside the document that is composed here."""
_STORED = ("state.previous", "state.background", "cache.content")
"""They stand for content that is elsewhere: a request with them says nothing by itself."""


REFUSED: Final[dict[str, tuple[str, str]]] = {
    "image.file": (
        "oc>am oc>gg or>am or>gg am>oc am>or am>gg gg>oc gg>or gg>am",
        "a file is known to the provider that it was uploaded to",
    ),
    "pdf.url": ("or>oc am>oc gg>oc", "Chat takes no address of a document, and the gateway fetches nothing"),
    "audio.input": ("oc>or oc>am gg>or gg>am", "Responses and Claude do not hear"),
    "video.input": ("gg>oc gg>or gg>am", "only Gemini sees films"),
    "sampling.candidates": ("oc>or oc>am gg>or gg>am", "Responses and Claude answer once"),
    "cache.content": ("gg>oc gg>or gg>am", "only Google has the cached content"),
    "state.previous": ("or>oc or>am or>gg", "only the provider has the stored conversation"),
    "state.background": ("or>oc or>am or>gg", "only Responses answers in the background"),
}
"""What a target cannot express and the gateway refuses: between which protocols, and why. No composed request has it;
`test_matrix.py` holds it against what is observed."""


@cache
def _usable(client: str, upstream: str) -> list[str]:
    """Atoms that a client can write and the upstream's side does not refuse."""
    pair = f"{SHORT[client]}>{SHORT[upstream]}"
    return [
        feature
        for feature, atom in ASKS.items()
        if client in atom.write
        and feature not in _HEADERS
        and feature not in _STORED
        and pair not in REFUSED.get(feature, ("", ""))[0].split()
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

_WORDED: Final = frozenset(("logprobs", "citation.url", "response.blocked", "response.ratings"))
"""Atoms of the envelope that need a content of their own."""
_ENDED: Final = frozenset(("response.blocked", "refusal"))
"""Atoms that are a reason to end themselves: no other can be given beside them."""


def together(client: str, upstream: str, words: Words) -> tuple[dict[str, Any], Said]:
    """An answer with one atom of content and some of the envelope, and the value of each."""
    usable = told_by(client, upstream)
    first = words.pick(usable)
    said, value = TELLS[first].speak[upstream](words)
    values = {first: value}
    for feature in {words.pick(usable): None for _ in range(words.count(0, 4))}:
        if feature in values:
            continue
        other, value = TELLS[feature].speak[upstream](words)
        is_worded = any(_needs_words(one) for one in values)
        if (is_worded and _needs_words(feature)) or (_ends(feature, other) and _ends(*values, said)):
            continue
        if _ENDED & {feature, *values} and any(map(_ends, (feature, *values))):
            continue
        joined = _joined(other, said) if _needs_words(feature) else _joined(said, other)
        if joined is not None:
            said = joined
            values[feature] = value
    return values, said


def _needs_words(feature: str) -> bool:
    return feature in _WORDED or not TELLS[feature].envelope


def _ends(*told: str | Said) -> bool:
    """Whether an atom, or what was said so far, says why an answer ends."""
    return any(one.startswith("finish.") if isinstance(one, str) else one.finish != "stop" for one in told)


def _joined(worded: Said, other: Said) -> Said | None:
    """One answer with the content of the first and the members of both, if they do not contradict each other."""
    members, candidate = worded.members | other.members, worded.candidate | other.candidate
    is_doubled = (
        worded.members.keys() & other.members.keys() or worded.candidate.keys() & other.candidate.keys()
    )
    if is_doubled or ("candidates" in members and candidate):
        return None
    finish = worded.finish if worded.finish != "stop" else other.finish
    return Said(worded.content, finish, members, candidate)


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
            words.token(f"call_{place + index}_"),
            words.pick(("f", "get_weather", "search-web")),
            words.arguments(),
            words,
            signed=signed and index == 0,
        )
        for index in range(count)
    ]
