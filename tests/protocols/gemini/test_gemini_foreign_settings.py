"""Tools and settings of other protocols for a Gemini upstream."""

from __future__ import annotations

import pytest
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    Text,
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
from tests.protocols.gemini.gemini_samples import GEMINI, GEN2, GEN3, Json, encoded, foreign, losses, turn

HELLO = turn("user", Text(text="hi"))
USER: Json = {"role": "user", "parts": [{"text": "hi"}]}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"max_output": 0}, id="cache prewarm"),
        pytest.param({"operation": "embed"}, id="embeddings"),
    ],
)
def test_duties_without_a_form_are_refused(settings: Json) -> None:
    with pytest.raises(Unrepresentable):
        GEMINI.encode_request(foreign(HELLO, **settings), GEN3)


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
