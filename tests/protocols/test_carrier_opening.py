from __future__ import annotations

import pytest

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import (
    Opaque,
    Part,
    Reasoning,
    Shape,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.carrier import Sealed
from aiclient2api.protocols.opening import join_continued, open_request
from tests.fakes.sealing import CARRIER, SIGNATURE, THOUGHT, opened


def test_a_signature_joined_to_the_text_before_it_comes_back_as_its_own_part() -> None:
    envelope = CARRIER.seal(Sealed("self", Text(text="", opaque=THOUGHT)), "alice")

    assert opened([Text(text="Hello", opaque=envelope)]) == [
        Text(text="Hello"),
        Text(text="", opaque=THOUGHT),
    ]


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
