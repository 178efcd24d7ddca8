"""Turns of other protocols in the order that Messages demands."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.ir.parts import (
    Inline,
    Media,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import (
    Turn,
)
from aiclient2api.protocols.profile import ModelProfile
from tests.protocols.anthropic.anthropic_foreign import (
    CALLS,
    FOREIGN,
    HI,
    SIGNED,
    conversation,
    encoded,
    result,
    says,
    system,
    user,
)

TOOL_USES: dict[str, Any] = {
    "role": "assistant",
    "content": [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ],
}


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": text}


def reminder(text: str) -> dict[str, str]:
    return {"type": "text", "text": f"<system-reminder>\n{text}\n</system-reminder>"}


def answered(call_id: str, text: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": text}


ORDERS: dict[str, tuple[list[Turn], bool, list[dict[str, Any]], list[tuple[str, str]]]] = {
    "tool messages become one user message with what follows": (
        [HI, CALLS, result("a", "A"), result("b", "B"), user("next")],
        False,
        [
            said("hi"),
            TOOL_USES,
            {
                "role": "user",
                "content": [answered("a", "A"), answered("b", "B"), {"type": "text", "text": "next"}],
            },
        ],
        [],
    ),
    "results come first": (
        [HI, CALLS, user("wait"), result("a", "A"), result("b", "B")],
        False,
        [
            said("hi"),
            TOOL_USES,
            {
                "role": "user",
                "content": [answered("a", "A"), answered("b", "B"), {"type": "text", "text": "wait"}],
            },
        ],
        [("part.order", "approximated")],
    ),
    "consecutive user messages stay apart": ([HI, user("there")], False, [said("hi"), said("there")], []),
    "a late instruction becomes a reminder before the next words": (
        [user("U1"), says(Text(text="A1")), system("D", "developer"), user("U2")],
        False,
        [
            said("U1"),
            said("A1", "assistant"),
            {"role": "user", "content": [reminder("D"), {"type": "text", "text": "U2"}]},
        ],
        [("system.role", "approximated"), ("system.mid", "emulated")],
    ),
    "a late instruction slides behind the user's words where the model takes it": (
        [user("U1"), says(Text(text="A1")), system("D"), user("U2")],
        True,
        [said("U1"), said("A1", "assistant"), said("U2"), said("D", "system")],
        [("system.mid", "approximated")],
    ),
    "a late instruction without a user message is a reminder even there": (
        [user("U1"), says(Text(text="A1")), system("D"), says(Text(text="A2")), user("U2")],
        True,
        [
            said("U1"),
            said("A1", "assistant"),
            said(reminder("D")["text"]),
            said("A2", "assistant"),
            said("U2"),
        ],
        [("system.mid", "emulated")],
    ),
    "the conversation begins with the user": (
        [says(Text(text="A")), user("U")],
        False,
        [said("."), said("A", "assistant"), said("U")],
        [("part.order", "defaulted")],
    ),
    "the conversation ends with the user": (
        [user("U"), says(Text(text="A"))],
        False,
        [said("U"), said("A", "assistant"), said(".")],
        [("part.order", "emulated")],
    ),
    "empty messages": (
        [Turn(role="user", parts=[Text(text="")]), says(Text(text="")), user("U")],
        False,
        [said("."), said("U")],
        [("message.empty", "defaulted"), ("message.empty", "dropped")],
    ),
}


@pytest.mark.parametrize(("turns", "mid", "messages", "losses"), ORDERS.values(), ids=ORDERS.keys())
def test_turns_are_put_in_legal_order(
    turns: list[Turn], mid: bool, messages: list[dict[str, Any]], losses: list[tuple[str, str]]
) -> None:
    body, reported = encoded(conversation(*turns), ModelProfile(mid_system=mid))

    assert body["messages"] == messages
    assert reported == losses


def test_a_longer_conversation_extends_the_shorter_one() -> None:
    turns = [
        HI,
        CALLS,
        result("a", "A"),
        result("b", "B"),
        says(Text(text="done")),
        system("D"),
        user("more"),
    ]
    short, _ = encoded(conversation(*turns))

    longer, _ = encoded(conversation(*turns, says(Text(text="yes")), user("bye")))

    assert longer["messages"][: len(short["messages"])] == short["messages"]


def test_leading_instructions_become_system_blocks() -> None:
    body, losses = encoded(conversation(system("S1"), system("S2", "developer"), HI))

    assert body["system"] == [{"type": "text", "text": "S1"}, {"type": "text", "text": "S2"}]
    assert losses == [("system.role", "approximated")]


def test_one_instruction_is_a_string() -> None:
    assert encoded(conversation(system("S"), HI))[0]["system"] == "S"


def test_a_call_and_its_result_get_the_same_legal_id() -> None:
    body, _ = encoded(conversation(HI, says(ToolCall(call_id="a.b:0", name="f")), result("a.b:0", "R")))

    call_id = body["messages"][1]["content"][0]["id"]
    assert call_id == body["messages"][2]["content"][0]["tool_use_id"]
    assert (call_id[:2], len(call_id)) == ("h_", 28)


def test_a_tool_result_keeps_error_and_image() -> None:
    image = Media(kind="image", source=Inline("image/png", "iVBO"))
    turn = Turn(
        role="tool", parts=[ToolResult(call_id="a", parts=[Text(text="failed"), image], is_error=True)]
    )

    body, losses = encoded(conversation(HI, CALLS, turn))

    assert body["messages"][2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                {"type": "text", "text": "failed"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            ],
            "is_error": True,
        }
    ]
    assert losses == []


def test_a_structured_result_is_sent_as_its_json_text() -> None:
    turn = Turn(role="tool", parts=[ToolResult(call_id="a", structured=Raw(b'{"temp": 3.0}'))])

    body, losses = encoded(conversation(HI, CALLS, turn))

    assert body["messages"][2]["content"][0]["content"] == '{"temp": 3.0}'
    assert losses == [("tool_result.structured", "approximated")]


def test_foreign_state_in_a_native_history_stays_behind() -> None:
    """A Claude client that talked to another model: its restored state must not reach Claude."""
    request = replace(
        conversation(
            HI,
            says(Reasoning(opaque=FOREIGN), Text(text="by another model")),
            HI,
            says(Reasoning(summary=["own"], opaque=SIGNED), Text(text="by Claude")),
            HI,
            says(Reasoning(opaque=FOREIGN)),
        ),
        protocol="anthropic",
    )

    body, losses = encoded(request)

    assert [item["content"] for item in body["messages"] if item["role"] == "assistant"] == [
        [{"type": "text", "text": "by another model"}],
        [{"type": "thinking", "thinking": "own", "signature": "SIG"}, {"type": "text", "text": "by Claude"}],
    ]
    assert losses == [("reasoning.opaque", "dropped")] * 2
