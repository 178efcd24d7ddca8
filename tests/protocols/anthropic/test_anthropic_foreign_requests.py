"""Requests of other protocols, written for a real Messages upstream."""

from __future__ import annotations

import json
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
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.profile import ModelProfile

CONVERTER = AnthropicConverter()
HI = Turn(role="user", parts=[Text(text="hi")])
BASE = ModelRequest(protocol="openai_chat", model="claude", max_output=5000, turns=[HI])
TOOL = FunctionTool(name="f")
BUDGET = ModelProfile(thinking="budget")
EFFORT = ModelProfile()


def user(*texts: str) -> Turn:
    return Turn(role="user", parts=[Text(text=text) for text in texts])


def says(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def system(text: str, role: str = "system") -> Turn:
    return Turn(role=role, parts=[Text(text=text)])  # pyright: ignore[reportArgumentType]  # two known roles


def result(call_id: str, text: str, **members: Any) -> Turn:
    return Turn(role="tool", parts=[ToolResult(call_id=call_id, parts=[Text(text=text)], **members)])


def encoded(
    request: ModelRequest, profile: ModelProfile = EFFORT
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    out = CONVERTER.encode_request(request, profile)
    return json.loads(out.wire.body), [(loss.feature, loss.act) for loss in out.losses]


def conversation(*turns: Turn) -> ModelRequest:
    return replace(BASE, turns=list(turns))


def test_headers_name_the_profiles_dialect() -> None:
    out = CONVERTER.encode_request(BASE, ModelProfile(anthropic_version="2026-10-21"))

    assert out.wire.path == "/v1/messages"
    assert out.wire.header("anthropic-version") == "2026-10-21"


def test_the_limit_is_defaulted_and_reported() -> None:
    body, losses = encoded(replace(BASE, max_output=None), ModelProfile(max_output=128_000))

    assert body["max_tokens"] == 128_000
    assert losses == [("max_output", "defaulted")]


CALLS = says(ToolCall(call_id="a", name="f", arguments='{"x":1}'), ToolCall(call_id="b", name="g"))
TOOL_USES = {
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
        [("message.empty", "defaulted")],
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


SIGNED = Opaque("anthropic.signature", "SIG")
FOREIGN = Opaque("openai.encrypted", "gAAA")

BLOCKS: dict[str, tuple[Part, Any, list[tuple[str, str]]]] = {
    "signed thinking": (
        Reasoning(summary=["hm"], opaque=SIGNED),
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        [],
    ),
    "redacted thinking": (
        Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "RD")),
        {"type": "redacted_thinking", "data": "RD"},
        [],
    ),
    "foreign thinking": (
        Reasoning(summary=["hm"], opaque=FOREIGN),
        None,
        [("reasoning.opaque", "dropped"), ("reasoning.text", "dropped")],
    ),
    "a closed envelope": (
        Reasoning(opaque=Opaque("envelope", "Z3ct")),
        None,
        [("reasoning.opaque", "dropped")],
    ),
    "unsigned thinking": (Reasoning(raw=["hm"]), None, [("reasoning.text", "dropped")]),
    "signed text": (
        Text(text="t", opaque=Opaque("gemini.signature", "G")),
        {"type": "text", "text": "t"},
        [("reasoning.opaque", "dropped")],
    ),
    "refusal": (Refusal(text="no"), {"type": "text", "text": "no"}, [("refusal", "approximated")]),
    "cited text": (
        Text(text="t", citations=[Citation(kind="url", url="u")]),
        {"type": "text", "text": "t"},
        [("citation", "dropped")],
    ),
    "broken arguments": (
        ToolCall(call_id="c", name="f", arguments='{"a": 1'),
        {"type": "tool_use", "id": "c", "name": "f", "input": {"_raw": '{"a": 1'}},
        [("tool_call.arguments", "emulated")],
    ),
    "a custom call": (
        ToolCall(call_id="c", name="f", arguments="SELECT 1", kind="custom"),
        {"type": "tool_use", "id": "c", "name": "f", "input": {"input": "SELECT 1"}},
        [],
    ),
    "a foreign hosted call": (
        HostedCall(protocol="openai_responses", wire_type="web_search_call", raw=Raw(b"{}")),
        None,
        [("tool.hosted", "dropped")],
    ),
}


@pytest.mark.parametrize(("part", "block", "losses"), BLOCKS.values(), ids=BLOCKS.keys())
def test_an_assistants_part_becomes_its_block(part: Part, block: Any, losses: list[tuple[str, str]]) -> None:
    body, reported = encoded(conversation(HI, says(Text(text="x"), part), user("y")))

    content = body["messages"][1]["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    assert blocks[1:] == ([block] if block else [])
    assert reported == losses


def test_a_call_and_its_result_get_the_same_legal_id() -> None:
    body, _ = encoded(conversation(HI, says(ToolCall(call_id="a.b:0", name="f")), result("a.b:0", "R")))

    call_id = body["messages"][1]["content"][0]["id"]
    assert call_id == body["messages"][2]["content"][0]["tool_use_id"]
    assert (call_id[:2], len(call_id)) == ("h_", 28)


MEDIA: dict[str, tuple[Media, Any, list[tuple[str, str]]]] = {
    "image": (
        Media(kind="image", source=Inline("image/png", "iVBO"), detail="high"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        [("media.detail", "dropped")],
    ),
    "image address": (
        Media(kind="image", source=Url("https://x/y.png")),
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        [],
    ),
    "PDF": (
        Media(kind="file", source=Inline("application/pdf", "JVBE"), filename="a.pdf"),
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "a.pdf",
        },
        [("media.filename", "approximated")],
    ),
    "inline text": (
        Media(kind="document", source=Inline("text/csv", "YSxi")),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        [],
    ),
    "text": (
        Media(kind="document", source=TextSource("plain"), title="T", context="C", cite=True),
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
        [],
    ),
}


@pytest.mark.parametrize(("media", "block", "losses"), MEDIA.values(), ids=MEDIA.keys())
def test_media_become_blocks(media: Media, block: Any, losses: list[tuple[str, str]]) -> None:
    body, reported = encoded(conversation(Turn(role="user", parts=[media])))

    assert body["messages"][0]["content"] == [block]
    assert reported == losses


REFUSED: dict[str, ModelRequest] = {
    "audio": conversation(Turn(role="user", parts=[Media(kind="audio", source=Inline("audio/wav", "AA"))])),
    "video": conversation(Turn(role="user", parts=[Media(kind="video", source=Url("https://x"))])),
    "odd image": conversation(
        Turn(role="user", parts=[Media(kind="image", source=Inline("image/tiff", "AA"))])
    ),
    "foreign file": conversation(
        Turn(role="user", parts=[Media(kind="file", source=FileRef("f", protocol="openai"))])
    ),
    "cloud address": conversation(Turn(role="user", parts=[Media(kind="image", source=Url("gs://b/o"))])),
    "generated image": conversation(HI, says(Media(kind="image", source=Inline("image/png", "AA"))), HI),
    "three answers": replace(BASE, sampling=Sampling(candidates=3)),
    "background": replace(BASE, state=State(background=True)),
    "previous response": replace(BASE, state=State(previous_id="resp_1")),
    "embedding": replace(BASE, operation="embed"),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
def test_content_without_a_form_is_refused(request_: ModelRequest) -> None:
    with pytest.raises(Unrepresentable):
        CONVERTER.encode_request(request_, EFFORT)


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


THINKING: dict[str, tuple[Thinking, ModelProfile, Any, Any, list[tuple[str, str]]]] = {
    "effort": (Thinking(effort="xhigh"), EFFORT, {"type": "adaptive", "display": "summarized"}, "xhigh", []),
    "minimal": (
        Thinking(effort="minimal"),
        EFFORT,
        {"type": "adaptive", "display": "summarized"},
        "low",
        [("reasoning.effort", "approximated")],
    ),
    "hidden": (
        Thinking(effort="low", show="omitted"),
        EFFORT,
        {"type": "adaptive", "display": "omitted"},
        "low",
        [],
    ),
    "budget as effort": (
        Thinking(budget=8192),
        EFFORT,
        {"type": "adaptive", "display": "summarized"},
        "medium",
        [("reasoning.budget", "approximated")],
    ),
    "dynamic": (Thinking(budget=-1), EFFORT, {"type": "adaptive", "display": "summarized"}, None, []),
    "only shown": (
        Thinking(show="detailed"),
        EFFORT,
        {"type": "adaptive", "display": "summarized"},
        None,
        [("reasoning.show", "approximated")],
    ),
    "only hidden": (Thinking(show="off"), EFFORT, None, None, []),
    "off": (Thinking(effort="none"), EFFORT, {"type": "disabled"}, None, []),
    "cannot be off": (
        Thinking(budget=0),
        ModelProfile(thinking_off=False),
        None,
        "low",
        [("reasoning.effort", "approximated")],
    ),
    "budget": (Thinking(budget=2000), BUDGET, {"type": "enabled", "budget_tokens": 2000}, None, []),
    "small budget": (
        Thinking(budget=5),
        BUDGET,
        {"type": "enabled", "budget_tokens": 1024},
        None,
        [("reasoning.budget", "approximated")],
    ),
    "effort as budget": (
        Thinking(effort="low"),
        BUDGET,
        {"type": "enabled", "budget_tokens": 4096},
        None,
        [("reasoning.effort", "approximated")],
    ),
    "budget below the limit": (
        Thinking(effort="max"),
        BUDGET,
        {"type": "enabled", "budget_tokens": 4999},
        None,
        [("reasoning.effort", "approximated")],
    ),
    "no thinking": (
        Thinking(effort="high"),
        ModelProfile(thinking="none"),
        None,
        None,
        [("reasoning.effort", "dropped")],
    ),
}


@pytest.mark.parametrize(
    ("wish", "profile", "thinking", "effort", "losses"), THINKING.values(), ids=THINKING.keys()
)
def test_thinking_is_fitted_to_the_model(
    wish: Thinking, profile: ModelProfile, thinking: Any, effort: Any, losses: list[tuple[str, str]]
) -> None:
    body, reported = encoded(replace(BASE, thinking=wish), profile)

    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert reported == losses


def test_a_limit_too_small_for_a_budget_means_no_thinking() -> None:
    body, losses = encoded(replace(BASE, max_output=100, thinking=Thinking(effort="high")), BUDGET)

    assert "thinking" not in body
    assert losses == [("reasoning.effort", "dropped")]


HOT = Sampling(temperature=1.5, top_p=0.5, top_k=3.0, seed=1, stop=["END", " \n"])


def test_sampling_is_clamped() -> None:
    body, losses = encoded(replace(BASE, sampling=HOT))

    assert (body["temperature"], body["top_k"], body["stop_sequences"]) == (1.0, 3, ["END"])
    assert "top_p" not in body
    assert losses == [
        ("sampling.seed", "dropped"),
        ("sampling.temperature", "approximated"),
        ("sampling.top_p", "dropped"),
        ("sampling.stop", "approximated"),
    ]


@pytest.mark.parametrize(
    ("profile", "thinking"),
    [
        (ModelProfile(sampling=False), None),
        (ModelProfile(anthropic_version="2026-10-21"), None),
        (BUDGET, Thinking(budget=2000)),
    ],
    ids=["the model takes none", "the dialect takes none", "thinking is on"],
)
def test_sampling_is_left_out_where_it_is_refused(profile: ModelProfile, thinking: Thinking | None) -> None:
    body, losses = encoded(replace(BASE, sampling=Sampling(temperature=0.2), thinking=thinking), profile)

    assert "temperature" not in body
    assert losses == [("sampling.temperature", "dropped")]


CHOICES: dict[str, tuple[ToolChoice | None, bool | None, ModelProfile, Any, list[tuple[str, str]]]] = {
    "absent": (None, None, EFFORT, None, []),
    "serial": (None, False, EFFORT, {"type": "auto", "disable_parallel_tool_use": True}, []),
    "auto and parallel": (ToolChoice(mode="auto"), True, EFFORT, {"type": "auto"}, []),
    "none": (ToolChoice(mode="none"), False, EFFORT, {"type": "none"}, []),
    "required": (ToolChoice(mode="required"), None, EFFORT, {"type": "any"}, []),
    "one": (ToolChoice(mode="tool", names=["f"]), None, EFFORT, {"type": "tool", "name": "f"}, []),
    "cannot be forced": (
        ToolChoice(mode="required"),
        None,
        ModelProfile(forced_tool_choice=False),
        {"type": "auto"},
        [("tool_choice", "approximated")],
    ),
    "subset": (
        ToolChoice(mode="required", names=["f", "g"]),
        None,
        EFFORT,
        {"type": "any"},
        [("tool_choice.subset", "approximated")],
    ),
}


@pytest.mark.parametrize(
    ("choice", "parallel", "profile", "expected", "losses"), CHOICES.values(), ids=CHOICES.keys()
)
def test_tool_choice(
    choice: ToolChoice | None,
    parallel: bool | None,
    profile: ModelProfile,
    expected: Any,
    losses: list[tuple[str, str]],
) -> None:
    body, reported = encoded(
        replace(BASE, tools=[TOOL], tool_choice=choice, parallel_tools=parallel), profile
    )

    assert body.get("tool_choice") == expected
    assert reported == losses


def test_a_forced_tool_excludes_thinking() -> None:
    request = replace(
        BASE, tools=[TOOL], tool_choice=ToolChoice(mode="required"), thinking=Thinking(budget=2000)
    )

    body, losses = encoded(request, BUDGET)

    assert "thinking" not in body
    assert losses == [("reasoning.budget", "dropped")]


def test_tools_of_other_protocols() -> None:
    grammar = Raw(b'{"type":"grammar","grammar":{"syntax":"lark","definition":"start: /.+/"}}')
    openapi = Schema(Raw(b'{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}'), "openapi")
    tools = [
        TOOL,
        FunctionTool(name="g", parameters=Schema(Raw(b"{}")), strict=False),
        FunctionTool(name="h", parameters=openapi, strict=True),
        CustomTool(name="sql", description="Run SQL", format=grammar),
        HostedTool(protocol="openai_responses", wire_type="web_search", raw=Raw(b"{}")),
    ]

    body, losses = encoded(replace(BASE, tools=list(tools)))

    assert body["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {"name": "g", "input_schema": {"type": "object"}},
        {
            "name": "h",
            "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
            "strict": True,
        },
        {
            "name": "sql",
            "description": "Run SQL\nThe input must match this lark grammar:\nstart: /.+/",
            "input_schema": {
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
                "additionalProperties": False,
            },
        },
    ]
    assert losses == [("tool.custom", "emulated"), ("tool.hosted", "dropped")]


def test_only_the_last_four_cache_marks_are_sent() -> None:
    parts: list[Part] = [Text(text=str(index), cache=CacheMark(ttl="12h")) for index in range(5)]

    body, losses = encoded(conversation(Turn(role="user", parts=parts)))

    marks = [block.get("cache_control") for block in body["messages"][0]["content"]]
    assert marks == [None, *[{"type": "ephemeral", "ttl": "1h"}] * 4]
    assert losses[0] == ("cache_mark", "dropped")


def test_structured_output() -> None:
    output = OutputFormat(
        kind="schema", schema=Schema(Raw(b'{"type":"object"}')), name="response", strict=True
    )

    body, losses = encoded(replace(BASE, output=output))

    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert losses == [("output.schema.name", "dropped")]


def test_settings_without_a_place_are_reported() -> None:
    request = replace(
        BASE,
        output=OutputFormat(kind="json"),
        verbosity="low",
        metadata={"a": "b"},
        cache_key="k",
        safety=Raw(b"[]"),
        modalities=["text", "audio"],
        state=State(store=True, truncation="auto"),
        user="u",
        tier="flex",
        sampling=Sampling(logprobs=True, logit_bias={"1": 1.0}),
        ext={"openai_chat": {"prediction": Raw(b"{}")}},
    )

    body, losses = encoded(request)

    assert body["metadata"] == {"user_id": "u"}
    assert {feature for feature, act in losses if act == "dropped"} == {
        "output.format",
        "sampling.logit_bias",
        "logprobs",
        "tier",
        "verbosity",
        "metadata",
        "cache_key",
        "safety",
        "modalities",
        "state.store",
        "state.truncation",
        "ext.prediction",
    }


def test_a_token_count_carries_no_settings() -> None:
    request = replace(
        BASE, operation="count_tokens", sampling=Sampling(temperature=0.1, stop=["x"]), user="u", stream="sse"
    )

    out = CONVERTER.encode_request(request, EFFORT)

    assert out.wire.path == "/v1/messages/count_tokens"
    assert json.loads(out.wire.body) == {"model": "claude", "messages": [{"role": "user", "content": "hi"}]}


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
