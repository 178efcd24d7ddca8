"""Messages that a client sends back: the reasoning, signatures and order of an earlier answer."""

from __future__ import annotations

import pytest

from aiclient2api.ir.parts import Opaque, Reasoning, Text
from tests.protocols.openai_chat.chat_requests import CALL
from tests.protocols.openai_chat.chat_wire import ENVELOPE, chat, decode, encode, turn


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        ({"reasoning_content": "t"}, [Reasoning(raw=["t"])]),
        ({"reasoning": "t"}, [Reasoning(raw=["t"])]),
        (
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "t", "signature": ENVELOPE}
                ]
            },
            [Reasoning(raw=["t"], opaque=Opaque("envelope", ENVELOPE))],
        ),
        (
            {
                "reasoning_content": "t",
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "format": "gateway-v1", "text": "t"},
                    {"index": 0, "signature": ENVELOPE},
                ],
            },
            [Reasoning(raw=["t"], opaque=Opaque("envelope", ENVELOPE))],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.text", "format": "gateway-v1", "text": "t"}]},
            [Reasoning(raw=["t"])],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "s", "id": "r"}]},
            [
                Reasoning(
                    summary=["s"],
                    opaque=Opaque(
                        "openai_chat.details", '{"type": "reasoning.summary", "summary": "s", "id": "r"}'
                    ),
                )
            ],
        ),
        (
            {
                "reasoning_content": "t",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "g"}],
            },
            [
                Reasoning(raw=["t"]),
                Reasoning(
                    opaque=Opaque("openai_chat.details", '{"type": "reasoning.encrypted", "data": "g"}')
                ),
            ],
        ),
    ],
    ids=[
        "deepseek",
        "openrouter text",
        "our envelope",
        "our envelope as it was streamed",
        "our unsigned text",
        "native summary",
        "text beside encrypted state",
    ],
)
def test_reasoning_is_read_from_the_extensions(members: dict[str, object], parts: list[Reasoning]) -> None:
    assert turn({"role": "assistant", "content": "x"} | members).parts == [*parts, Text(text="x")]


def test_signatures_on_texts_and_calls_are_read() -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": "x",
            "extra_content": {"google": {"thought_signature": "SIGt"}},
            "tool_calls": [CALL | {"extra_content": {"google": {"thought_signature": ENVELOPE}}}],
        }
    ).parts
    assert [part.opaque for part in parts] == [
        Opaque("gemini.signature", "SIGt"),
        Opaque("envelope", ENVELOPE),
    ]


def test_a_signature_without_text_stands_on_an_empty_text() -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": None,
            "extra_content": {"google": {"thought_signature": ENVELOPE}},
        }
    ).parts
    assert parts == [Text(text="", opaque=Opaque("envelope", ENVELOPE))]


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("r0 c0 r1 c1 t0", ["Reasoning", "ToolCall", "Reasoning", "ToolCall", "Text"]),
        ("r0 c0 c1 t0", ["Reasoning", "Reasoning", "Text", "ToolCall", "ToolCall"]),
    ],
    ids=["as it was", "does not fit"],
)
def test_the_skeleton_restores_the_order(order: str, kinds: list[str]) -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": "x",
            "reasoning_details": [
                {"index": 0, "format": "gateway-v1", "text": "A", "signature": ENVELOPE},
                {"index": 1, "format": "gateway-v1", "text": "B", "signature": ENVELOPE},
            ],
            "tool_calls": [CALL, CALL | {"id": "call_2"}],
            "extra_content": {"gateway": {"order": order}},
        }
    ).parts
    assert [type(part).__name__ for part in parts] == kinds


def test_what_the_sdk_leaves_in_an_echoed_message_goes_away() -> None:
    echoed: dict[str, object] = {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "parsed": None,
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "index": 0,
                "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}},
            }
        ],
    }
    assert encode(decode(chat(echoed)))["messages"] == [
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
    ]
