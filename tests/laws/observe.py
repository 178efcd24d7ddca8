"""What becomes of an atom between two protocols: seen on the wire, in the report, or refused. Anything else is silent."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from aiclient2api.ir.loss import Loss
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
from tests.laws.exchange import Exchange, Refused
from tests.laws.messages import LAST
from tests.laws.native import OC, answer, content_of, request, say, turns_of
from tests.laws.plain import Doc
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
ORDER: Final = ("refused", "dropped", "approximated", "emulated", "defaulted", "side_table", "carried")
"""Of several reports on one feature, the first of these counts."""

OWN_FEATURES: Final = {
    "headers.trace": "gateway own (mapping 2.7): each side has its own",
    "response.created": "no part of what an answer says: the coarse normal form ignores it",
    "message.ids": "ids address what a provider stored; what is converted is never stored there",
}
"""What is no loss where it does not arrive, and why."""


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


def observe_ask(feature: str, client: str, upstream: str, stream: bool, words: Words) -> Outcome:
    """One request with the atom."""
    atom = ASKS[feature]
    doc, value = asking(feature, client, words)
    try:
        exchange = Exchange(client, upstream, doc, stream=stream, headers=atom.headers)
    except Refused as error:
        return Outcome(REFUSED, detail=str(error)[:120])
    found = _found(atom, upstream, exchange)
    return judged(feature, atom.reported, value, found, exchange.losses)


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
        return _arrived(told)
    if feature in OWN_FEATURES:
        return Outcome(OWN)
    return told or Outcome(SILENT, detail=f"wrote {value!r}, upstream has {found!r}")


def _arrived(told: Outcome | None) -> Outcome:
    """What arrived but is reported counts as what the report says; as dropped it cannot be both."""
    if told is None:
        return Outcome(NATIVE)
    return told._replace(false_report="dropped, but it arrived" if told.act == "dropped" else "")


# ---- atoms of an answer


def observe_tell(
    feature: str, client: str, upstream: str, stream: bool, strength: str, words: Words
) -> Outcome:
    """One answer with the atom; content comes back with the next request."""
    atom = TELLS[feature]
    said, value = atom.speak[upstream](words)
    doc = request(client)
    if feature.startswith("tool_call"):
        custom(client, doc)
    if atom.prepare is not None:
        atom.prepare(client, doc)
    say(client, doc, "Begin")
    exchange = Exchange(client, upstream, doc, stream=stream)
    try:
        told, losses = exchange.answered(answer(upstream, said, words), words)
    except Refused as error:
        return Outcome(REFUSED, detail=str(error)[:120])
    seen = atom.seen.get(client)
    if atom.envelope:
        return judged(feature, atom.reported, value, seen and seen(told), losses)
    shown = seen is not None and seen(content_of(client, told)) == value
    return _echoed(feature, atom, value, exchange, doc, told, losses, shown, strength, words)


def _echoed(
    feature: str,
    atom: Tell,
    value: Any,
    first: Exchange,
    doc: Doc,
    told: Doc,
    losses: list[Loss],
    shown: bool,
    strength: str,
    words: Words,
) -> Outcome:
    following = copy.deepcopy(doc)
    go_on(first.client, following, told, strength, words)
    at_answer = named(losses, atom.reported)
    try:
        second = Exchange(first.client, first.upstream, following, stream=first.stream, table=first.table)
    except Refused as error:
        return Outcome(REFUSED, detail=str(error)[:120])
    turns = turns_of(first.upstream, second.asked)
    restored = bool(turns) and atom.seen[first.upstream](turns[-1]) == value
    entries = [*at_answer, *named(second.losses, atom.reported)]
    told_as = reported_as(entries)
    if restored:
        return _restored(shown, told_as)
    if feature in OWN_FEATURES:
        return Outcome(OWN)
    kept = _echo_holds(atom, first.client, told, strength, value)
    if told_as is not None and told_as.act != CARRIED:
        return told_as
    if strength == "minimal" and not kept and (shown or told_as is not None):
        return Outcome(CLIENT, told_as.named if told_as is not None else frozenset())
    got = atom.seen[first.upstream](turns[-1]) if turns else None
    return Outcome(SILENT, detail=f"said {value!r}, shown={shown}, came back {got!r}")


def _restored(shown: bool, told_as: Outcome | None) -> Outcome:
    if shown:
        return _arrived(told_as)
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
