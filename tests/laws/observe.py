"""What becomes of an atom between two protocols: seen on the wire, in the report, or refused. Anything else is silent."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, NamedTuple

from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.profile import ModelProfile
from tests.laws import answers as _answers
from tests.laws import choices as _choices
from tests.laws import envelopes as _envelopes
from tests.laws import instructions as _instructions
from tests.laws import media as _media
from tests.laws import messages as _messages
from tests.laws import results as _results
from tests.laws import settings as _settings
from tests.laws import sources as _sources
from tests.laws import spoken as _spoken
from tests.laws import thinking as _thinking
from tests.laws import tools as _tools
from tests.laws.answers import custom
from tests.laws.atoms import ASKS, TELLS, Ask, Tell
from tests.laws.echo import echoed, go_on
from tests.laws.exchange import EVERYTHING, Broken, Exchange, Refused
from tests.laws.messages import LAST
from tests.laws.native import OC, Said, answer, content_of, request, say, turns_of
from tests.laws.plain import Doc
from tests.laws.restricted import arrived_otherwise
from tests.laws.rows import ROWS
from tests.laws.thinking import shows_the_same
from tests.laws.words import Words

REGISTERED: Final = (
    _answers,
    _choices,
    _envelopes,
    _instructions,
    _media,
    _messages,
    _results,
    _settings,
    _sources,
    _spoken,
    _thinking,
    _tools,
)
"""Their import fills the registry."""

NATIVE, CARRIED, OWN, CLIENT, REFUSED, SILENT = "native", "carried", "own", "client", "refused", "SILENT"
BROKEN: Final = "broken"
ORDER: Final = ("refused", "dropped", "approximated", "emulated", "defaulted", "side_table", "carried")
"""Of several reports on one feature, the first of these counts."""

OWN_FEATURES: Final = {
    "headers.trace": "gateway own (mapping 2.7): each side has its own",
    "response.created": "no part of what an answer says: the coarse normal form ignores it",
    "message.ids": "ids address what a provider stored; what is converted is never stored there",
}
"""What is no loss where it does not arrive, and why."""


BEYOND_SIGHT: Final = {
    "cache.automatic": "providers keep it for other lengths of time",
    "image.output": "Chat clients find it in an extension, `images`, that not all of them show",
    "image.url": "Gemini's `fileUri` is an address too, but not every model fetches any",
    "pdf.url": "the same",
    "reasoning.show": "words for showing differ in detail, and Chat servers show what they have, without being asked",
    "system.mid": "Claude takes it behind the user's message only: it stands elsewhere",
    "tool_choice.subset": "Google holds the arguments of such a choice to their schema",
}
"""What is approximated though the value itself arrives, and what the predicates do not see of it."""


class Outcome(NamedTuple):
    """What was observed, and the entries of the report that say so."""

    act: str
    named: frozenset[str] = frozenset()
    detail: str = ""
    false_report: str = ""
    """A report of something that did not happen."""


def named(losses: Iterable[Loss], reported: tuple[str, ...]) -> list[Loss]:
    """The entries that name a feature."""
    return [loss for loss in losses if loss.feature in reported]


def reported_as(losses: list[Loss]) -> Outcome | None:
    """The outcome that a report tells."""
    if not losses:
        return None
    acts = {loss.act for loss in losses}
    return Outcome(next(act for act in ORDER if act in acts), frozenset(loss.feature for loss in losses))


# ---- atoms of a request


def asking(feature: str, client: str, words: Words) -> tuple[Doc, Any]:
    """A client's request with the feature, and the value it has."""
    doc = request(client)
    value = ASKS[feature].write[client](doc, words)
    if not doc.pop(LAST, False):
        say(client, doc, "Go on")
    return doc, value


class Way(NamedTuple):
    """How a request goes."""

    client: str
    upstream: str
    stream: bool
    profile: ModelProfile = EVERYTHING


def observe_ask(feature: str, way: Way, words: Words) -> Outcome:
    """One request with the atom."""
    atom, upstream = ASKS[feature], way.upstream
    doc, value = asking(feature, way.client, words)
    try:
        exchange = Exchange(
            way.client, upstream, doc, stream=way.stream, profile=way.profile, headers=atom.headers
        )
    except Refused as error:
        return Outcome(REFUSED, detail=str(error)[:120])
    outcome = judged(feature, atom.reported, value, _found(atom, upstream, exchange), exchange.losses)
    if outcome.act == SILENT and arrived_otherwise(feature, value, upstream, exchange.asked, way.profile):
        return Outcome(NATIVE)
    return outcome


def _found(atom: Ask, upstream: str, exchange: Exchange) -> Any:
    if atom.headers:
        name, value = atom.headers[0]
        return value if exchange.sent.header(name) == value else None
    read = atom.read.get(upstream)
    return None if read is None else read(exchange.asked)


def judged(feature: str, reported: tuple[str, ...], value: Any, found: Any, losses: list[Loss]) -> Outcome:
    """Native, reported, or silent."""
    entries = named(losses, reported)
    told = reported_as(entries)
    if shows_the_same(value, found) if feature == "reasoning.show" else value == found:
        return _arrived(feature, told)
    if feature in OWN_FEATURES:
        return Outcome(OWN)
    return told or Outcome(SILENT, detail=f"wrote {value!r}, upstream has {found!r}")


def _arrived(feature: str, told: Outcome | None) -> Outcome:
    """What arrived but is reported counts as what the report says; as lost or changed it cannot be both."""
    if told is None:
        return Outcome(NATIVE)
    is_false = told.act == "dropped" or (told.act == "approximated" and feature not in BEYOND_SIGHT)
    return told._replace(false_report=f"{told.act}, but it arrived" if is_false else "")


# ---- atoms of an answer


@cache
def told_by(client: str, upstream: str) -> list[str]:
    """Atoms of answers that mean something between these two."""
    return [
        row.feature
        for row in ROWS
        if row.feature in TELLS
        and upstream in TELLS[row.feature].speak
        and (not TELLS[row.feature].envelope or row.exists(client))
    ]


def observe_tell(
    feature: str, client: str, upstream: str, stream: bool, strength: str, words: Words
) -> Outcome:
    """One answer with the atom; content comes back with the next request."""
    said, value = TELLS[feature].speak[upstream](words)
    told = Telling({feature: value}, said, client, upstream, stream, strength)
    return told_of(told, words)[0][feature]


class Telling(NamedTuple):
    """An answer with atoms, the value of each, and how it goes to its client and back."""

    values: dict[str, Any]
    said: Said
    client: str
    upstream: str
    stream: bool
    strength: str


def told_of(telling: Telling, words: Words) -> tuple[dict[str, Outcome], list[Loss]]:
    """What becomes of every atom of an answer, and the report of the answer."""
    atoms = {feature: TELLS[feature] for feature in telling.values}
    doc = request(telling.client)
    if any(feature.startswith("tool_call") for feature in atoms):
        custom(telling.client, doc)
    for atom in atoms.values():
        if atom.prepare is not None:
            atom.prepare(telling.client, doc)
    say(telling.client, doc, "Begin")
    exchange = Exchange(telling.client, telling.upstream, doc, stream=telling.stream)
    try:
        told, losses = exchange.answered(answer(telling.upstream, telling.said, words), words)
    except Broken as error:
        return dict.fromkeys(atoms, Outcome(BROKEN, detail=str(error)[:120])), []
    found: dict[str, Outcome] = {}
    for feature, atom in atoms.items():
        value, seen = telling.values[feature], atom.seen.get(telling.client)
        if atom.envelope:
            found[feature] = judged(feature, atom.reported, value, seen and seen(told), losses)
        else:
            shown = seen is not None and seen(content_of(telling.client, told)) == value
            answered = _Answered(exchange, doc, told, losses, shown, telling.strength)
            found[feature] = _echoed(feature, atom, value, answered, words)
    return found, losses


class _Answered(NamedTuple):
    """An exchange that is over: the client's request, what it was told, what the report says of the answer."""

    exchange: Exchange
    doc: Doc
    told: Doc
    losses: list[Loss]
    shown: bool
    strength: str


def _echoed(feature: str, atom: Tell, value: Any, answered: _Answered, words: Words) -> Outcome:
    first, shown, strength = answered.exchange, answered.shown, answered.strength
    following = copy.deepcopy(answered.doc)
    go_on(first.client, following, answered.told, strength, words)
    at_answer = named(answered.losses, atom.reported)
    try:
        second = Exchange(first.client, first.upstream, following, stream=first.stream, table=first.table)
    except Refused as error:
        return Outcome(REFUSED, detail=str(error)[:120])
    turns = turns_of(first.upstream, second.asked)
    got = atom.seen[first.upstream](turns[-1]) if turns else None
    told_as = reported_as([*at_answer, *named(second.losses, atom.reported)])
    if got == value:
        return _restored(feature, shown, told_as)
    if feature in OWN_FEATURES:
        return Outcome(OWN)
    kept = _echo_holds(atom, first.client, answered.told, strength, value)
    if told_as is not None and told_as.act != CARRIED:
        return told_as
    if strength == "minimal" and not kept and (shown or told_as is not None):
        return Outcome(CLIENT, told_as.named if told_as is not None else frozenset())
    return Outcome(SILENT, detail=f"said {value!r}, shown={shown}, came back {got!r}")


def _restored(feature: str, shown: bool, told_as: Outcome | None) -> Outcome:
    if shown:
        return _arrived(feature, told_as)
    if told_as is None:
        return Outcome(SILENT, detail="the client cannot see it, and nothing says so")
    return told_as


def _echo_holds(atom: Tell, client: str, told: Doc, strength: str, value: Any) -> bool:
    """Whether what the client sends back still has the feature in plain sight."""
    messages = echoed(client, told, strength)
    probe = request(client)
    probe[{"openai_responses": "input", "gemini": "contents"}.get(client, "messages")] = messages
    turns = turns_of(client, probe)
    seen = atom.seen.get(client)
    return bool(turns) and seen is not None and seen(turns[-1]) == value


__all__ = ["ASKS", "OC", "TELLS", "Outcome", "asking", "observe_ask", "observe_tell"]
