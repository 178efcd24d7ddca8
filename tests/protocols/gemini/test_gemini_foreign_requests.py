"""Requests of other protocols for a Gemini upstream."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from tests.protocols.gemini.gemini_samples import GEMINI, GEN2, GEN3, Json, encoded, foreign, losses, turn

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
    OutputFormat,
    Sampling,
    Schema,
    State,
    Thinking,
    ToolChoice,
)
from aiclient2api.protocols.profile import ModelProfile

HELLO = turn("user", Text(text="hi"))
USER: Json = {"role": "user", "parts": [{"text": "hi"}]}


def test_leading_system_turns_become_the_instruction() -> None:
    request = foreign(
        turn("system", Text(text="S1", cache=CacheMark(ttl="1h")), Text(text="S2")),
        turn("developer", Text(text="D")),
        HELLO,
        hoisted=1,
    )

    assert encoded(request) == {
        "contents": [USER],
        "systemInstruction": {"parts": [{"text": "S1"}, {"text": "S2"}, {"text": "D"}]},
    }
    assert losses(request) == {("cache_mark", "dropped"), ("system.role", "approximated")}


def test_system_text_in_the_middle_stays_in_place() -> None:
    request = foreign(HELLO, turn("assistant", Text(text="A")), turn("developer", Text(text="D")), HELLO)

    assert encoded(request)["contents"][2] == {
        "role": "user",
        "parts": [{"text": "<system-reminder>\nD\n</system-reminder>"}],
    }
    assert losses(request) == {("system.mid", "emulated")}


def test_system_text_never_parts_a_call_from_its_answer() -> None:
    request = foreign(
        HELLO,
        turn("assistant", ToolCall(call_id="a", name="f", arguments="{}")),
        turn("system", Text(text="S")),
        turn("tool", ToolResult(call_id="a", parts=[Text(text="r")])),
    )

    assert [sorted(content["parts"][0]) for content in encoded(request)["contents"]] == [
        ["text"],
        ["functionCall", "thoughtSignature"],
        ["functionResponse"],
        ["text"],
    ]


def calls_and_results() -> list[Any]:
    return [
        HELLO,
        turn(
            "assistant",
            ToolCall(
                call_id="a", name="f", arguments='{"n":1.50}', opaque=Opaque("gemini.signature", "SIGg")
            ),
            ToolCall(call_id="b", name="f", arguments="{}"),
        ),
        turn("tool", ToolResult(call_id="b", parts=[Text(text="two")])),
        turn("tool", ToolResult(call_id="a", parts=[Text(text="one")])),
    ]


def test_answers_to_parallel_calls_share_a_content() -> None:
    sent = encoded(foreign(*calls_and_results()))

    assert sent["contents"][1]["parts"] == [
        {"functionCall": {"id": "a", "name": "f", "args": {"n": 1.5}}, "thoughtSignature": "SIGg"},
        {"functionCall": {"id": "b", "name": "f", "args": {}}},
    ]
    assert sent["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "b", "name": "f", "response": {"output": "two"}}},
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "one"}}},
        ],
    }
    assert len(sent["contents"]) == 3


def test_without_ids_the_answers_follow_the_order_of_the_calls() -> None:
    sent = encoded(foreign(*calls_and_results()), GEN2)

    assert [part["functionResponse"] for part in sent["contents"][2]["parts"]] == [
        {"name": "f", "response": {"output": "one"}},
        {"name": "f", "response": {"output": "two"}},
    ]
    assert "id" not in sent["contents"][1]["parts"][0]["functionCall"]


def test_ids_of_our_own_making_are_taken_off_again() -> None:
    call = ToolCall(call_id="call_gw_x", name="f", arguments="{}")
    request = foreign(HELLO, turn("assistant", call), turn("tool", ToolResult(call_id="call_gw_x")))

    sent = encoded(request)

    assert sent["contents"][1]["parts"][0]["functionCall"] == {"name": "f", "args": {}}
    assert sent["contents"][2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": ""}}}]


@pytest.mark.parametrize(("profile", "stands_in"), [(GEN3, True), (GEN2, False)])
def test_an_unsigned_step_gets_the_documented_stand_in(profile: ModelProfile, stands_in: bool) -> None:
    calls = [ToolCall(call_id=name, name=name, arguments="{}") for name in ("f", "g")]
    request = foreign(HELLO, turn("assistant", Text(text="x"), *calls))

    parts = encoded(request, profile)["contents"][1]["parts"]

    assert parts[1].get("thoughtSignature") == ("skip_thought_signature_validator" if stands_in else None)
    assert "thoughtSignature" not in parts[2]
    assert (("reasoning.opaque", "approximated") in losses(request, profile)) is stands_in


def test_foreign_thoughts_stay_behind_and_unsigned_ones_are_shown() -> None:
    request = foreign(
        HELLO,
        turn(
            "assistant",
            Reasoning(summary=["claude's"], opaque=Opaque("anthropic.signature", "SIGa")),
            Reasoning(summary=["a", "b"]),
            Reasoning(opaque=Opaque("envelope", "E")),
            Text(text="x", opaque=Opaque("openai.encrypted", "E6")),
        ),
    )

    assert encoded(request)["contents"][1]["parts"] == [{"text": "a\n\nb", "thought": True}, {"text": "x"}]
    assert losses(request) == {("reasoning.opaque", "dropped"), ("reasoning.text", "dropped")}


def test_a_result_carries_error_flag_and_image() -> None:
    result = ToolResult(
        call_id="t1",
        is_error=True,
        parts=[Text(text="failed"), Media(kind="image", source=Inline("image/png", "iVBO"))],
    )
    request = foreign(
        HELLO, turn("assistant", ToolCall(call_id="t1", name="w", arguments="{}")), turn("tool", result)
    )

    assert encoded(request)["contents"][2]["parts"] == [
        {
            "functionResponse": {
                "id": "t1",
                "name": "w",
                "response": {"error": "failed"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
            }
        }
    ]
    older = encoded(request, GEN2)["contents"]
    assert older[2]["parts"] == [{"functionResponse": {"name": "w", "response": {"error": "failed"}}}]
    assert older[3]["parts"] == [
        {"text": "[media of the tool result w]"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]
    assert ("tool_result.media", "emulated") in losses(request, GEN2)


MEDIA: dict[str, tuple[Part, list[Json], set[tuple[str, str]]]] = {
    "image by address": (
        Media(kind="image", source=Url("https://x/y.png")),
        [{"fileData": {"fileUri": "https://x/y.png"}}],
        {("media.image", "approximated")},
    ),
    "address with a media type": (
        Media(kind="image", source=Url("https://x/y", "image/png"), detail="low"),
        [
            {
                "fileData": {"fileUri": "https://x/y", "mimeType": "image/png"},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            }
        ],
        {("media.image", "approximated")},
    ),
    "document": (
        Media(
            kind="document", source=Inline("application/pdf", "JVBE"), filename="a.pdf", title="T", cite=True
        ),
        [{"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}],
        {("media.filename", "dropped"), ("media.title", "dropped"), ("citation", "dropped")},
    ),
    "text document": (
        Media(kind="document", source=TextSource("abc")),
        [{"inlineData": {"mimeType": "text/plain", "data": "YWJj"}}],
        {("media.document", "approximated")},
    ),
    "document of parts": (
        Media(kind="document", source=PartsSource([Text(text="a"), Text(text="b")])),
        [{"text": "a"}, {"text": "b"}],
        {("media.document", "approximated")},
    ),
    "refusal": (Refusal(text="no"), [{"text": "no"}], {("refusal", "approximated")}),
    "citations": (
        Text(text="x", citations=[Citation(kind="url", url="https://x")], phase="commentary"),
        [{"text": "x"}],
        {("citation", "dropped"), ("ext.phase", "dropped")},
    ),
    "shadow of a hosted call": (
        HostedCall(protocol="anthropic", wire_type="t", raw=Raw(b"{}"), shadow="searched"),
        [{"text": "searched"}],
        {("tool.hosted", "approximated")},
    ),
}


@pytest.mark.parametrize(("part", "wires", "lost"), MEDIA.values(), ids=MEDIA.keys())
def test_parts_of_other_protocols(part: Part, wires: list[Json], lost: set[tuple[str, str]]) -> None:
    request = foreign(turn("user", part))

    assert encoded(request)["contents"] == [{"role": "user", "parts": wires}]
    assert losses(request) == lost


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(
            Media(kind="image", source=FileRef("file-1", None, "openai")), id="another provider's file"
        ),
        pytest.param(
            Native(protocol="anthropic", wire_type="search_result", raw=Raw(b"{}")), id="unknown content"
        ),
        pytest.param(
            Control(protocol="openai_responses", kind="compaction", raw=Raw(b"{}")), id="compaction"
        ),
    ],
)
def test_content_without_a_form_is_refused(part: Part) -> None:
    with pytest.raises(Unrepresentable):
        GEMINI.encode_request(foreign(turn("user", part)), GEN3)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"state": State(previous_id="resp_1")}, id="previous response"),
        pytest.param({"state": State(background=True)}, id="background"),
        pytest.param({"max_output": 0}, id="cache prewarm"),
        pytest.param({"operation": "embed"}, id="embeddings"),
    ],
)
def test_duties_without_a_form_are_refused(settings: Json) -> None:
    with pytest.raises(Unrepresentable):
        GEMINI.encode_request(foreign(HELLO, **settings), GEN3)


def test_a_result_without_a_call_is_refused() -> None:
    with pytest.raises(Unrepresentable, match="'x'"):
        GEMINI.encode_request(foreign(HELLO, turn("tool", ToolResult(call_id="x"))), GEN3)


def test_hosted_calls_of_other_protocols_leave_the_history() -> None:
    call = HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=Raw(b"{}"))
    request = foreign(HELLO, turn("assistant", call), HELLO)

    assert encoded(request)["contents"] == [USER, USER]
    assert losses(request) == {("tool.hosted", "dropped")}


def test_a_conversation_begins_with_the_user() -> None:
    request = foreign(turn("assistant", ToolCall(call_id="a", name="f", arguments="{}")))

    assert encoded(request)["contents"][0] == {"role": "user", "parts": [{"text": "."}]}
    assert ("part.order", "defaulted") in losses(request)
    assert encoded(foreign(turn("system", Text(text="S"))))["contents"] == [
        {"role": "user", "parts": [{"text": "."}]}
    ]


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (ToolCall(call_id="a", name="f", arguments=""), {}),
        (ToolCall(call_id="a", name="f", arguments='{"a": 1'), {"_raw": '{"a": 1'}),
        (ToolCall(call_id="a", name="f", arguments="[1]"), {"_raw": "[1]"}),
        (ToolCall(call_id="a", name="f", arguments="SELECT 1", kind="custom"), {"input": "SELECT 1"}),
    ],
)
def test_arguments_are_always_an_object(call: ToolCall, args: Json) -> None:
    request = foreign(HELLO, turn("assistant", call))

    assert encoded(request)["contents"][1]["parts"][0]["functionCall"]["args"] == args


F = FunctionTool(name="f", parameters=Schema(Raw(b'{"type":"object","properties":{"a":{}}}')))

CHOICES: dict[str, tuple[Json, Json, set[tuple[str, str]]]] = {
    "absent": ({}, None, set()),
    "auto, not parallel": (
        {"tool_choice": ToolChoice(mode="auto"), "parallel_tools": False},
        {"mode": "AUTO"},
        {("parallel_tools", "dropped")},
    ),
    "none": ({"tool_choice": ToolChoice(mode="none")}, {"mode": "NONE"}, set()),
    "required": ({"tool_choice": ToolChoice(mode="required")}, {"mode": "ANY"}, set()),
    "one": (
        {"tool_choice": ToolChoice(mode="tool", names=["f"])},
        {"mode": "ANY", "allowedFunctionNames": ["f"]},
        set(),
    ),
    "auto of some": (
        {"tool_choice": ToolChoice(mode="auto", names=["f", "g"])},
        {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]},
        set(),
    ),
    "required of some": (
        {"tool_choice": ToolChoice(mode="required", names=["f", "g"])},
        {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        set(),
    ),
    "hosted": ({"tool_choice": ToolChoice(mode="hosted")}, None, {("tool_choice", "dropped")}),
}


@pytest.mark.parametrize(("given", "config", "lost"), CHOICES.values(), ids=CHOICES.keys())
def test_tool_choice(given: Json, config: Json, lost: set[tuple[str, str]]) -> None:
    request = foreign(HELLO, tools=[F], **given)

    sent = encoded(request)

    assert sent.get("toolConfig", {}).get("functionCallingConfig") == config
    assert losses(request) == lost


def test_a_choice_without_functions_is_left_out() -> None:
    assert "toolConfig" not in encoded(foreign(HELLO, tool_choice=ToolChoice(mode="auto")))


def test_strict_tools_ask_for_validation() -> None:
    request = foreign(HELLO, tools=[FunctionTool(name="f", strict=True)])

    sent = encoded(request)

    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert losses(request) == {("tool.strict", "approximated")}


def test_a_custom_tool_becomes_a_function_of_one_string() -> None:
    grammar = Raw(b'{"type":"grammar","grammar":{"syntax":"lark","definition":"start: /.+/"}}')
    request = foreign(HELLO, tools=[CustomTool(name="sql", description="Run SQL", format=grammar)])

    assert encoded(request)["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "sql",
                    "description": "Run SQL\nThe input must match this lark grammar:\nstart: /.+/",
                    "parametersJsonSchema": {
                        "type": "object",
                        "properties": {"input": {"type": "string"}},
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                }
            ]
        }
    ]
    assert losses(request) == {("tool.custom", "emulated"), ("tool.custom", "approximated")}


def test_hosted_tools_of_other_protocols_are_dropped() -> None:
    request = foreign(
        HELLO, tools=[HostedTool(protocol="anthropic", wire_type="bash_20250124", raw=Raw(b"{}")), F]
    )

    assert encoded(request)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {"a": {}}}}
            ]
        }
    ]
    assert losses(request) == {("tool.hosted", "dropped")}


NO_OFF = ModelProfile(thinking="budget", thinking_off=False)
THINKING: dict[str, tuple[Thinking, ModelProfile, Json, set[tuple[str, str]]]] = {
    "level": (Thinking(effort="medium"), GEN3, {"thinkingLevel": "MEDIUM", "includeThoughts": True}, set()),
    "hidden": (Thinking(effort="low", show="omitted"), GEN3, {"thinkingLevel": "LOW"}, set()),
    "max": (
        Thinking(effort="max", show="auto"),
        GEN3,
        {"thinkingLevel": "XHIGH", "includeThoughts": True},
        {("reasoning.effort", "approximated")},
    ),
    "off": (
        Thinking(effort="none"),
        GEN3,
        {"thinkingLevel": "MINIMAL"},
        {("reasoning.effort", "approximated")},
    ),
    "budget as level": (
        Thinking(budget=5000, mode="fixed"),
        GEN3,
        {"thinkingLevel": "MEDIUM", "includeThoughts": True},
        {("reasoning.budget", "approximated")},
    ),
    "adaptive": (Thinking(mode="adaptive"), GEN3, {"includeThoughts": True}, set()),
    "effort as budget": (
        Thinking(effort="high"),
        GEN2,
        {"thinkingBudget": 24576, "includeThoughts": True},
        set(),
    ),
    "budget": (Thinking(budget=99), GEN2, {"thinkingBudget": 99, "includeThoughts": True}, set()),
    "dynamic budget": (
        Thinking(mode="adaptive"),
        GEN2,
        {"thinkingBudget": -1, "includeThoughts": True},
        set(),
    ),
    "budget off": (Thinking(mode="off"), GEN2, {"thinkingBudget": 0}, set()),
    "cannot be off": (
        Thinking(mode="off"),
        NO_OFF,
        {"thinkingBudget": 512},
        {("reasoning.effort", "approximated")},
    ),
    "model without thoughts": (
        Thinking(effort="low"),
        ModelProfile(thinking="none"),
        None,
        {("reasoning.effort", "dropped")},
    ),
}


@pytest.mark.parametrize(("thinking", "profile", "config", "lost"), THINKING.values(), ids=THINKING.keys())
def test_thinking(
    thinking: Thinking, profile: ModelProfile, config: Json, lost: set[tuple[str, str]]
) -> None:
    request = foreign(HELLO, thinking=thinking)

    assert encoded(request, profile).get("generationConfig", {}).get("thinkingConfig") == config
    assert losses(request, profile) == lost


def test_structured_output_by_dialect() -> None:
    schema = Schema(Raw(b'{"$schema":"s","type":"object","properties":{"a":{"type":["string","null"]}}}'))
    request = foreign(HELLO, output=OutputFormat(kind="schema", schema=schema, name="response", strict=True))

    assert encoded(request)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
    }
    assert encoded(request, GEN2)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": {
            "type": "OBJECT",
            "properties": {"a": {"type": "STRING", "nullable": True}},
            "propertyOrdering": ["a"],
        },
    }
    assert losses(request) == {("output.schema.name", "dropped")}


def test_settings_that_exist_and_settings_that_do_not() -> None:
    request = foreign(
        HELLO,
        max_output=9,
        sampling=Sampling(
            temperature=0.5,
            top_k=40.0,
            seed=1,
            stop=list("abcdef"),
            candidates=3,
            logit_bias={"1": 2.0},
            logprobs=True,
        ),
        metadata={"team": "a", "Not Legal": "x"},
        tier="priority",
        user="u",
        cache_key="k",
        verbosity="low",
        state=State(store=True, truncation="auto"),
        ext={"openai_chat": {"prediction": Raw(b"{}")}},
    )

    assert encoded(request) == {
        "contents": [USER],
        "generationConfig": {
            "temperature": 0.5,
            "topK": 40,
            "candidateCount": 3,
            "seed": 1,
            "responseLogprobs": True,
            "stopSequences": ["a", "b", "c", "d", "e"],
            "maxOutputTokens": 9,
        },
        "labels": {"team": "a"},
        "serviceTier": "priority",
    }
    assert losses(request) == {
        ("sampling.logit_bias", "dropped"),
        ("sampling.stop", "approximated"),
        ("metadata", "dropped"),
        ("user", "dropped"),
        ("cache_key", "dropped"),
        ("verbosity", "dropped"),
        ("state.store", "dropped"),
        ("state.truncation", "dropped"),
        ("ext.prediction", "dropped"),
    }


def test_a_longer_conversation_keeps_its_beginning() -> None:
    turns = [*calls_and_results(), turn("assistant", Text(text="done")), HELLO]
    short, long = encoded(foreign(*turns[:5])), encoded(foreign(*turns))

    assert long["contents"][: len(short["contents"])] == short["contents"]
