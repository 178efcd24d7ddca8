"""Laws L0 to L7 and L9 as functions of a source of chance and a pair of protocols: they return, or fail with what broke.

The numbers are those of the design's section "what lossless means"; `silence.py` holds L8, `more_laws.py` L10 to L14.
"""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from random import Random
from typing import Any, Final

import msgspec

from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import Reasoning, Refusal, Text, ToolCall
from aiclient2api.ir.response import ModelResponse
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.wire.http import JSON_HEADERS, WireResponse
from tests.fakes.sealing import CARRIER
from tests.laws.composing import composed, spoken, unknown
from tests.laws.echo import go_on
from tests.laws.exchange import (
    CONVERTERS,
    EVERYTHING,
    FACTORY,
    UPSTREAM_MODEL,
    Exchange,
    Refused,
    Table,
    client_wire,
    some_model,
)
from tests.laws.folding import folded
from tests.laws.native import AM, GG, MODEL, OC, Said, answer, content_of, history, request, say, turns_of
from tests.laws.normal import normal_answer, normal_request, without_marks
from tests.laws.pieces import content, facts, loose
from tests.laws.plain import Doc, dump, load, parsed, valued
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
    """Facts to compare. A client whose SDK parses arguments gives back their value: the exact text is in the side
    table, but for a relay, which keeps nothing."""
    found = facts(protocol, said)
    return loose(found) if client == protocol and client in (AM, GG) else found


_SHOWN = frozenset({"carried", "side_table", "defaulted", "emulated"})


def l4_round_trip(words: Words, client: str, upstream: str) -> None:
    """What an upstream said comes back to it as it was, when the client gives back what it was given."""
    doc = request(client)
    say(client, doc, words.text())
    stream, profile = words.coin(), msgspec.structs.replace(some_model(words), call_ids=True)
    exchange = Exchange(client, upstream, doc, stream=stream, profile=profile)
    said = said_of(upstream, words)
    told, losses = exchange.answered(answer(upstream, said, words), words)
    go_on(client, doc, told, words.pick(("full", "sdk")), words)
    following = Exchange(client, upstream, doc, stream=stream, profile=profile, table=exchange.table)
    back = _fair(client, upstream, turns_of(upstream, following.asked)[-1])
    sent = _fair(client, upstream, said.content)
    lost = {loss.feature for loss in (*losses, *following.losses) if loss.act not in _SHOWN}
    if "reasoning.text" in lost and upstream == OC and not profile.reasoning_content:
        lost.discard("reasoning.text")
        back, sent = _thoughtless(back), _thoughtless(sent)
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
    profile = msgspec.structs.replace(some_model(words), call_ids=True)
    spoke: list[tuple[list[tuple[Any, ...]], bool]] = []
    asked: list[Doc] = []
    table: Table = {}
    for _ in range(3):
        exchange = Exchange(client, upstream, doc, stream=stream, profile=profile, table=table)
        asked.append(exchange.asked)
        seen = [_fair(client, upstream, turn) for turn in turns_of(upstream, exchange.asked)]
        _same_turns(spoke, seen, has_table=client != upstream, is_minimal=strength == "minimal")
        said = said_of(upstream, words)
        told, losses = exchange.answered(answer(upstream, said, words), words)
        in_order = all(loss.feature != "part.order" for loss in losses)
        kept = _fair(client, upstream, said.content)
        if upstream == OC and client != OC and not profile.reasoning_content:
            kept = _thoughtless(kept)  # this server does not read thoughts; the report says so (L8)
        spoke.append((kept, in_order))
        go_on(client, doc, told, strength, words)
    if strength != "minimal" or client != upstream:
        for shorter, longer in pairwise(asked):
            assert_prefix(upstream, shorter, longer)


def _same_turns(
    spoke: list[tuple[list[tuple[Any, ...]], bool]],
    seen: list[list[tuple[Any, ...]]],
    *,
    has_table: bool,
    is_minimal: bool,
) -> None:
    assert len(seen) == len(spoke)
    for (sent, in_order), back in zip(spoke, seen, strict=True):
        if is_minimal and has_table and _is_kept(sent):
            assert back == sent  # what the client threw away came from the side table, each in its place
        elif is_minimal:  # texts and calls are all there is
            assert _bare(back) == _bare(sent)
        elif in_order:
            assert back == sent
        else:
            assert _unordered(back) == _unordered(sent)


def _thoughtless(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [fact for fact in found if fact[0] != "thought"]


def _is_kept(sent: list[tuple[Any, ...]]) -> bool:
    """Whether the side table has this turn: it calls a tool and holds a signature, or a block that is the upstream's own."""
    signs = (fact[2] for fact in sent if fact[0] in ("text", "thought") and len(fact) > 2)
    is_signed = any(signs) or any(fact[0] == "call" and len(fact) > 4 and fact[4] for fact in sent)
    has_own = any(fact[0] in ("redacted", "native") for fact in sent)
    return any(fact[0] == "call" for fact in sent) and (is_signed or has_own)


def _unordered(found: list[tuple[Any, ...]]) -> Any:
    """Facts when their order is reported as lost: text in one piece, each kind among itself as it was."""
    kinds = sorted({fact[0] for fact in found if fact[0] != "text"})
    others = [[fact for fact in found if fact[0] == kind] for kind in kinds]
    signs = [fact[2] for fact in found if fact[0] == "text" and len(fact) > 2 and fact[2]]
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
    body = b"".join(events(upstream, told, words))
    folded_ = _decoded_stream(upstream, chopped(words, body, 6))
    assert _coarse(folded_.candidates) == _coarse(whole.candidates)
    assert folded_.usage == whole.usage
    doc = request(client)
    say(client, doc, "x")
    unary, _ = Exchange(client, upstream, doc, stream=False).answered(told, words)
    ours, _ = Exchange(client, upstream, doc, stream=True).streamed(streamed(upstream, told, words), words)
    assert _visible(client, folded(client, ours)) == _visible(client, unary)
    again = _decoded_stream(client, [ours])
    answered = CONVERTERS[client].decode_response(WireResponse(status=200, body=dump(unary)))
    assert _heard(again) == _heard(answered)


def _decoded_stream(protocol: str, chunks: list[bytes]) -> ModelResponse:
    """The answer that a protocol's own decoder makes of a stream."""
    converter = CONVERTERS[protocol]
    decoder, frames = converter.stream_decoder(), converter.frames("text/event-stream")
    found = [one for chunk in chunks for frame in frames.feed(chunk) for one in decoder.feed(frame)]
    return fold([*found, *decoder.close()], protocol)


_ENVELOPE: Final = re.compile(MAGIC + r"[A-Za-z0-9+/_=-]*")


def _heard(response: ModelResponse) -> Any:
    """What an answer says whatever it is cut into: words by kind, calls, envelopes, endings, counts."""
    parts = [part for candidate in response.candidates for part in candidate.turn.parts]
    thoughts = [text for part in parts if isinstance(part, Reasoning) for text in (*part.summary, *part.raw)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    return (
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(thoughts),
        "".join(part.text for part in parts if isinstance(part, Refusal)),
        [(one.call_id, one.name, one.kind, repr(valued(parsed(one.arguments)))) for one in calls],
        sorted(_ENVELOPE.findall(" ".join(part.opaque.data for part in parts if part.opaque is not None))),
        sorted(type(part).__name__ for part in parts if not isinstance(part, Text | Reasoning)),
        [candidate.finish for candidate in response.candidates],
        response.usage,
        response.tier,
    )


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


# ---- prefixes, purity


def assert_prefix(upstream: str, shorter: Doc, longer: Doc) -> None:
    """The longer request begins as the shorter one: instructions, tools, and the whole conversation so far."""
    for name in ("system", "systemInstruction", "instructions", "tools"):
        assert without_marks(longer.get(name)) == without_marks(shorter.get(name)), name
    before, after = history(upstream, shorter), history(upstream, longer)
    assert without_marks(after[: len(before)]) == without_marks(before)


def l7_prefix(words: Words, client: str, upstream: str) -> None:
    """A request that goes on begins as the one before it."""
    doc, values = composed(client, upstream, words)
    profile = some_model(words)
    shorter = Exchange(client, upstream, doc, stream=False, profile=profile)
    longer_doc = copy.deepcopy(doc)
    if isinstance(longer_doc.get("input"), str):
        longer_doc["input"] = [{"role": "user", "content": longer_doc["input"]}]
    if "message.prefill" not in values:
        say(client, longer_doc, words.text(), role="assistant")
    say(client, longer_doc, words.text())
    longer = Exchange(client, upstream, longer_doc, stream=False, profile=profile)
    asked = shorter.asked
    if upstream == AM and "message.prefill" in values and not profile.prefill:
        history(AM, asked).pop()  # the user's full stop that stands in for a model that does not continue
    assert_prefix(upstream, asked, longer.asked)


def l9_purity(words: Words, client: str, upstream: str) -> None:
    """A second gateway says the same, byte for byte: nothing but the input decides."""
    doc, _ = composed(client, upstream, words)
    told = answer(upstream, said_of(upstream, words), words)
    stream, profile = words.coin(), some_model(words)
    body = streamed(upstream, told, words)

    def through(factory: ConverterFactory) -> Any:
        try:
            exchange = Exchange(client, upstream, doc, stream=stream, profile=profile, factory=factory)
        except Refused as error:
            return str(error)
        return everything_of(exchange, told, body)

    other = ConverterFactory([type(one)() for one in BUILTIN], CARRIER)
    assert through(other) == through(FACTORY)


def everything_of(exchange: Exchange, told: Doc, body: bytes) -> Any:
    """Everything that an exchange makes: what both sides get, the report, the record for the side table."""
    if exchange.stream:
        out, losses = exchange.streamed(body, Words(Random(1)))
        return exchange.sent, exchange.losses, out, losses, exchange.table
    whole = exchange.conversion.whole(WireResponse(status=200, body=dump(told), headers=JSON_HEADERS))
    return exchange.sent, exchange.losses, whole.response, whole.losses, exchange.table
