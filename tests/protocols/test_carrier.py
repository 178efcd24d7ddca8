from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import (
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Shape,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.base import OpaqueSlots
from aiclient2api.protocols.carrier import (
    MAGIC,
    Carrier,
    Sealed,
    SealingStream,
    is_envelope,
    join_continued,
    opaque,
    open_request,
)
from tests.fakes.generated import OPAQUES, REASONINGS, TURNS

CARRIER = Carrier({1: b"a key of sixteen", 2: b"another, older one"}, current=1)
SIGNATURE = Opaque("anthropic.signature", "EqQB/+==")
THOUGHT = Opaque("gemini.signature", "CiQB")
ENCRYPTED = Opaque("openai.encrypted", "gAAAA")
DETAILS = Opaque("openai_chat.details", '[{"type":"reasoning.encrypted"}]')

SLOTS = {
    "openai_chat": OpaqueSlots(native=frozenset({"openai_chat.details"}), on_parts=True),
    "openai_responses": OpaqueSlots(native=frozenset({"openai.encrypted"}), on_parts=False),
    "anthropic": OpaqueSlots(
        native=frozenset({"anthropic.signature", "anthropic.redacted"}), on_parts=False, always=True
    ),
    "gemini": OpaqueSlots(native=frozenset({"gemini.signature"}), on_parts=True),
}


def answer(parts: list[Part]) -> ModelResponse:
    candidate = Candidate(turn=Turn(role="assistant", parts=parts), finish=Finish(reason="stop"))
    return ModelResponse(protocol="upstream", id="r", model="m", candidates=[candidate])


def sealed(parts: list[Part], slots: OpaqueSlots) -> list[Part]:
    """What a client is given, and sends back as the assistant's turn."""
    sealing = SealingStream(CARRIER, "alice", slots)
    events = [event for one in unfold(answer(parts)) for event in sealing.feed(one)]
    return fold(events, "upstream").candidates[0].turn.parts


def opened(parts: list[Part], tenant: str = "alice") -> list[Part]:
    request = ModelRequest(protocol="client", model="m", turns=[Turn(role="assistant", parts=parts)])
    return open_request(request, CARRIER, tenant)[0].turns[0].parts


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Sealed("self", Reasoning(summary=["Let me see"], opaque=SIGNATURE)), id="self"),
        pytest.param(Sealed("next", None, THOUGHT), id="next"),
        pytest.param(Sealed("prev", None, THOUGHT), id="prev"),
        pytest.param(Sealed("value", None, DETAILS), id="value"),
        pytest.param(Sealed("self", Text(text="", opaque=THOUGHT)), id="a text that is only its signature"),
        pytest.param(
            Sealed(
                "self",
                Reasoning(
                    raw=["é\n"], shape=Shape.EMPTY_LIST, ext={"gemini": {"x": Raw(b'{ "b":1, "a":1.50}')}}
                ),
            ),
            id="unknown members",
        ),
    ],
)
def test_an_envelope_gives_back_what_was_put_in(content: Sealed) -> None:
    assert CARRIER.open(CARRIER.seal(content, "alice").data, "alice") == content


@given(
    st.builds(Sealed, st.sampled_from(["self", "next", "prev", "value"]), st.none() | REASONINGS, OPAQUES),
    st.text(),
)
@settings(max_examples=100)
def test_sealing_loses_nothing(content: Sealed, tenant: str) -> None:
    assert CARRIER.open(CARRIER.seal(content, tenant).data, tenant) == content


@given(REASONINGS)
@settings(max_examples=50)
def test_an_envelope_is_plain_base64_and_begins_with_the_magic(part: Reasoning) -> None:
    envelope = CARRIER.seal(Sealed("self", part), "alice")

    assert envelope.kind == "envelope"
    assert envelope.data.startswith(MAGIC)
    assert len(envelope.data) % 4 == 0
    assert set(envelope.data) <= set(string.ascii_letters + string.digits + "+/")


def test_the_magic_is_base64_of_our_name() -> None:
    assert base64.b64decode(MAGIC) == b"gw-carry1"


def test_the_url_safe_alphabet_is_accepted() -> None:
    content = Sealed("self", Text(text="".join(chr(code) for code in range(0x20, 0x400))))
    envelope = CARRIER.seal(content, "alice").data
    assert "+" in envelope
    assert "/" in envelope

    assert CARRIER.open(envelope.replace("+", "-").replace("/", "_"), "alice") == content


def test_the_previous_key_still_opens() -> None:
    old = Carrier({2: b"another, older one"}, current=2)

    assert CARRIER.open(old.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") == Sealed(
        "next", None, THOUGHT
    )


def test_another_tenant_cannot_open_it() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    assert CARRIER.open(envelope, "bob") is None
    assert CARRIER.open(envelope, "") is None


def test_an_unknown_key_cannot_open_it() -> None:
    foreign = Carrier({7: b"a key of sixteen"}, current=7)
    same_id = Carrier({1: b"not the same key"}, current=1)

    assert CARRIER.open(foreign.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") is None
    assert CARRIER.open(same_id.seal(Sealed("next", None, THOUGHT), "alice").data, "alice") is None


def test_every_damaged_character_is_noticed() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    for at, char in enumerate(envelope):
        damaged = envelope[:at] + ("A" if char != "A" else "B") + envelope[at + 1 :]
        assert CARRIER.open(damaged, "alice") is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="nothing"),
        pytest.param(MAGIC, id="only the magic"),
        pytest.param(MAGIC + "AAAAAAAAAAAAAAAAAAAAAAAA", id="zeros"),
        pytest.param("EqQBCkYIBxgCIkDa", id="a native signature"),
        pytest.param(MAGIC + "é", id="not base64"),
        pytest.param(MAGIC + "=", id="wrong padding"),
        pytest.param("\udc80", id="a lone surrogate"),
    ],
)
def test_other_text_is_not_an_envelope(data: str) -> None:
    assert CARRIER.open(data, "alice") is None


@given(st.text())
@settings(max_examples=100)
def test_no_text_at_all_breaks_the_opener(text: str) -> None:
    assert CARRIER.open(text, "alice") is None
    assert CARRIER.open(MAGIC + text, "alice") is None


def test_a_truncated_envelope_is_not_opened() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice").data

    assert [CARRIER.open(envelope[:length], "alice") for length in range(len(envelope))] == [None] * len(
        envelope
    )


def test_keys_do_not_show() -> None:
    assert repr(CARRIER) == "Carrier(keys=[1, 2])"


def test_a_signature_slot_holds_an_envelope_or_native_state() -> None:
    envelope = CARRIER.seal(Sealed("next", None, THOUGHT), "alice")

    assert opaque("anthropic.signature", envelope.data) == envelope
    assert opaque("anthropic.signature", "EqQB") == Opaque("anthropic.signature", "EqQB")
    assert is_envelope(envelope)
    assert not is_envelope(SIGNATURE)
    assert not is_envelope(None)


ANSWERS: dict[str, list[Part]] = {
    "signed reasoning": [Reasoning(summary=["a", "b"], opaque=SIGNATURE), Text(text="Hello")],
    "redacted reasoning": [
        Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "x")),
        Text(text="Hi"),
    ],
    "encrypted reasoning": [
        Reasoning(summary=["a"], id="rs_1", opaque=ENCRYPTED),
        ToolCall(call_id="c", name="f"),
    ],
    "reasoning details": [Reasoning(raw=["a"], opaque=DETAILS), Text(text="Hello")],
    "unsigned reasoning": [Reasoning(summary=["a"]), Text(text="Hello")],
    "a signed call": [ToolCall(call_id="c", name="f", arguments="{}", opaque=THOUGHT)],
    "two calls, the first signed": [
        ToolCall(call_id="c", name="f", arguments="{}", opaque=THOUGHT),
        ToolCall(call_id="d", name="g", arguments="{}"),
    ],
    "signed text": [Text(text="Hello", opaque=THOUGHT), Text(text="again")],
    "a signature behind the text": [Text(text="Hello"), Text(text="", opaque=THOUGHT)],
    "only a signature": [Text(text="", opaque=THOUGHT)],
    "a signed refusal": [Refusal(text="no", opaque=THOUGHT)],
    "reasoning and a signed call": [
        Reasoning(summary=["a"]),
        Text(text="I look it up", opaque=THOUGHT),
        ToolCall(call_id="c", name="f", arguments='{"n":1.50}', opaque=Opaque("gemini.signature", "Other")),
    ],
    "nothing to carry": [Text(text="Hello"), ToolCall(call_id="c", name="f", arguments="{}")],
}


@pytest.mark.parametrize("client", SLOTS)
@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in ANSWERS.items()])
def test_state_survives_a_client_of_another_protocol(client: str, parts: list[Part]) -> None:
    given_to_client = sealed(parts, SLOTS[client])

    for part in given_to_client:
        assert part.opaque is None or is_envelope(part.opaque) or part.opaque.kind in SLOTS[client].native
    assert opened(given_to_client) == parts


@given(st.sampled_from(sorted(SLOTS)), TURNS)
@settings(max_examples=100)
def test_every_answer_survives_every_client(client: str, turn: Turn) -> None:
    parts = [part for part in turn.parts if not _is_odd(part)]

    assert opened(sealed(parts, SLOTS[client])) == parts


def _is_odd(part: Part) -> bool:
    """An empty text exists for its signature only: citations without text are no upstream's."""
    return isinstance(part, Text) and not part.text and bool(part.citations or part.logprobs)


@pytest.mark.parametrize("client", ["openai_responses", "anthropic"])
def test_a_clients_protocol_without_room_on_parts_gets_a_reasoning_part_beside_them(client: str) -> None:
    call = ToolCall(call_id="c", name="f", arguments="{}", opaque=THOUGHT)

    before, after = sealed([call], SLOTS[client]), sealed([Text(text="Hello", opaque=THOUGHT)], SLOTS[client])

    assert [type(part).__name__ for part in before] == ["Reasoning", "ToolCall"]
    assert [type(part).__name__ for part in after] == ["Text", "Reasoning"]
    assert [is_envelope(part.opaque) for part in (*before, *after)] == [True, False, False, True]


def test_a_clients_protocol_with_room_on_parts_keeps_their_number() -> None:
    parts = sealed(
        [Text(text="Hello", opaque=THOUGHT), ToolCall(call_id="c", name="f", opaque=THOUGHT)],
        SLOTS["openai_chat"],
    )

    assert [type(part).__name__ for part in parts] == ["Text", "ToolCall"]
    assert all(is_envelope(part.opaque) for part in parts)


def test_a_text_that_is_only_a_signature_becomes_the_envelope_itself() -> None:
    parts = sealed([Text(text="Hello"), Text(text="", opaque=THOUGHT)], SLOTS["anthropic"])

    assert [type(part).__name__ for part in parts] == ["Text", "Reasoning"]


def test_messages_clients_always_get_signed_reasoning() -> None:
    (reasoning,) = sealed([Reasoning(summary=["a"])], SLOTS["anthropic"])
    (unsigned,) = sealed([Reasoning(summary=["a"])], SLOTS["openai_chat"])

    assert is_envelope(reasoning.opaque)
    assert unsigned == Reasoning(summary=["a"])


def test_a_signature_joined_to_the_text_before_it_comes_back_as_its_own_part() -> None:
    envelope = CARRIER.seal(Sealed("self", Text(text="", opaque=THOUGHT)), "alice")

    assert opened([Text(text="Hello", opaque=envelope)]) == [
        Text(text="Hello"),
        Text(text="", opaque=THOUGHT),
    ]


def test_parts_are_numbered_densely_when_some_are_inserted() -> None:
    sealing = SealingStream(CARRIER, "alice", SLOTS["anthropic"])
    parts: list[Part] = [
        Text(text="a", opaque=THOUGHT),
        ToolCall(call_id="c", name="f", arguments="{}", opaque=THOUGHT),
        Text(text="b"),
    ]

    events = [event for one in unfold(answer(parts)) for event in sealing.feed(one)]

    assert [
        (event.number, type(event.part).__name__) for event in events if isinstance(event, PartStart)
    ] == [
        (0, "Text"),
        (1, "Reasoning"),
        (2, "Reasoning"),
        (3, "ToolCall"),
        (4, "Text"),
    ]
    assert sealing.losses == [Loss("reasoning.opaque", "response", "carried")] * 2


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "gemini"])
def test_a_signature_that_comes_behind_the_thought_is_sealed_with_the_whole_thought(client: str) -> None:
    sealing = SealingStream(CARRIER, "alice", SLOTS[client])
    events: list[StreamEvent] = [
        PartStart(0, Reasoning()),
        PartDelta(0, "Let me ", "summary"),
        PartDelta(0, "see", "summary"),
        PartDelta(0, "", "opaque", 0, SIGNATURE),
        PartEnd(0),
    ]

    out = [event for one in events for event in sealing.feed(one)]

    assert out[:3] == events[:3]
    state, end = out[3:]
    assert isinstance(state, PartDelta)
    assert isinstance(state.value, Opaque)
    assert CARRIER.open(state.value.data, "alice") == Sealed(
        "self", Reasoning(summary=["Let me see"], opaque=SIGNATURE)
    )
    assert end == PartEnd(0, Reasoning(summary=["Let me see"], opaque=state.value))


def test_nothing_is_left_of_a_text_that_became_an_envelope() -> None:
    sealing = SealingStream(CARRIER, "alice", SLOTS["anthropic"])

    begun = sealing.feed(PartStart(0, Text(text="", opaque=THOUGHT)))

    assert [type(event) for event in begun] == [PartStart, PartDelta, PartEnd]
    assert sealing.feed(PartDelta(0, "")) == []
    assert sealing.feed(PartEnd(0)) == []
    assert sealing.feed(PartStart(1, Text(text=""))) == [PartStart(1, Text(text=""))]


def test_candidates_are_numbered_for_themselves() -> None:
    turns = [Turn(role="assistant", parts=[Text(text="a", opaque=THOUGHT), Text(text="b")])] * 2
    response = ModelResponse(
        protocol="upstream",
        id="r",
        model="m",
        candidates=[
            Candidate(turn=turn, index=index, finish=Finish(reason="stop"))
            for index, turn in enumerate(turns)
        ],
    )
    sealing = SealingStream(CARRIER, "alice", SLOTS["anthropic"])

    folded = fold((event for one in unfold(response) for event in sealing.feed(one)), "upstream")

    assert [opened(candidate.turn.parts) for candidate in folded.candidates] == [turn.parts for turn in turns]


def test_a_fragment_that_a_client_echoed_beside_the_whole_thought_is_removed() -> None:
    thought = Reasoning(summary=["Let me ", "see"], opaque=SIGNATURE)
    envelope = CARRIER.seal(Sealed("self", thought), "alice")

    parts = opened(
        [Reasoning(summary=["Let me "]), Reasoning(summary=["see"], opaque=envelope), Text(text="Hi")]
    )

    assert parts == [thought, Text(text="Hi")]


def test_a_thought_of_its_own_before_the_envelope_stays() -> None:
    thought = Reasoning(summary=["second"], opaque=SIGNATURE)
    envelope = CARRIER.seal(Sealed("self", thought), "alice")

    parts = opened([Reasoning(summary=["first"]), Reasoning(summary=["second"], opaque=envelope)])

    assert parts == [Reasoning(summary=["first"]), thought]


def test_a_signed_thought_is_never_taken_for_a_fragment() -> None:
    thought = Reasoning(summary=["all of it"], opaque=SIGNATURE)
    envelope = CARRIER.seal(Sealed("self", thought), "alice")
    signed = Reasoning(summary=["all of "], opaque=Opaque("anthropic.signature", "Other"))

    parts = opened([signed, Reasoning(summary=["it"], opaque=envelope)])

    assert parts == [signed, thought]


def test_the_original_stands_where_a_new_item_began() -> None:
    envelope = CARRIER.seal(Sealed("self", Reasoning(opaque=SIGNATURE)), "alice")

    assert opened([Reasoning(opaque=envelope, new_item=True)]) == [Reasoning(opaque=SIGNATURE, new_item=True)]


def test_what_cannot_be_verified_is_dropped_and_reported() -> None:
    foreign = CARRIER.seal(Sealed("self", Reasoning(opaque=SIGNATURE)), "bob")
    turn = Turn(
        role="assistant",
        parts=[
            Reasoning(opaque=foreign),
            Reasoning(summary=["seen"], opaque=foreign),
            ToolCall(call_id="c", name="f", opaque=foreign),
        ],
    )
    request = ModelRequest(
        protocol="anthropic", model="m", turns=[Turn(role="user", parts=[Text(text="?")]), turn]
    )

    clean, losses = open_request(request, CARRIER, "alice")

    assert clean.turns[1].parts == [Reasoning(summary=["seen"]), ToolCall(call_id="c", name="f")]
    assert losses == [
        Loss("reasoning.opaque", f"turns[1].parts[{index}]", "dropped", note="unverified")
        for index in range(3)
    ]


def test_a_request_without_envelopes_stays_as_it_is() -> None:
    turn = Turn(role="assistant", parts=[Reasoning(summary=["a"], opaque=SIGNATURE), Text(text="b")])

    clean, losses = open_request(
        ModelRequest(protocol="anthropic", model="m", turns=[turn]), CARRIER, "alice"
    )

    assert clean.turns[0] is turn
    assert losses == []


def test_state_of_a_part_that_the_client_left_out_is_reported() -> None:
    before = CARRIER.seal(Sealed("next", None, THOUGHT), "alice")
    after = CARRIER.seal(Sealed("prev", None, THOUGHT), "alice")
    turn = Turn(role="assistant", parts=[Reasoning(opaque=after), Text(text="Hi"), Reasoning(opaque=before)])

    clean, losses = open_request(
        ModelRequest(protocol="anthropic", model="m", turns=[turn]), CARRIER, "alice"
    )

    assert clean.turns[0].parts == [Text(text="Hi")]
    assert losses == [
        Loss("reasoning.opaque", "turns[0].parts[0]", "dropped", note="its part is missing"),
        Loss("reasoning.opaque", "turns[0].parts[2]", "dropped", note="its part is missing"),
    ]


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        pytest.param(
            [Text(text="Hel"), Text(text="lo", shape=Shape.CONTINUES), Text(text="!", shape=Shape.CONTINUES)],
            [Text(text="Hello!")],
            id="text",
        ),
        pytest.param(
            [Text(text="Hel"), Text(text="lo", shape=Shape.CONTINUES, opaque=THOUGHT)],
            [Text(text="Hello", opaque=THOUGHT)],
            id="the last piece is signed",
        ),
        pytest.param(
            [Text(text="a", opaque=THOUGHT), Text(text="b", shape=Shape.CONTINUES)],
            [Text(text="a", opaque=THOUGHT), Text(text="b", shape=Shape.CONTINUES)],
            id="signed text is complete",
        ),
        pytest.param(
            [Reasoning(summary=["Let "]), Reasoning(summary=["me"], shape=Shape.CONTINUES, opaque=THOUGHT)],
            [Reasoning(summary=["Let me"], opaque=THOUGHT)],
            id="reasoning",
        ),
        pytest.param(
            [Reasoning(summary=["a"]), Text(text="b", shape=Shape.CONTINUES)],
            [Reasoning(summary=["a"]), Text(text="b", shape=Shape.CONTINUES)],
            id="another kind of part",
        ),
        pytest.param(
            [ToolCall(call_id="c", name="f"), Text(text="b", shape=Shape.CONTINUES)],
            [ToolCall(call_id="c", name="f"), Text(text="b", shape=Shape.CONTINUES)],
            id="behind a call",
        ),
        pytest.param([Text(text="a"), Text(text="b")], [Text(text="a"), Text(text="b")], id="two texts"),
    ],
)
def test_echoed_pieces_are_joined(parts: list[Part], joined: list[Part]) -> None:
    request = ModelRequest(protocol="gemini", model="m", turns=[Turn(role="assistant", parts=parts)])

    assert join_continued(request).turns[0].parts == joined


def test_a_piece_never_joins_another_speakers_text() -> None:
    turns = [
        Turn(role="user", parts=[Text(text="a")]),
        Turn(role="assistant", parts=[Text(text="b", shape=Shape.CONTINUES)]),
    ]

    assert join_continued(ModelRequest(protocol="gemini", model="m", turns=turns)).turns == turns
