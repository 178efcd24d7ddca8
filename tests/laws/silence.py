"""Law L8: nothing is lost in silence, neither of a request nor of an answer, and nothing is reported that is there.

Requests and answers made of known features, both with a member or a value in them that nobody has heard of yet, and
answers that end in the middle of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.loss import Loss
from tests.laws.composing import composed, together
from tests.laws.echo import go_on
from tests.laws.envelopes import finish_of
from tests.laws.exchange import Broken, Exchange, Refused, some_model
from tests.laws.laws import said_of
from tests.laws.native import AM, GG, OC, OR, SHORT, Said, answer, content_of, request, say
from tests.laws.observe import ASKS, SILENT, TELLS, Telling, judged, told_of
from tests.laws.pieces import call, content, facts, text
from tests.laws.plain import dump
from tests.laws.restricted import arrived_otherwise
from tests.laws.sowing import ASKED, MEMBER, TOLD, VALUE, sown, with_new_value
from tests.laws.streams import streamed
from tests.laws.words import Words, exact

_CHANGED: Final = ("dropped", "approximated")


def l8_no_silent_loss(words: Words, client: str, upstream: str) -> None:
    """Whatever is in a request or an answer, known or not, arrives or is named; what arrived or never was is not."""
    words.pick(_KINDS)(words, client, upstream)


_BESIDE: Final[dict[str, tuple[str, ...]]] = {
    "audio.output": ("media.transcript",),
    "citation.document": ("citation.quote", "part.order"),
    "citation.url": ("citation.quote", "part.order"),
    "control.effort": ("system.role",),
    "document.citations": ("media.document",),
    "finish.pause": ("ext.continuationToken",),
    "message.phase": ("part.order",),
    "output.modalities": ("ext.audio",),
    "output.schema": ("output.schema.name",),
    "pdf.inline": ("media.filename",),
    "reasoning.binding": ("reasoning.effort",),
    "reasoning.budget": ("reasoning.effort", "reasoning.show"),
    "reasoning.effort": ("reasoning.show",),
    "reasoning.show": ("reasoning.effort", "reasoning.budget"),
    "output.schema_name": ("output.schema",),
    "tool.strict": ("tool.schema",),
    "response.blocked": ("finish.explanation",),
} | dict.fromkeys(
    (
        "tool_result",
        "tool_result.by_name",
        "tool_result.several",
        "tool_result.media",
        "tool_result.is_error",
        "tool_result.structured",
    ),
    ("reasoning.opaque",),
)
"""What else the documents of an atom hold that a target may not take: the name of a file, the schema's name, calls that
Gemini wants signed, envelopes that stand behind the text of a Chat message."""


def _named(features: Iterable[str]) -> set[str]:
    """What the report may call the losses of these features."""
    return {
        name
        for feature in features
        for name in (*(ASKS.get(feature) or TELLS[feature]).reported, *_BESIDE.get(feature, ()))
    }


def _stray(losses: Iterable[Loss], features: Iterable[str]) -> list[tuple[str, str, str | None]]:
    """Entries that none of the features in the document accounts for."""
    names = _named(features)
    changed = (loss for loss in losses if loss.act in _CHANGED and loss.feature not in names)
    return [(loss.act, loss.feature, loss.note) for loss in changed]


def _asked(words: Words, client: str, upstream: str) -> None:
    doc, values = composed(client, upstream, words, 6)
    stream, profile = words.coin(), some_model(words)
    try:
        exchange = Exchange(client, upstream, doc, stream=stream, profile=profile)
    except Refused:
        return
    for feature, value in values.items():
        read = ASKS[feature].read.get(upstream)
        found = None if read is None else read(exchange.asked)
        outcome = judged(feature, ASKS[feature].reported, value, found, exchange.losses)
        told = [(loss.act, loss.feature) for loss in exchange.losses]
        if outcome.act == SILENT and arrived_otherwise(feature, value, upstream, exchange.asked, profile):
            continue
        assert outcome.act != SILENT, (feature, outcome.detail, told)
        is_others = _named(values.keys() - {feature}) & {*ASKS[feature].reported}
        assert is_others or not outcome.false_report, (feature, outcome.false_report, told)
    stray = _stray(exchange.losses, values)
    assert not stray, (stray, list(values))


def _told(words: Words, client: str, upstream: str) -> None:
    values, said = together(client, upstream, words)
    stream, strength = words.coin(), words.pick(("full", "sdk", "minimal"))
    outcomes, losses = told_of(Telling(values, said, client, upstream, stream, strength), words)
    for feature, outcome in outcomes.items():
        assert outcome.act != SILENT, (feature, outcome.detail, losses)
        assert not outcome.false_report, (feature, outcome.false_report, losses)
    stray = _stray(losses, values)
    assert not stray, (stray, list(values))


# ---- what nobody knows

_WHOLE: Final[dict[str, tuple[str, ...]]] = {
    "audio": ("ext.audio",),
    "cache_control": ("cache_policy", "cache_mark", "ext.cache_control"),
    "prompt_cache_breakpoint": ("cache_mark",),
    "prompt_cache_options": ("cache_policy",),
    "context_management": ("ext.context_management",),
    "prediction": ("ext.prediction",),
    "web_search_options": ("tool.hosted", "ext.web_search_options"),
    "moderation": ("safety",),
    "safetySettings": ("safety",),
    "tools": ("tool.hosted", "tool_choice.subset"),
    "tool_choice": ("tool_choice",),
    "toolConfig": ("tool_choice",),
    "format": ("tool.custom", "output.format"),
    "input": ("control.effort", "control.configuration_update", "control.mcp_approval_request",
              "control.mcp_approval_response", "reasoning.text", "reasoning.opaque", "message.phase"),
    "parts": ("reasoning.text", "reasoning.opaque"),
    "output_config": ("ext.output_config", "control.effort", "control.set_effort", "control.configuration_update"),
    "videoMetadata": ("ext.videoMetadata",),
    "thinking": ("reasoning.effort", "reasoning.budget"),
    "block_binding": ("ext.block_binding",),
}  # fmt: skip
"""Members that a target may drop as a whole, so that their own members are not named one by one, and the name of that."""


def _new(odd: Iterable[Loss], plain: Iterable[Loss]) -> list[Loss]:
    known = [(loss.act, loss.feature, loss.path) for loss in plain]
    return [loss for loss in odd if (loss.act, loss.feature, loss.path) not in known]


def _went_with_it(place: tuple[Any, ...], losses: Iterable[Loss]) -> bool:
    """Whether the object that the member is in was dropped as a whole."""
    names = [name for step in place for name in _WHOLE.get(str(step), ())]
    return any(loss.feature in names for loss in losses)


def _unknown_asked(words: Words, client: str, upstream: str) -> None:
    profile, stream, is_member = some_model(words), words.coin(), words.coin()
    doc, place = request(client), tuple[Any, ...]()
    if is_member:
        doc, _ = composed(client, upstream, words, 3)
        grown, place = sown(client, doc, words)
    else:
        say(client, doc, words.text())
        grown, place = with_new_value(client, doc, ASKED, words)
    try:
        plain = Exchange(client, upstream, doc, stream=stream, profile=profile)
        odd = Exchange(client, upstream, grown, stream=stream, profile=profile)
    except Refused:
        return
    except MalformedMessage as error:
        assert error.path and not is_member, (place, error)
        return
    name = MEMBER if is_member else VALUE
    if name.encode() in _spelled(odd.sent.body, name) or _went_with_it(place, plain.losses):
        return
    assert client != upstream, (place, "it is the provider's own")
    assert _new(odd.losses, plain.losses), (SHORT[client], SHORT[upstream], place, grown)


def _spelled(body: bytes, name: str) -> bytes:
    """The body, in small letters for values: protocols differ in how they write the same word."""
    return body.lower() if name == VALUE else body


def _unknown_told(words: Words, client: str, upstream: str) -> None:
    if client == upstream:
        return  # the bytes pass as they are: L0
    told = answer(upstream, said_of(upstream, words), words)
    stream, is_member = words.coin(), words.coin()
    grown, place = sown(upstream, told, words) if is_member else with_new_value(upstream, told, TOLD, words)
    name = MEMBER if is_member else VALUE
    body = streamed(upstream, grown, words)
    if stream and name.encode() not in body:
        return  # streams have no such object
    doc = request(client)
    say(client, doc, "Begin")
    _, losses = Exchange(client, upstream, doc, stream=stream).answered(told, words)
    first = Exchange(client, upstream, doc, stream=stream)
    try:
        seen, odd = first.answered(grown, words)
    except (MalformedMessage, Broken) as error:
        assert not is_member, (place, error)
        return
    if name.encode() in dump(seen) or _new(odd, losses):
        return
    go_on(client, doc, seen, "full", words)
    again = Exchange(client, upstream, doc, stream=stream, table=first.table)
    assert name.encode() in again.sent.body, (SHORT[client], SHORT[upstream], stream, place, name)


# ---- what was cut off


def _cut(words: Words, client: str, upstream: str) -> None:
    """A call that ends in the middle is never closed as if it were complete."""
    if upstream not in (OC, OR) or client == upstream:
        return  # other protocols close the object themselves
    whole, stream = words.arguments(), words.coin()
    part = whole[: words.count(1, len(whole) - 1)]
    made = call(upstream, words.token("call_"), "f", part, words)
    if upstream == OR:
        made.wire["status"] = "incomplete"
    said = Said(content(upstream, [text(upstream, words.text(), words), made]), "length")
    doc = request(client)
    say(client, doc, "Begin")
    try:
        seen, losses = Exchange(client, upstream, doc, stream=stream).answered(
            answer(upstream, said, words), words
        )
    except Broken:
        assert client == AM and stream, "only Claude's streams have no place for it"
        return
    found = [fact[3] for fact in facts(client, content_of(client, seen)) if fact[0] == "call"]
    shown = {AM: [exact({"_raw": part})], GG: []}.get(client, [part])
    assert (found, finish_of(client, seen)) == (shown, "length"), (upstream, stream, part, seen)
    told = {(loss.act, loss.feature) for loss in losses}
    assert client != GG or ("dropped", "tool_call") in told
    assert client != AM or ("emulated", "tool_call.arguments") in told
    items = [item.get("status") for item in content_of(OR, seen)] if client == OR else ["incomplete"]
    assert items[-1] == "incomplete"


_KINDS: Final[tuple[Callable[[Words, str, str], None], ...]] = (
    _asked,
    _unknown_asked,
    _told,
    _unknown_told,
    _cut,
)
