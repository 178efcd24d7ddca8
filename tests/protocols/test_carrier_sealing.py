from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import (
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.carrier import (
    Sealed,
    SealingStream,
    is_envelope,
)
from tests.fakes.generated import TURNS
from tests.fakes.sealing import CARRIER, DETAILS, ENCRYPTED, SIGNATURE, SLOTS, THOUGHT, answer, opened, sealed

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
