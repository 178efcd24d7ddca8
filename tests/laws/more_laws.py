"""Laws L10 to L14 as functions of a source of chance and a pair of protocols. See `laws.py`."""

from __future__ import annotations

import base64
import math
from typing import Any, Final

from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.wire.http import WireResponse
from tests.laws.composing import composed, together, unknown
from tests.laws.counters import USAGE, drawn, expected, read, write
from tests.laws.echo import go_on
from tests.laws.exchange import CONVERTERS, Broken, Exchange, some_model
from tests.laws.failures import failed
from tests.laws.fuzzing import KINDS, feed, hostile, hostile_stream
from tests.laws.laws import said_of
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, answer, content_of, request, say
from tests.laws.pieces import facts, loose
from tests.laws.plain import load
from tests.laws.sdks import accumulated, parsed
from tests.laws.streams import streamed
from tests.laws.words import Words

_KINDS_OF_ITS_OWN: Final = (
    "invalid",
    "not_found",
    "rate_limit",
    "overloaded",
    "timeout",
    "auth",
    "permission",
    "too_large",
)
"""Kinds that every protocol has a word for; the rest share one with a neighbour (errors.tsv)."""


def l10_errors(words: Words, client: str, upstream: str) -> None:
    """An error keeps its class, its retryability and its waiting time; its kind where the protocol has a word for it."""
    wrong = failed(upstream, words)
    source, target = CONVERTERS[upstream], CONVERTERS[client]
    info = source.decode_error(WireResponse(status=wrong.status, body=wrong.body, headers=wrong.headers))
    told, own = target.encode_error(info), source.encode_error(info)
    assert told.status // 100 == wrong.status // 100, (wrong, told)
    assert told.header("x-should-retry") == own.header("x-should-retry"), (wrong, told)
    wait = info.retry_after
    assert told.header("retry-after") == (None if wait is None else str(max(1, math.ceil(wait))))
    asked = next((value for name, value in wrong.headers if name == "retry-after"), None)
    assert asked is None or wait == float(asked) or upstream == GG
    again = target.decode_error(told)
    assert (
        again.retry_after == (None if wait is None else max(1, math.ceil(wait))) or again.retry_after == wait
    )
    if info.kind in _KINDS_OF_ITS_OWN and not (info.kind == "too_large" and client == GG):
        assert _kind(again.kind) == _kind(info.kind), (wrong, told)


def _kind(kind: str) -> str:
    """OpenAI and Google have one word for too busy and out of service."""
    return {"overloaded": "unavailable"}.get(kind, kind)


def l11_usage(words: Words, client: str, upstream: str) -> None:
    """Counters are converted by their formulas, none is invented, and the sum law holds."""
    counts = drawn(upstream, words)
    told = answer(upstream, said_of(upstream, words), words) | {USAGE[upstream]: write(upstream, counts)}
    doc = request(client)
    say(client, doc, "x")
    stream = words.coin()
    seen, losses = Exchange(client, upstream, doc, stream=stream).answered(told, words)
    if client == upstream:
        assert seen[USAGE[client]] == (
            told[USAGE[upstream]] if not (stream and client == AM) else seen[USAGE[client]]
        )
        return
    got, wanted = read(client, seen[USAGE[client]]), expected(client, counts)
    if got.thought != wanted.thought or got.written != wanted.written:
        assert any(loss.feature.startswith("usage") for loss in losses), (got, wanted)
        got = got._replace(thought=wanted.thought, written=wanted.written)
    assert got == wanted
    assert min(got) >= 0


def l12_totality(words: Words, client: str, upstream: str) -> None:
    """Whatever arrives is decoded, or refused with a path; never another exception."""
    kind = words.pick(KINDS)
    if kind in ("request", "splice"):
        doc, _ = composed(client, client, words)
        unknown(client, doc, words)
        feed(client, kind, hostile(doc, words), words)
    elif kind == "error":
        feed(upstream, kind, hostile(load(failed(upstream, words).body), words), words)
    elif kind == "response":
        feed(upstream, kind, hostile(answer(upstream, said_of(upstream, words), words), words), words)
    else:
        feed(
            upstream,
            kind,
            hostile_stream(upstream, answer(upstream, said_of(upstream, words), words), words),
            words,
        )


def l13_client_safety(words: Words, client: str, upstream: str) -> None:
    """The official SDK accepts every stream, and accumulates what it parses of the whole answer."""
    # Google's SDK asks again by itself after CONTINUATION, and a signed piece of text is a part of its own in a stream
    is_mixed = words.coin() and upstream != GG
    said = together(client, upstream, words)[1] if is_mixed else said_of(upstream, words)
    told = answer(upstream, said, words)
    doc = request(client)
    say(client, doc, "x")
    whole, _ = Exchange(client, upstream, doc, stream=False).answered(told, words)
    try:
        body, losses = Exchange(client, upstream, doc, stream=True).streamed(
            streamed(upstream, told, words), words
        )
    except Broken:
        assert client == AM, "only Claude's streams have no place for broken arguments"
        return
    told_live, told_whole = accumulated(client, body), parsed(client, whole)
    assert spoken(client, told_live) == spoken(client, told_whole)
    live, unary = ended(client, told_live), ended(client, told_whole)
    if any(loss.feature == "tier" for loss in losses):  # Google tells it last, a Chat stream first: reported
        unary.pop("service_tier", None)
    assert live == unary


_ENDS: Final = {
    OC: ("service_tier",),
    OR: ("status", "incomplete_details", "service_tier", "error"),
    AM: ("stop_reason", "stop_sequence", "stop_details", "container"),
    GG: ("promptFeedback",),
}
"""Members of the answer itself that say how it ended."""


def ended(protocol: str, doc: Any) -> Any:
    """How an answer ended, what it cost and where it is from, as a client reads it: null and 0 say nothing."""
    told = {name: doc.get(name) for name in _ENDS[protocol]} | {"usage": doc.get(USAGE[protocol])}
    said = content_of(protocol, doc)
    if protocol == OC:
        told["finish"] = [one.get("finish_reason") for one in doc.get("choices") or ()]
        told["notes"] = said.get("annotations")
    elif protocol == OR:
        told["items"] = [(item.get("type"), item.get("status")) for item in said]
        told["notes"] = [part.get("annotations") for item in said for part in item.get("content") or ()]
    elif protocol == AM:
        told["notes"] = [block.get("citations") for block in said]
    else:
        # Google's SDK reads no `finishMessage` in what AI Studio answers
        rest = ("content", "index", "logprobsResult", "finishMessage")
        candidates = doc.get("candidates") or ()
        told["finish"] = [{n: v for n, v in one.items() if n not in rest} for one in candidates]
    return _saying(told)


def _saying(tree: Any) -> Any:
    """The tree without what says nothing."""
    if isinstance(tree, dict):
        found = {name: _saying(value) for name, value in tree.items()}
        return {name: value for name, value in found.items() if value not in (None, 0, "", [], {})}
    return [_saying(one) for one in tree] if isinstance(tree, list) else tree


def spoken(protocol: str, doc: Any) -> Any:
    """What an answer says, without the freedoms that streams have."""
    found = loose(facts(protocol, content_of(protocol, doc)))
    shown = [(*fact[:2], *fact[3:]) if fact[0] == "thought" and protocol != OR else fact for fact in found]
    return [fact for fact in shown if fact[:2] != ("thought", "")]


# ---- containment

_PROVIDERS: Final = {OC: "", OR: "openai", AM: "anthropic", GG: "gemini"}
_SECRET: Final = "client-secret-key"
_CREDENTIALS: Final = (
    ("authorization", f"Bearer {_SECRET}"),
    ("x-api-key", _SECRET),
    ("x-goog-api-key", _SECRET),
    ("api-key", _SECRET),
    ("cookie", _SECRET),
)


def l14_containment(words: Words, client: str, upstream: str) -> None:
    """No envelope, foreign signature, foreign member or client's credential ever reaches an upstream."""
    doc, _ = composed(client, upstream, words)
    doc.pop("xUnknown", None)
    stream = words.coin()
    for spoke in (words.pick(PROTOCOLS), words.pick(PROTOCOLS)):
        exchange = Exchange(client, spoke, _basic(client, doc), stream=stream)
        told, _ = exchange.answered(answer(spoke, said_of(spoke, words), words), words)
        go_on(client, doc, told, words.pick(("full", "sdk")), words)
    if client != upstream:
        unknown(client, doc, words)
    profile = some_model(words)
    exchange = Exchange(client, upstream, doc, stream=stream, profile=profile, headers=_CREDENTIALS)
    body = exchange.sent.body.decode("utf-8", "surrogatepass")
    assert MAGIC not in body
    for name, provider in _PROVIDERS.items():
        if provider and name != upstream:
            sign = base64.b64encode(f"{provider}:".encode()).decode().rstrip("=")[:-1]
            assert sign not in body or client == upstream, provider
    assert client == upstream or ("xUnknown" not in body and "xNote" not in body)
    sent = f"{exchange.sent.path}?{exchange.sent.query} {exchange.sent.headers} {body}"
    assert _SECRET not in sent


def _basic(client: str, doc: Any) -> Any:
    """The conversation alone: what an earlier upstream was asked does not matter."""
    fresh = request(client)
    say(client, fresh, "x")
    return fresh
