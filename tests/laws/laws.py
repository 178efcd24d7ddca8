"""Laws L0 to L9 as functions of a source of chance and a pair of protocols: they return, or fail with what broke.

The numbers are those of the design's section "what lossless means"; `more_laws.py` holds L10 to L14.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from random import Random
from typing import Any

import msgspec

from aiclient2api.ir.fold import fold
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.wire.http import JSON_HEADERS, WireResponse
from tests.fakes.sealing import CARRIER
from tests.laws.composing import composed, spoken, unknown
from tests.laws.echo import go_on
from tests.laws.exchange import (
    CONVERTERS,
    EVERYTHING,
    UPSTREAM_MODEL,
    Exchange,
    Refused,
    client_wire,
)
from tests.laws.native import GG, MODEL, OC, OR, Said, answer, content_of, history, request, say, turns_of
from tests.laws.normal import normal_answer, normal_request, without_marks
from tests.laws.observe import ASKS, SILENT, judged
from tests.laws.pieces import content, facts, loose
from tests.laws.plain import Doc, dump, load
from tests.laws.streams import events, streamed
from tests.laws.words import Words, chopped


def said_of(protocol: str, words: Words) -> Said:
    """An answer with a bit of everything."""
    pieces = spoken(protocol, words)
    has_calls = any(piece.kind == "call" for piece in pieces)
    return Said(content(protocol, pieces), "tool_use" if has_calls else words.pick(("stop", "length")))


def l0_identity(words: Words, client: str, upstream: str) -> None:
    """Between equal protocols every byte but the model's name is the client's, and every byte back the upstream's."""
    doc, _ = composed(client, client, words)
    unknown(client, doc, words)
    exchange = Exchange(client, client, doc, stream=words.coin())
    before = exchange.wire.body
    if client != GG:
        before = before.replace(dump({"model": MODEL})[1:-1], dump({"model": UPSTREAM_MODEL})[1:-1], 1)
    assert exchange.sent.body == before
    assert exchange.losses == []
    told = answer(client, said_of(client, words), words) | {"xUnknown": words.unknown()}
    if exchange.stream:
        body = streamed(client, told, words)
        out, losses = exchange.streamed(body, words)
        # the line feed after a last CR LF CR is no part of an event
        assert (out.rstrip(b"\n"), losses) == (body.rstrip(b"\n"), [])
    else:
        whole = exchange.conversion.whole(WireResponse(status=200, body=dump(told), headers=JSON_HEADERS))
        assert (whole.response.body, whole.losses) == (dump(told), [])


def l1_normal_form(words: Words, client: str, upstream: str) -> None:
    """Decoding and encoding again gives the same document up to its normal form, and loses nothing."""
    converter = CONVERTERS[client]
    doc, _ = composed(client, client, words)
    unknown(client, doc, words)
    wire = client_wire(client, doc, stream=False)
    decoded = converter.decode_request(wire)
    encoded = converter.encode_request(decoded, EVERYTHING)
    assert normal_request(client, load(encoded.wire.body)) == normal_request(client, load(wire.body))
    assert encoded.losses == []
    told = answer(client, said_of(client, words), words)
    response = converter.decode_response(WireResponse(status=200, body=dump(told)))
    again = converter.encode_response(response, decoded)
    assert normal_answer(client, load(again.wire.body)) == normal_answer(client, told)
    assert again.losses == []


def l2_normal_form_is_meaning_free(words: Words, client: str, upstream: str) -> None:
    """The normal form of a normal form is itself, and it means the same to the decoder."""
    doc, _ = composed(client, client, words)
    once = normal_request(client, doc)
    assert normal_request(client, once) == once
    converter = CONVERTERS[client]
    first = converter.decode_request(client_wire(client, doc, stream=False))
    second = converter.decode_request(client_wire(client, once, stream=False))
    assert without_form(first) == without_form(second)


def l3_section(words: Words, client: str, upstream: str) -> None:
    """What was decoded, encoded and decoded again is the same."""
    converter = CONVERTERS[client]
    doc, _ = composed(client, client, words)
    unknown(client, doc, words)
    first = converter.decode_request(client_wire(client, doc, stream=words.coin()))
    wire = converter.encode_request(first, EVERYTHING).wire
    if client == GG:  # the encoder's path is relative to the account's address, which has no version
        wire = msgspec.structs.replace(wire, path=f"/v1beta{wire.path.removeprefix('/v1beta')}")
    second = converter.decode_request(wire)
    assert msgspec.structs.replace(second, include_usage=first.include_usage) == first
    told = converter.decode_response(
        WireResponse(status=200, body=dump(answer(client, said_of(client, words), words)))
    )
    again = converter.decode_response(
        WireResponse(status=200, body=converter.encode_response(told, first).wire.body)
    )
    assert without_form(again.candidates) == without_form(told.candidates)
    assert _counted(again.usage) == _counted(told.usage)


def _counted(usage: Any) -> Any:
    """Counters; what an encoder must write as 0 is what was not counted."""
    return {name: value for name, value in without_form(usage).items() if value not in (0, None)}


# ---- round trips


def _fair(client: str, protocol: str, said: Any) -> list[tuple[Any, ...]]:
    """Facts to compare: a client whose SDK parses arguments gives back their value."""
    found = facts(protocol, said)
    return found if client in (OC, OR) else loose(found)


_SHOWN = frozenset({"carried", "side_table", "defaulted", "emulated"})


def l4_round_trip(words: Words, client: str, upstream: str) -> None:
    """What an upstream said comes back to it as it was, when the client gives back what it was given."""
    doc = request(client)
    say(client, doc, words.text())
    stream = words.coin()
    exchange = Exchange(client, upstream, doc, stream=stream)
    said = said_of(upstream, words)
    told, losses = exchange.answered(answer(upstream, said, words), words)
    go_on(client, doc, told, words.pick(("full", "sdk")), words)
    following = Exchange(client, upstream, doc, stream=stream)
    back = _fair(client, upstream, turns_of(upstream, following.asked)[-1])
    sent = _fair(client, upstream, said.content)
    lost = {loss.feature for loss in (*losses, *following.losses) if loss.act not in _SHOWN}
    if lost == {"part.order"}:
        lost.clear()
        back, sent = _unordered(back), _unordered(sent)
    assert back == sent, (client, upstream, stream, losses, following.losses)
    assert lost == set(), lost


def l5_conversation(words: Words, client: str, upstream: str) -> None:
    """Through a whole conversation the upstream finds each of its turns as it produced it; prefixes stay (L7)."""
    doc = request(client)
    say(client, doc, words.text())
    stream, strength = words.coin(), words.pick(("full", "sdk", "minimal"))
    spoke: list[tuple[list[tuple[Any, ...]], bool]] = []
    asked: list[Doc] = []
    for _ in range(3):
        exchange = Exchange(client, upstream, doc, stream=stream)
        asked.append(exchange.asked)
        seen = [_fair(client, upstream, turn) for turn in turns_of(upstream, exchange.asked)]
        _same_turns(spoke, seen, is_minimal=strength == "minimal")
        said = said_of(upstream, words)
        told, losses = exchange.answered(answer(upstream, said, words), words)
        in_order = all(loss.feature != "part.order" for loss in losses)
        spoke.append((_fair(client, upstream, said.content), in_order))
        go_on(client, doc, told, strength, words)
    if strength != "minimal" or client != upstream:
        for shorter, longer in pairwise(asked):
            assert_prefix(upstream, shorter, longer)


def _same_turns(
    spoke: list[tuple[list[tuple[Any, ...]], bool]], seen: list[list[tuple[Any, ...]]], *, is_minimal: bool
) -> None:
    assert len(seen) == len(spoke)
    for (sent, in_order), back in zip(spoke, seen, strict=True):
        if is_minimal:  # texts and calls; the client threw the rest away
            assert _bare(back) == _bare(sent)
        elif in_order:
            assert back == sent
        else:
            assert _unordered(back) == _unordered(sent)


def _unordered(found: list[tuple[Any, ...]]) -> Any:
    """Facts when their order is reported as lost: text in one piece, everything else in any order."""
    others = sorted((fact for fact in found if fact[0] != "text"), key=repr)
    signs = sorted(fact[2] for fact in found if fact[0] == "text" and len(fact) > 2 and fact[2])
    return "".join(fact[1] for fact in found if fact[0] == "text"), signs, others


def _bare(found: list[tuple[Any, ...]]) -> Any:
    """All text in one, and the calls by id, name and arguments."""
    said = sorted(fact[1] for fact in found if fact[0] == "text" and fact[1])
    calls = sorted((fact[1], fact[2], repr(loose([fact])[0][3])) for fact in found if fact[0] == "call")
    return "".join(sorted("".join(said))), calls


# ---- streams


def l6_stream_coherence(words: Words, client: str, upstream: str) -> None:
    """A folded stream is the whole answer, however it is cut; and the client's stream says what its answer says."""
    told = answer(upstream, said_of(upstream, words), words)
    converter = CONVERTERS[upstream]
    whole = converter.decode_response(WireResponse(status=200, body=dump(told)))
    decoder, frames = converter.stream_decoder(), converter.frames("text/event-stream")
    body = b"".join(events(upstream, told, words))
    found = [
        one
        for chunk in chopped(words, body, 6)
        for frame in frames.feed(chunk)
        for one in decoder.feed(frame)
    ]
    folded_ = fold([*found, *decoder.close()], upstream)
    assert _coarse(folded_.candidates) == _coarse(whole.candidates)
    assert folded_.usage == whole.usage
    doc = request(client)
    say(client, doc, "x")
    unary, _ = Exchange(client, upstream, doc, stream=False).answered(told, words)
    streamed_, _ = Exchange(client, upstream, doc, stream=True).answered(told, words)
    for one in (unary, streamed_):
        assert _visible(client, one) == _visible(client, unary)


def _coarse(candidates: Any) -> Any:
    return without_form(candidates, "new_item", "ext", "status")


def without_form(node: Any, *more: str) -> Any:
    """A node of the IR without the bits that only say how it was written, and without `more`."""
    tree = msgspec.to_builtins(node, str_keys=True, enc_hook=lambda raw: bytes(raw).decode())
    return _without(tree, ("shape", *more))


def _without(tree: Any, names: tuple[str, ...]) -> Any:
    if isinstance(tree, dict):
        return {name: _without(value, names) for name, value in tree.items() if name not in names}
    return [_without(one, names) for one in tree] if isinstance(tree, list) else tree


def _visible(protocol: str, doc: Doc) -> Any:
    found = facts(protocol, content_of(protocol, doc))
    shown = [(*fact[:2], *fact[3:]) if fact[0] == "thought" else fact for fact in found]
    return [fact for fact in shown if fact != ("thought", "")]  # it only carries an envelope


# ---- prefixes, silence, purity


def assert_prefix(upstream: str, shorter: Doc, longer: Doc) -> None:
    """The longer request begins as the shorter one: instructions, tools, and the whole conversation so far."""
    for name in ("system", "systemInstruction", "instructions", "tools"):
        assert without_marks(longer.get(name)) == without_marks(shorter.get(name)), name
    before, after = history(upstream, shorter), history(upstream, longer)
    assert without_marks(after[: len(before)]) == without_marks(before)


def l7_prefix(words: Words, client: str, upstream: str) -> None:
    """A request that goes on begins as the one before it."""
    doc, values = composed(client, upstream, words)
    shorter = Exchange(client, upstream, doc, stream=False)
    longer_doc = copy.deepcopy(doc)
    if isinstance(longer_doc.get("input"), str):
        longer_doc["input"] = [{"role": "user", "content": longer_doc["input"]}]
    if "message.prefill" not in values:
        say(client, longer_doc, words.text(), role="assistant")
    say(client, longer_doc, words.text())
    longer = Exchange(client, upstream, longer_doc, stream=False)
    assert_prefix(upstream, shorter.asked, longer.asked)


def l8_no_silent_loss(words: Words, client: str, upstream: str) -> None:
    """Every atom of a request is in what the upstream gets, or the report names it."""
    doc, values = composed(client, upstream, words, 6)
    stream = words.coin()
    try:
        exchange = Exchange(client, upstream, doc, stream=stream)
    except Refused:
        return
    for feature, value in values.items():
        read = ASKS[feature].read.get(upstream)
        found = None if read is None else read(exchange.asked)
        outcome = judged(feature, ASKS[feature].reported, value, found, exchange.losses)
        assert outcome.act != SILENT, (feature, outcome.detail, [loss.feature for loss in exchange.losses])


def l9_purity(words: Words, client: str, upstream: str) -> None:
    """A second gateway says the same, byte for byte: nothing but the input decides."""
    doc, _ = composed(client, upstream, words)
    told = answer(upstream, said_of(upstream, words), words)
    stream = words.coin()
    body = streamed(upstream, told, words)
    first = _bytes_of(client, upstream, doc, told, body, stream=stream)
    other = ConverterFactory([type(one)() for one in BUILTIN], CARRIER)
    assert _bytes_of(client, upstream, doc, told, body, stream=stream, factory=other) == first


def _bytes_of(
    client: str, upstream: str, doc: Doc, told: Doc, body: bytes, *, stream: bool, factory: ConverterFactory | None = None
) -> Any:  # fmt: skip
    exchange = Exchange(client, upstream, doc, stream=stream, factory=factory)
    if stream:
        out, losses = exchange.streamed(body, Words(Random(1)))
        return exchange.sent, out, losses
    whole = exchange.conversion.whole(WireResponse(status=200, body=dump(told), headers=JSON_HEADERS))
    return exchange.sent, whole.response, whole.losses
