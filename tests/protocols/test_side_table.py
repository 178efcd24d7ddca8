"""What a client does not send back is put back by tool-call id, where its turn fits what was said."""

from __future__ import annotations

import msgspec
import pytest

from aiclient2api.ir.fold import unfold
from aiclient2api.ir.parts import HostedCall, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.side_table import MAX_BYTES, SideTable, TurnRecorder, wanted
from tests.fakes.sealing import CARRIER, SIGNATURE, SLOTS, THOUGHT, answer

CLAUDE = SLOTS["anthropic"]
GEMINI = SLOTS["gemini"]
QUESTION = Turn(role="user", parts=[Text(text="Weather?")])
THINKING = Reasoning(summary=["hm, ", "rain"], opaque=SIGNATURE)
CALL = ToolCall(call_id="c1", name="weather", arguments='{"city":"Rome"}')
SECOND = ToolCall(call_id="c2", name="clock", arguments="{}")
SAID: list[Part] = [THINKING, Text(text="Let me look."), CALL, SECOND]


def asked(*turns: Turn) -> ModelRequest:
    return ModelRequest(protocol="client", model="m", turns=list(turns))


def recorded(said: list[Part], question: Turn = QUESTION) -> tuple[str, bytes | None] | None:
    recorder = TurnRecorder(asked(question), "account-mark")
    for event in unfold(answer(said)):
        recorder.note(event)
    return recorder.record()


def table(said: list[Part] = SAID, tenant: str = "alice") -> SideTable:
    found = recorded(said)
    assert found is not None
    assert found[1] is not None
    return SideTable({found[0]: CARRIER.sign(found[1], "alice", found[0])}, CARRIER, tenant)


def back(*parts: Part, of: SideTable, upstream: str = "anthropic", question: Turn = QUESTION) -> list[Part]:
    """The assistant's turn as the upstream gets it."""
    request = asked(question, Turn(role="assistant", parts=list(parts)))
    return of.put_back(request, SLOTS[upstream])[0].turns[-1].parts


def test_thoughts_stand_where_they_stood_and_the_words_are_the_clients() -> None:
    request = asked(QUESTION, Turn(role="assistant", parts=[Text(text="Let me look."), CALL, SECOND]))
    restored, losses = table().put_back(request, CLAUDE)
    assert restored.turns[-1].parts == SAID
    assert [(loss.feature, loss.path, loss.act) for loss in losses] == [
        ("reasoning.opaque", "turns[1]", "side_table")
    ]


def test_text_between_thoughts_is_cut_where_it_was() -> None:
    said: list[Part] = [
        THINKING,
        Text(text="One. "),
        Reasoning(summary=["more"], opaque=Opaque("anthropic.signature", "2")),
        Text(text="Two."),
        CALL,
    ]
    assert back(Text(text="One. Two."), CALL, of=table(said)) == said


def test_a_changed_text_keeps_its_place_where_there_is_only_one() -> None:
    assert back(Text(text="Let me look"), CALL, SECOND, of=table()) == [
        THINKING, Text(text="Let me look"), CALL, SECOND,
    ]  # fmt: skip
    assert back(CALL, SECOND, of=table()) == [THINKING, CALL, SECOND]
    several: list[Part] = [THINKING, Text(text="a"), THINKING, Text(text="b"), CALL]
    assert back(Text(text="abc"), CALL, of=table(several)) == [Text(text="abc"), CALL]


def test_signatures_of_calls_and_of_empty_texts_come_back() -> None:
    said: list[Part] = [
        Text(text="Hm."),
        msgspec.structs.replace(CALL, opaque=THOUGHT),
        SECOND,
        Text(text="", opaque=THOUGHT),
    ]
    assert back(Text(text="Hm."), CALL, SECOND, of=table(said), upstream="gemini") == said


def test_a_hosted_block_comes_back_to_its_own_protocol_only() -> None:
    block = HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=msgspec.Raw(b"{}"), side="call")
    assert back(CALL, of=table([block, CALL])) == [block, CALL]
    assert back(CALL, of=table([block, CALL]), upstream="gemini") == [CALL]


@pytest.mark.parametrize("upstream", ["gemini", "openai_responses", "openai_chat"])
def test_nobody_else_gets_a_signature(upstream: str) -> None:
    assert back(Text(text="Let me look."), CALL, SECOND, of=table(), upstream=upstream) == [
        Text(text="Let me look."), CALL, SECOND,
    ]  # fmt: skip


def test_another_tenant_gets_nothing() -> None:
    bare: list[Part] = [Text(text="Let me look."), CALL, SECOND]
    assert back(*bare, of=table(tenant="bob")) == bare
    assert table(tenant="bob").account is None
    assert table().account == "account-mark"


def test_a_record_is_worth_nothing_under_another_call_or_when_it_was_altered() -> None:
    found = recorded(SAID)
    assert found is not None
    assert found[1] is not None
    signed = CARRIER.sign(found[1], "alice", "c1")
    assert CARRIER.verified(signed, "alice", "c1") == found[1]
    assert CARRIER.verified(signed, "alice", "c2") is None
    assert CARRIER.verified(signed[:-1], "alice", "c1") is None
    assert CARRIER.verified(signed.replace(b"rain", b"snow"), "alice", "c1") is None
    assert CARRIER.verified(b"", "alice", "c1") is None


def test_the_same_id_in_another_conversation_is_another_call() -> None:
    bare: list[Part] = [Text(text="Let me look."), CALL, SECOND]
    other = Turn(role="user", parts=[Text(text="And now?")])
    assert back(*bare, of=table(), question=other) == bare
    results = Turn(role="user", parts=[ToolResult(call_id="c0", parts=[Text(text="12")])])
    found = recorded(SAID, results)
    assert found is not None
    assert found[1] is not None
    made = SideTable({"c1": CARRIER.sign(found[1], "alice", "c1")}, CARRIER, "alice")
    shortened = Turn(role="user", parts=[ToolResult(call_id="c0", parts=[Text(text="[old]")])])
    assert back(*bare, of=made, question=shortened) == SAID


def test_other_calls_than_were_made_fit_no_record() -> None:
    assert back(CALL, of=table()) == [CALL]
    assert back(SECOND, CALL, of=table()) == [SECOND, CALL]


def test_unsigned_thoughts_of_the_client_give_way_to_the_original() -> None:
    shown = Reasoning(raw=["hm, rain"])
    assert back(shown, Text(text="Let me look."), CALL, SECOND, of=table()) == SAID


def test_only_turns_that_came_back_bare_are_looked_up() -> None:
    def turn(*parts: Part) -> Turn:
        return Turn(role="assistant", parts=list(parts))

    long = msgspec.structs.replace(CALL, call_id="x" * 300)
    request = asked(
        QUESTION, turn(CALL), turn(THINKING, SECOND), turn(Text(text="bye")), turn(long), turn(SECOND)
    )
    assert wanted(request) == ["c2", "c1"]


def test_answers_without_calls_without_state_or_of_great_size_are_not_kept() -> None:
    assert recorded([THINKING, Text(text="Hi")]) is None
    assert recorded([Text(text="Hi"), CALL]) == ("c1", None)
    assert recorded([Reasoning(summary=["hm"]), CALL]) == ("c1", None)
    assert recorded([Reasoning(summary=["x" * MAX_BYTES], opaque=SIGNATURE), CALL]) == ("c1", None)


def test_what_a_text_was_to_the_answer_comes_back_to_a_protocol_that_says_so() -> None:
    said: list[Part] = [
        Text(text="I look. ", phase="commentary"),
        Text(text="Rain.", phase="final_answer"),
        CALL,
    ]
    request = asked(QUESTION, Turn(role="assistant", parts=[Text(text="I look. Rain."), CALL]))
    restored, losses = table(said).put_back(request, SLOTS["openai_responses"])
    assert restored.turns[-1].parts == said
    assert [(loss.feature, loss.act) for loss in losses] == [("message.phase", "side_table")]
    assert back(Text(text="I look. Rain."), CALL, of=table(said)) == [Text(text="I look. Rain."), CALL]
