"""Settings and tools of other protocols, fitted to the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.ir.parts import Opaque, Reasoning, Text
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
    Turn,
)
from aiclient2api.protocols.profile import ModelProfile
from tests.protocols.anthropic.anthropic_foreign import (
    BASE,
    BUDGET,
    CONVERTER,
    EFFORT,
    HI,
    TOOL,
    encoded,
    says,
)


def test_headers_name_the_profiles_dialect() -> None:
    out = CONVERTER.encode_request(BASE, ModelProfile(anthropic_version="2026-10-21"))

    assert out.wire.path == "/v1/messages"
    assert out.wire.header("anthropic-version") == "2026-10-21"


def test_the_limit_is_defaulted_and_reported() -> None:
    body, losses = encoded(replace(BASE, max_output=None), ModelProfile(max_output=128_000))

    assert body["max_tokens"] == 128_000
    assert losses == [("max_output", "defaulted")]


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
            "input_schema": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": False,
            },
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
    assert losses == [
        ("tool.schema", "approximated"),
        ("tool.custom", "emulated"),
        ("tool.custom", "approximated"),
        ("tool.hosted", "dropped"),
    ]


def test_structured_output() -> None:
    output = OutputFormat(
        kind="schema", schema=Schema(Raw(b'{"type":"object"}')), name="response", strict=True
    )

    body, losses = encoded(replace(BASE, output=output))

    schema = {"type": "object", "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert losses == [("output.schema", "approximated"), ("output.schema.name", "dropped")]


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


SIGNED = says(Reasoning(raw=["hm"], opaque=Opaque("anthropic.signature", "c2ln")), Text(text="yes"))
BOUND = ModelProfile(bound_thoughts=True)
ALWAYS_BOUND = ModelProfile(bound_thoughts=True, thinking_off=False)


@pytest.mark.parametrize(
    ("profile", "wish", "history", "expected"),
    [
        (BOUND, Thinking(effort="high"), [HI, SIGNED, HI], True),
        (ALWAYS_BOUND, None, [HI, SIGNED, HI], True),
        (BOUND, None, [HI, SIGNED, HI], False),
        (BOUND, Thinking(mode="off"), [HI, SIGNED, HI], False),
        (BOUND, Thinking(effort="high"), [HI], False),
        (EFFORT, Thinking(effort="high"), [HI, SIGNED, HI], False),
    ],
    ids=["asked to think", "always thinks", "nothing said", "off", "no thoughts", "another model"],
)
def test_thoughts_that_do_not_fit_any_more_are_to_be_left_out(
    profile: ModelProfile, wish: Thinking | None, history: list[Turn], expected: bool
) -> None:
    out = CONVERTER.encode_request(replace(BASE, thinking=wish, turns=history), profile)
    thinking = json.loads(out.wire.body).get("thinking", {})

    assert ("block_binding" in thinking) is expected
    assert (out.wire.header("anthropic-beta") == "thinking-binding-controls-2026-08-01") is expected
    if expected:
        assert thinking["type"] == "adaptive"
        assert thinking["block_binding"] == {"prefix_mismatch_behavior": "drop_block"}
