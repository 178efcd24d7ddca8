"""Settings and tools of other protocols on their way to a Responses upstream."""

from __future__ import annotations

import pytest
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
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
from tests.protocols.openai_responses.responses_wire import BASE, HI, USER, encode, foreign, losses


def test_several_answers_and_a_prewarm_are_refused() -> None:
    with pytest.raises(Unrepresentable, match="only 1"):
        encode(foreign(USER, sampling=Sampling(candidates=3)))
    with pytest.raises(Unrepresentable, match="cache prewarm"):
        encode(foreign(USER, max_output=0))


def test_sampling_that_does_not_exist_here_is_reported() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_k=3,
        seed=1,
        presence_penalty=1,
        frequency_penalty=1,
        logit_bias={"1": 1},
        stop=["x"],
    )
    request = foreign(USER, sampling=sampling)

    assert encode(request) == {**BASE, "input": [HI], "temperature": 0.5}
    assert losses(request) == [
        ("sampling.top_k", "dropped"),
        ("sampling.seed", "dropped"),
        ("sampling.presence_penalty", "dropped"),
        ("sampling.frequency_penalty", "dropped"),
        ("sampling.logit_bias", "dropped"),
        ("sampling.stop", "dropped"),
    ]


def test_logprobs_are_included() -> None:
    body = encode(foreign(USER, sampling=Sampling(logprobs=True, top_logprobs=2)))

    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body["top_logprobs"] == 2


def test_small_limit_is_raised() -> None:
    request = foreign(USER, max_output=3)

    assert encode(request)["max_output_tokens"] == 16
    assert losses(request) == [("max_output", "approximated")]


THINKING: dict[str, tuple[Thinking, ModelProfile, object, list[tuple[str, str]]]] = {
    "effort": (Thinking(effort="high"), ModelProfile(), {"effort": "high", "summary": "auto"}, []),
    "hidden": (Thinking(effort="low", show="off"), ModelProfile(), {"effort": "low"}, []),
    "adaptive": (Thinking(mode="adaptive"), ModelProfile(), {"summary": "auto"}, []),
    "off": (Thinking(mode="off"), ModelProfile(), {"effort": "none"}, []),
    "cannot be off": (
        Thinking(mode="off"),
        ModelProfile(thinking_off=False),
        {"effort": "low", "summary": "auto"},
        [("reasoning.effort", "approximated")],
    ),
    "budget": (
        Thinking(mode="fixed", budget=5000, show="summarized"),
        ModelProfile(),
        {"effort": "medium", "summary": "auto"},
        [("reasoning.budget", "approximated")],
    ),
    "large budget": (
        Thinking(budget=50000),
        ModelProfile(),
        {"effort": "xhigh", "summary": "auto"},
        [("reasoning.budget", "approximated")],
    ),
    "no thinker": (
        Thinking(effort="high"),
        ModelProfile(thinking="none"),
        None,
        [("reasoning.effort", "dropped")],
    ),
}


@pytest.mark.parametrize(("thinking", "profile", "expected", "lost"), THINKING.values(), ids=THINKING.keys())
def test_thinking_forms(
    thinking: Thinking, profile: ModelProfile, expected: object, lost: list[tuple[str, str]]
) -> None:
    request = foreign(USER, thinking=thinking)

    assert encode(request, profile).get("reasoning") == expected
    assert losses(request, profile) == lost


def test_output_schema_is_flat_and_named() -> None:
    request = foreign(USER, output=OutputFormat(kind="schema", schema=Schema(Raw(b'{"type":"object"}'))))

    assert encode(request)["text"] == {
        "format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}
    }
    assert losses(request) == [("output.schema.name", "defaulted")]


def test_tools_of_every_kind() -> None:
    tools = [
        FunctionTool(name="f", parameters=Schema(Raw(b'{"type":"OBJECT"}'), "openapi"), strict=True),
        CustomTool(name="sql", description="d", format=Raw(b'{"type":"text"}')),
        HostedTool(protocol="anthropic", wire_type="web_search_20250305", raw=Raw(b"{}")),
    ]
    request = foreign(USER, tools=tools)

    assert encode(request)["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "sql", "description": "d", "format": {"type": "text"}},
    ]
    assert losses(request) == [("tool.hosted", "dropped")]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param(ToolChoice(mode="required"), "required", id="required"),
        pytest.param(ToolChoice(mode="tool", names=["f"]), {"type": "function", "name": "f"}, id="one"),
        pytest.param(
            ToolChoice(mode="auto", names=["f", "sql"]),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "sql"}],
            },
            id="subset",
        ),
        pytest.param(ToolChoice(mode="hosted", raw=Raw(b"{}")), None, id="hosted"),
    ],
)
def test_tool_choice_forms(choice: ToolChoice, expected: object) -> None:
    request = foreign(USER, tools=[FunctionTool(name="f"), CustomTool(name="sql")], tool_choice=choice)

    assert encode(request).get("tool_choice") == expected


def test_identity_and_tiers() -> None:
    request = foreign(USER, user="u", metadata={"a": "b"}, tier="standard_only", cache_key="k")

    body = encode(request)

    assert body["safety_identifier"] == "u"
    assert body["metadata"] == {"a": "b"}
    assert body["service_tier"] == "default"
    assert body["prompt_cache_key"] == "k"


def test_members_of_other_protocols_stay_behind_and_are_named() -> None:
    request = foreign(
        USER,
        ext={"anthropic": {"container": Raw(b'"c"')}},
        safety=Raw(b"[]"),
        state=State(store=True),
    )

    assert encode(request) == {**BASE, "input": [HI]}
    assert losses(request) == [
        ("ext.container", "dropped"),
        ("state.store", "dropped"),
        ("safety", "dropped"),
    ]
