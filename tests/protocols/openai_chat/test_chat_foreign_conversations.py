"""Conversations of other protocols for a Chat upstream: what is sent, what is reported, what is refused."""

from __future__ import annotations

import pytest
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    PartsSource,
    Reasoning,
    Refusal,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.request import Turn
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.openai_chat.chat_wire import (
    COMPATIBLE,
    PNG,
    assistant,
    encode,
    foreign,
    losses,
    sent,
    user,
)


def test_a_conversation_is_one_message_per_turn() -> None:
    assert sent(
        Turn(role="system", parts=[Text(text="S1"), Text(text="S2")]),
        user(Text(text="hi"), PNG),
        assistant(Text(text="Checking."), ToolCall(call_id="toolu_1", name="f", arguments='{"t":1.50}')),
        Turn(role="tool", parts=[ToolResult(call_id="toolu_1", parts=[Text(text="ok")])]),
        user(Text(text="thanks")),
    ) == [
        {"role": "system", "content": [{"type": "text", "text": "S1"}, {"type": "text", "text": "S2"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            ],
        },
        {
            "role": "assistant",
            "content": "Checking.",
            "tool_calls": [
                {
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"t":1.50}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"},
        {"role": "user", "content": "thanks"},
    ]


def test_the_developer_role_is_system_where_it_is_unknown() -> None:
    turn = Turn(role="developer", parts=[Text(text="D")])
    assert sent(turn) == [{"role": "developer", "content": "D"}]
    assert sent(turn, profile=COMPATIBLE) == [{"role": "system", "content": "D"}]
    assert losses(foreign(turn), COMPATIBLE) == [("system.role", "approximated")]


def test_images_of_results_follow_in_one_user_message() -> None:
    request = foreign(
        assistant(
            ToolCall(call_id="toolu_1", name="f", arguments="{}"),
            ToolCall(call_id="toolu_2", name="f", arguments="{}"),
        ),
        Turn(
            role="tool",
            parts=[ToolResult(call_id="toolu_1", is_error=True, parts=[Text(text="failed"), PNG])],
        ),
        Turn(role="tool", parts=[ToolResult(call_id="toolu_2", parts=[PNG])]),
        user(Text(text="go on")),
    )
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    assert encode(request)["messages"][1:] == [
        {
            "role": "tool",
            "tool_call_id": "toolu_1",
            "content": "failed\n[image 1 of tool result toolu_1 follows]",
        },
        {"role": "tool", "tool_call_id": "toolu_2", "content": "[image 1 of tool result toolu_2 follows]"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "[image 1 of tool result toolu_1]"},
                url,
                {"type": "text", "text": "[image 1 of tool result toolu_2]"},
                url,
            ],
        },
        {"role": "user", "content": "go on"},
    ]
    assert losses(request) == [
        ("tool_result.is_error", "dropped"),
        ("tool_result.media", "emulated"),
        ("tool_result.media", "emulated"),
    ]


def test_a_structured_result_is_its_json_text() -> None:
    turn = Turn(role="tool", parts=[ToolResult(call_id="a", structured=Raw(b'{"t":1.50}'))])
    assert sent(turn) == [{"role": "tool", "tool_call_id": "a", "content": '{"t":1.50}'}]
    assert losses(foreign(turn)) == [("tool_result.structured", "approximated")]


def test_a_long_call_id_is_shortened_on_the_call_and_on_its_result() -> None:
    long = "toolu_" + "x" * 60
    messages = sent(
        assistant(ToolCall(call_id=long, name="f")),
        Turn(role="tool", parts=[ToolResult(call_id=long, parts=[Text(text="1")])]),
    )
    short = messages[0]["tool_calls"][0]["id"]
    assert short.startswith("h_") and len(short) <= 40
    assert messages[1]["tool_call_id"] == short
    assert messages[0]["tool_calls"][0]["function"]["arguments"] == "{}"


REASONING: dict[str, tuple[Part, ModelProfile, dict[str, object], list[tuple[str, str]]]] = {
    "unsigned": (Reasoning(raw=["t"]), DEFAULT_PROFILE, {}, [("reasoning.text", "dropped")]),
    "foreign signature": (
        Reasoning(summary=["a", "b"], opaque=Opaque("anthropic.signature", "SIG")),
        DEFAULT_PROFILE,
        {},
        [("reasoning.opaque", "dropped"), ("reasoning.text", "dropped")],
    ),
    "text for a server that reads it": (
        Reasoning(summary=["a", "b"], opaque=Opaque("anthropic.signature", "SIG")),
        COMPATIBLE,
        {"reasoning_content": "a\n\nb"},
        [("reasoning.opaque", "dropped")],
    ),
    "native details": (
        Reasoning(raw=["t"], opaque=Opaque("openai_chat.details", '{"type":"reasoning.text","text":"t"}')),
        DEFAULT_PROFILE,
        {"reasoning_details": [{"type": "reasoning.text", "text": "t"}]},
        [],
    ),
    "an envelope never leaves": (
        Reasoning(opaque=Opaque("envelope", "Z3ctY2FycnkxAA")),
        DEFAULT_PROFILE,
        {},
        [("reasoning.opaque", "dropped")],
    ),
}


@pytest.mark.parametrize(("part", "profile", "members", "lost"), REASONING.values(), ids=REASONING.keys())
def test_reasoning_goes_back_only_where_it_belongs(
    part: Part, profile: ModelProfile, members: dict[str, object], lost: list[tuple[str, str]]
) -> None:
    request = foreign(assistant(part, Text(text="x")))
    assert encode(request, profile)["messages"] == [{"role": "assistant", "content": "x", **members}]
    assert losses(request, profile) == lost


def test_a_gemini_signature_goes_to_a_gemini_model_only() -> None:
    signed = assistant(ToolCall(call_id="a", name="f", opaque=Opaque("gemini.signature", "SIG")))
    call = sent(signed, model="gemini-3-pro")[0]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": "SIG"}}
    assert "extra_content" not in sent(signed, model="gpt-5")[0]["tool_calls"][0]
    assert losses(foreign(signed)) == [("reasoning.opaque", "dropped")]


def test_another_order_of_parts_is_reported() -> None:
    request = foreign(assistant(ToolCall(call_id="a", name="f"), Text(text="after")))
    assert encode(request)["messages"][0]["content"] == "after"
    assert losses(request) == [("part.order", "approximated")]


def test_an_assistant_turn_without_anything_to_send_keeps_its_place() -> None:
    assert sent(assistant(Reasoning(raw=["t"]))) == [{"role": "assistant", "content": ""}]
    assert sent(assistant(ToolCall(call_id="a", name="f")))[0]["content"] is None


DOCUMENTS: dict[str, tuple[Media, list[object], list[tuple[str, str]]]] = {
    "pdf without a name": (
        Media(kind="document", source=Inline("application/pdf", "JVBE")),
        [
            {
                "type": "file",
                "file": {
                    "file_data": "data:application/pdf;base64,JVBE",
                    "filename": "document.pdf",
                },
            }
        ],
        [("media.filename", "defaulted")],
    ),
    "plain text": (
        Media(kind="document", source=TextSource("body"), title="T"),
        [{"type": "text", "text": "T\n\nbody"}],
        [("media.document", "approximated")],
    ),
    "text in base64": (
        Media(kind="document", source=Inline("text/plain", "Ym9keQ==")),
        [{"type": "text", "text": "body"}],
        [("media.document", "approximated")],
    ),
    "parts": (
        Media(kind="document", source=PartsSource([Text(text="a"), Text(text="b")]), cite=True),
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [("citation", "dropped"), ("media.document", "approximated")],
    ),
    "a file of the other OpenAI protocol": (
        Media(kind="file", source=FileRef("file-1", protocol="openai_responses")),
        [{"type": "file", "file": {"file_id": "file-1"}}],
        [],
    ),
}


@pytest.mark.parametrize(("media", "content", "lost"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documents_are_files_or_text(
    media: Media, content: list[object], lost: list[tuple[str, str]]
) -> None:
    request = foreign(user(Text(text="read"), media))
    assert encode(request)["messages"][0]["content"][1:] == content
    assert losses(request) == lost


@pytest.mark.parametrize(
    "turn",
    [
        user(Media(kind="video", source=Url("https://x/v.mp4"))),
        user(Media(kind="audio", source=Inline("audio/flac", "AA"))),
        user(Media(kind="audio", source=Url("https://x/a.wav"))),
        user(Media(kind="document", source=Url("https://x/a.pdf"))),
        user(Media(kind="image", source=FileRef("f", protocol="anthropic"))),
        user(Native(protocol="gemini", wire_type="x", raw=Raw(b"{}"))),
        Turn(role="system", parts=[PNG]),
        assistant(PNG),
    ],
    ids=[
        "video",
        "audio format",
        "audio url",
        "document url",
        "foreign file",
        "native",
        "system image",
        "answered image",
    ],
)
def test_content_that_cannot_be_expressed_is_refused(turn: Turn) -> None:
    with pytest.raises(Unrepresentable, match=r"turns\[0\]"):
        encode(foreign(turn))


def test_blocks_of_hosted_tools_leave_their_shadow() -> None:
    hosted = HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=Raw(b"{}"), shadow="searched")
    request = foreign(assistant(hosted, replace(hosted, shadow=None), Text(text="x")))
    assert encode(request)["messages"][0]["content"] == [
        {"type": "text", "text": "searched"},
        {"type": "text", "text": "x"},
    ]
    assert losses(request) == [("tool.hosted", "emulated"), ("tool.hosted", "dropped")]


def test_refusals_and_citations_of_the_history() -> None:
    cited = Text(text="x", citations=[Citation(kind="url", url="https://x")])
    request = foreign(assistant(cited), assistant(Refusal(text="no")))
    assert encode(request)["messages"] == [
        {"role": "assistant", "content": "x"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    assert losses(request) == [("citation", "dropped")]


def test_only_the_last_four_cache_marks_are_written() -> None:
    marked = [Text(text=str(n), cache=CacheMark(ttl="1h" if n else None)) for n in range(5)]
    request = foreign(user(*marked))
    content = encode(request)["messages"][0]["content"]
    mark = {"mode": "explicit", "ttl": "12h"}
    assert [part.get("prompt_cache_breakpoint") for part in content] == [None, mark, mark, mark, mark]
    assert losses(request) == [("cache_mark", "dropped")] + [("cache_mark", "approximated")] * 4
    assert "prompt_cache_breakpoint" not in str(encode(request, COMPATIBLE))


def test_a_longer_conversation_extends_the_shorter_one() -> None:
    turns = [
        Turn(role="system", parts=[Text(text="S")]),
        user(Text(text="a")),
        assistant(Reasoning(raw=["t"]), ToolCall(call_id="x" * 50, name="f")),
        Turn(role="tool", parts=[ToolResult(call_id="x" * 50, parts=[PNG])]),
        assistant(Text(text="b")),
        user(Text(text="c")),
    ]
    whole = sent(*turns)
    for length in range(1, len(turns)):
        shorter = sent(*turns[:length])
        assert whole[: len(shorter)] == shorter
