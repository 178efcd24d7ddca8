"""Requests of other protocols for a Chat upstream: what is sent, what is reported, what is refused."""

from __future__ import annotations

from typing import Any

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
from aiclient2api.ir.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    ModelRequest,
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
    ToolChoice,
    Turn,
)
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.openai_chat.chat_wire import COMPATIBLE, assistant, encode, foreign, losses

PNG = Media(kind="image", source=Inline("image/png", "iVBO"))
TOOL = FunctionTool(name="f", parameters=Schema(Raw(b'{"type":"object"}')))
SQL = CustomTool(name="sql", description="Run SQL", format=Raw(b'{"type":"text"}'))


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


def sent(*turns: Turn, profile: ModelProfile = DEFAULT_PROFILE, **members: Any) -> list[Any]:
    return encode(foreign(*turns, **members), profile)["messages"]


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
        [("media.title", "dropped"), ("media.document", "approximated")],
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
    assert losses(request) == [("tool.hosted", "dropped")] * 2


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


TOOLS: dict[str, tuple[dict[str, Any], ModelProfile, dict[str, object], list[tuple[str, str]]]] = {
    "function": (
        {"tools": [TOOL]},
        DEFAULT_PROFILE,
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        [],
    ),
    "openapi schema": (
        {
            "tools": [
                FunctionTool(
                    name="f",
                    parameters=Schema(
                        Raw(b'{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}'),
                        "openapi",
                    ),
                )
            ]
        },
        DEFAULT_PROFILE,
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "parameters": {
                            "type": "object",
                            "properties": {"a": {"type": ["string", "null"]}},
                        },
                    },
                }
            ]
        },
        [],
    ),
    "custom": (
        {"tools": [SQL], "tool_choice": ToolChoice(mode="tool", names=["sql"], kind="custom")},
        DEFAULT_PROFILE,
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {"name": "sql", "description": "Run SQL", "format": {"type": "text"}},
                }
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "sql"}},
        },
        [],
    ),
    "custom on a compatible server": (
        {"tools": [SQL], "tool_choice": ToolChoice(mode="tool", names=["sql"], kind="custom")},
        COMPATIBLE,
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "sql",
                        "description": 'Run SQL\nThe input must match this format: {"type":"text"}',
                        "parameters": {
                            "type": "object",
                            "properties": {"input": {"type": "string"}},
                            "required": ["input"],
                            "additionalProperties": False,
                        },
                    },
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "sql"}},
        },
        [("tool.custom", "emulated")],
    ),
    "hosted tools stay behind, and then no choice is sent": (
        {
            "tools": [HostedTool(protocol="anthropic", wire_type="web_search_20250305", raw=Raw(b"{}"))],
            "tool_choice": ToolChoice(mode="auto"),
            "parallel_tools": False,
        },
        DEFAULT_PROFILE,
        {},
        [("tool.hosted", "dropped")],
    ),
    "parallel calls off": (
        {"tools": [TOOL], "tool_choice": ToolChoice(mode="auto"), "parallel_tools": False},
        DEFAULT_PROFILE,
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
        },
        [],
    ),
}


@pytest.mark.parametrize(("members", "profile", "body", "lost"), TOOLS.values(), ids=TOOLS.keys())
def test_tools_are_translated(
    members: dict[str, Any],
    profile: ModelProfile,
    body: dict[str, object],
    lost: list[tuple[str, str]],
) -> None:
    request = foreign(user(Text(text="hi")), **members)
    encoded = encode(request, profile)
    del encoded["model"], encoded["messages"]
    assert (encoded, losses(request, profile)) == (body, lost)


SUBSET = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
}


@pytest.mark.parametrize(
    ("choice", "profile", "expected", "lost"),
    [
        (ToolChoice(mode="none"), DEFAULT_PROFILE, "none", []),
        (ToolChoice(mode="required"), DEFAULT_PROFILE, "required", []),
        (
            ToolChoice(mode="tool", names=["f"]),
            DEFAULT_PROFILE,
            {"type": "function", "function": {"name": "f"}},
            [],
        ),
        (ToolChoice(mode="required", names=["f"]), DEFAULT_PROFILE, SUBSET, []),
        (
            ToolChoice(mode="required", names=["f"]),
            COMPATIBLE,
            "required",
            [("tool_choice.subset", "approximated")],
        ),
        (
            ToolChoice(mode="required"),
            ModelProfile(forced_tool_choice=False),
            "auto",
            [("tool_choice", "approximated")],
        ),
        (ToolChoice(mode="auto", validated=True), DEFAULT_PROFILE, "auto", [("tool_choice", "approximated")]),
        (ToolChoice(mode="hosted", raw=Raw(b"{}")), DEFAULT_PROFILE, None, [("tool_choice", "dropped")]),
    ],
    ids=["none", "required", "one", "subset", "subset on a server", "cannot force", "validated", "hosted"],
)
def test_tool_choices_are_translated(
    choice: ToolChoice, profile: ModelProfile, expected: object, lost: list[tuple[str, str]]
) -> None:
    request = foreign(tools=[TOOL], tool_choice=choice)
    assert (encode(request, profile).get("tool_choice"), losses(request, profile)) == (expected, lost)


SETTINGS: dict[str, tuple[dict[str, Any], ModelProfile, dict[str, object], list[tuple[str, str]]]] = {
    "max output": ({"max_output": 5}, DEFAULT_PROFILE, {"max_completion_tokens": 5}, []),
    "max output of older servers": ({"max_output": 5}, COMPATIBLE, {"max_tokens": 5}, []),
    "sampling": (
        {"sampling": Sampling(temperature=0.5, top_p=0.9, top_k=40, seed=1, candidates=2)},
        DEFAULT_PROFILE,
        {"temperature": 0.5, "top_p": 0.9, "seed": 1, "n": 2},
        [("sampling.top_k", "dropped")],
    ),
    "sampling of a model that has none": (
        {"sampling": Sampling(temperature=0.5, presence_penalty=1)},
        ModelProfile(sampling=False),
        {},
        [("sampling.temperature", "dropped"), ("sampling.presence_penalty", "dropped")],
    ),
    "five stop sequences": (
        {"sampling": Sampling(stop=list("abcde"))},
        DEFAULT_PROFILE,
        {"stop": list("abcd")},
        [("sampling.stop", "approximated")],
    ),
    "no stop sequences": (
        {"sampling": Sampling(stop=["a"])},
        ModelProfile(stop=False),
        {},
        [("sampling.stop", "dropped")],
    ),
    "effort": ({"thinking": Thinking(effort="high")}, DEFAULT_PROFILE, {"reasoning_effort": "high"}, []),
    "budget": (
        {"thinking": Thinking(mode="fixed", budget=8000)},
        DEFAULT_PROFILE,
        {"reasoning_effort": "medium"},
        [("reasoning.budget", "approximated")],
    ),
    "dynamic budget": ({"thinking": Thinking(budget=-1)}, DEFAULT_PROFILE, {}, []),
    "thinking off": ({"thinking": Thinking(mode="off")}, DEFAULT_PROFILE, {"reasoning_effort": "none"}, []),
    "thinking that cannot be switched off": (
        {"thinking": Thinking(mode="off")},
        ModelProfile(thinking_off=False),
        {"reasoning_effort": "minimal"},
        [("reasoning.effort", "approximated")],
    ),
    "a model that does not think": (
        {"thinking": Thinking(effort="high", show="summarized")},
        ModelProfile(thinking="none"),
        {},
        [("reasoning.show", "dropped"), ("reasoning.effort", "dropped")],
    ),
    "json": (
        {"output": OutputFormat(kind="json")},
        DEFAULT_PROFILE,
        {"response_format": {"type": "json_object"}},
        [],
    ),
    "schema without a name": (
        {"output": OutputFormat(kind="schema", schema=Schema(Raw(b'{"type":"object"}')))},
        DEFAULT_PROFILE,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "response", "schema": {"type": "object"}},
            }
        },
        [("output.schema.name", "defaulted")],
    ),
    "identity": (
        {"user": "u", "metadata": {"a": "b"}, "cache_key": "k", "verbosity": "low", "tier": "standard_only"},
        DEFAULT_PROFILE,
        {
            "safety_identifier": "u",
            "metadata": {"a": "b"},
            "prompt_cache_key": "k",
            "verbosity": "low",
            "service_tier": "default",
        },
        [],
    ),
    "identity on a compatible server": (
        {"user": "u", "metadata": {"a": "b"}, "cache_key": "k", "verbosity": "low"},
        COMPATIBLE,
        {"user": "u"},
        [("verbosity", "dropped"), ("metadata", "dropped"), ("cache_key", "dropped")],
    ),
    "what only its own protocol has": (
        {
            "tier": "exotic",
            "safety": Raw(b"[]"),
            "cache_policy": Raw(b"{}"),
            "state": State(store=True, truncation="auto"),
            "modalities": ["TEXT", "IMAGE"],
            "ext": {"anthropic": {"container": Raw(b'"c"')}},
        },
        DEFAULT_PROFILE,
        {},
        [
            ("ext.container", "dropped"),
            ("modalities", "dropped"),
            ("tier", "dropped"),
            ("cache_policy", "dropped"),
            ("safety", "dropped"),
            ("state.truncation", "dropped"),
            ("state.store", "dropped"),
        ],
    ),
}


@pytest.mark.parametrize(("members", "profile", "body", "lost"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_are_sent_or_reported(
    members: dict[str, Any],
    profile: ModelProfile,
    body: dict[str, object],
    lost: list[tuple[str, str]],
) -> None:
    request = foreign(**members)
    encoded = encode(request, profile)
    del encoded["model"], encoded["messages"]
    assert (encoded, losses(request, profile)) == (body, lost)


@pytest.mark.parametrize(
    "request_",
    [
        foreign(state=State(previous_id="resp_1")),
        foreign(state=State(conversation=Raw(b'"c"'))),
        foreign(state=State(background=True)),
        foreign(max_output=0),
        foreign(operation="count_tokens"),
        foreign(operation="embed"),
    ],
    ids=["previous", "conversation", "background", "prewarm", "count", "embed"],
)
def test_a_request_that_a_chat_upstream_cannot_serve_is_refused(request_: ModelRequest) -> None:
    with pytest.raises(Unrepresentable):
        encode(request_)


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
