"""Conversations of other protocols on their way to a Responses upstream."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.request import ModelRequest, Turn
from tests.protocols.openai_responses.responses_wire import BASE, HI, USER, decode, encode, foreign, losses


def _items(*parts: Part) -> list[dict[str, Any]]:
    return encode(foreign(Turn(role="assistant", parts=list(parts))))["input"]


def _content(*parts: Part) -> list[dict[str, Any]]:
    return encode(foreign(Turn(role="user", parts=list(parts))))["input"][0]["content"]


def test_foreign_request_is_stateless_and_asks_for_sealed_reasoning() -> None:
    assert encode(foreign(USER)) == {**BASE, "input": [HI]}
    assert losses(foreign(USER)) == []


def test_single_system_text_becomes_instructions() -> None:
    system = Turn(role="system", parts=[Text(text="s")])

    assert encode(foreign(system, USER, hoisted=1)) == {**BASE, "instructions": "s", "input": [HI]}


def test_several_plain_system_turns_are_joined() -> None:
    own, operator = (Turn(role="system", parts=[Text(text=text)]) for text in ("s", "o"))

    assert encode(foreign(own, operator, USER, hoisted=2))["instructions"] == "s\n\no"


def test_several_system_blocks_with_cache_marks_become_a_system_item() -> None:
    system = Turn(role="system", parts=[Text(text="S1", cache=CacheMark(ttl="1h")), Text(text="S2")])
    request = foreign(system, USER, hoisted=1)

    assert encode(request)["input"][0] == {
        "role": "system",
        "content": [
            {
                "type": "input_text",
                "text": "S1",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
            },
            {"type": "input_text", "text": "S2"},
        ],
    }
    assert losses(request) == [("cache_mark", "approximated")]


def test_system_and_developer_text_inside_a_conversation_stays_where_it_is() -> None:
    turns = [USER, Turn(role="developer", parts=[Text(text="d")]), USER]

    assert [item["role"] for item in encode(foreign(*turns))["input"]] == ["user", "developer", "user"]


def test_native_reasoning_comes_without_its_id() -> None:
    part = Reasoning(id="rs_1", summary=["A", "B"], opaque=Opaque("openai.encrypted", "gAAA"))

    assert _items(part) == [
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
            "encrypted_content": "gAAA",
        }
    ]


@pytest.mark.parametrize(
    ("part", "feature"),
    [
        pytest.param(Reasoning(summary=["x"]), "reasoning.text", id="unsigned"),
        pytest.param(
            Reasoning(opaque=Opaque("anthropic.signature", "SIG")),
            "reasoning.opaque",
            id="foreign",
        ),
        pytest.param(Reasoning(opaque=Opaque("envelope", "Z3ctY2Fycnkx")), "reasoning.opaque", id="envelope"),
        pytest.param(
            HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=Raw(b"{}")),
            "tool.hosted",
            id="hosted",
        ),
        pytest.param(
            Control(protocol="anthropic", kind="fallback", raw=Raw(b"{}")), "control.fallback", id="control"
        ),
        pytest.param(
            Native(protocol="anthropic", wire_type="new_block", raw=Raw(b"{}")), "tool.hosted", id="native"
        ),
    ],
)
def test_what_means_nothing_to_the_upstream_is_dropped(part: Part, feature: str) -> None:
    request = foreign(Turn(role="assistant", parts=[part, Text(text="t")]))

    assert [item["role"] for item in encode(request)["input"]] == ["assistant"]
    assert losses(request) == [(feature, "dropped")]


def test_signature_on_text_or_call_is_dropped_but_not_the_content() -> None:
    signature = Opaque("gemini.signature", "SIG")
    request = foreign(
        Turn(
            role="assistant",
            parts=[
                ToolCall(call_id="c", name="f", arguments='{"t":1.50}', opaque=signature),
                Text(text="", opaque=signature),
            ],
        )
    )

    assert encode(request)["input"] == [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"t":1.50}'}
    ]
    assert losses(request) == [("reasoning.opaque", "dropped")] * 2


def test_assistant_parts_keep_their_order() -> None:
    items = _items(
        Text(text="a"),
        Refusal(text="no"),
        ToolCall(call_id="c1", name="f", arguments="{}"),
        Text(text="b"),
        ToolCall(call_id="c2", name="sql", arguments="SELECT 1", kind="custom"),
    )

    assert items == [
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "b"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "SELECT 1"},
    ]


def test_url_citation_of_an_earlier_answer_is_sent() -> None:
    items = _items(Text(text="abc", citations=[Citation(kind="url", url="https://a", span=(0, 2))]))

    assert items[0]["content"][0]["annotations"] == [
        {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "https://a", "url": "https://a"}
    ]


def test_tool_result_with_error_flag_and_image_becomes_a_list() -> None:
    result = ToolResult(
        call_id="toolu_1",
        is_error=True,
        parts=[Text(text="failed"), Media(kind="image", source=Inline("image/png", "iVBO"))],
    )
    request = foreign(Turn(role="tool", parts=[result]))

    assert encode(request)["input"] == [
        {
            "type": "function_call_output",
            "call_id": "toolu_1",
            "output": [
                {"type": "input_text", "text": "failed"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"},
            ],
        }
    ]
    assert losses(request) == [("tool_result.is_error", "dropped")]


@pytest.mark.parametrize(
    ("result", "output"),
    [
        pytest.param(ToolResult(call_id="c", parts=[Text(text="t")]), "t", id="text"),
        pytest.param(ToolResult(call_id="c"), "", id="nothing"),
        pytest.param(ToolResult(call_id="c", structured=Raw(b'{"t":1.50}')), '{"t":1.50}', id="structured"),
        pytest.param(
            ToolResult(call_id="c", parts=[Text(text="a"), Text(text="b")]),
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
            id="two texts",
        ),
    ],
)
def test_tool_result_forms(result: ToolResult, output: object) -> None:
    assert encode(foreign(Turn(role="tool", parts=[result])))["input"][0]["output"] == output


def test_tool_results_come_before_text_of_the_same_turn() -> None:
    turn = Turn(role="user", parts=[ToolResult(call_id="c", parts=[Text(text="r")]), Text(text="go on")])

    assert [item.get("type", item.get("role")) for item in encode(foreign(turn))["input"]] == [
        "function_call_output",
        "user",
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(
            Media(kind="image", source=Url("https://a/b.png"), detail="high"),
            {"type": "input_image", "image_url": "https://a/b.png", "detail": "high"},
            id="image by URL",
        ),
        pytest.param(
            Media(kind="image", source=FileRef("file_1", protocol="openai_chat")),
            {"type": "input_image", "file_id": "file_1", "detail": "auto"},
            id="image by id",
        ),
        pytest.param(
            Media(kind="document", source=Inline("application/pdf", "JVBE")),
            {
                "type": "input_file",
                "file_data": "data:application/pdf;base64,JVBE",
                "filename": "document.pdf",
            },
            id="inline document",
        ),
        pytest.param(
            Media(kind="document", source=TextSource("hi"), filename="a.txt"),
            {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a.txt"},
            id="text document",
        ),
        pytest.param(
            Media(kind="document", source=Url("https://a/b.pdf")),
            {"type": "input_file", "file_url": "https://a/b.pdf"},
            id="document by URL",
        ),
    ],
)
def test_media_forms(part: Part, expected: dict[str, Any]) -> None:
    assert _content(part) == [expected]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(Media(kind="audio", source=Inline("audio/wav", "UklG")), id="audio"),
        pytest.param(Media(kind="video", source=Url("https://a/b.mp4")), id="video"),
        pytest.param(Media(kind="image", source=FileRef("files/1", protocol="gemini")), id="foreign file"),
        pytest.param(Native(protocol="anthropic", wire_type="search_result", raw=Raw(b"{}")), id="native"),
    ],
)
def test_content_without_a_form_is_refused(part: Part) -> None:
    with pytest.raises(Unrepresentable):
        encode(foreign(Turn(role="user", parts=[part])))


def test_ids_that_we_minted_for_a_client_never_reach_the_upstream() -> None:
    body: dict[str, Any] = {
        "model": "m",
        "input": [
            {"type": "reasoning", "id": "rs_gw_abc", "summary": [{"type": "summary_text", "text": "T"}]},
            {
                "type": "message",
                "id": "msg_gw_abc",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "a", "annotations": []}],
            },
            {"type": "function_call", "id": "fc_gw_abc", "call_id": "c", "name": "f", "arguments": "{}"},
        ],
    }
    request = decode(body)

    assert encode(request)["input"] == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    assert losses(request) == [("reasoning.text", "dropped")]


def test_opened_foreign_state_in_a_history_of_this_protocol_is_dropped() -> None:
    request = ModelRequest(
        protocol="openai_responses",
        model="m",
        turns=[Turn(role="assistant", parts=[Reasoning(opaque=Opaque("gemini.signature", "SIG"))])],
    )

    assert encode(request)["input"] == []
    assert losses(request) == [("reasoning.opaque", "dropped")]
