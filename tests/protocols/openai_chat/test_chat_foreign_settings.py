"""Settings of other protocols for a Chat upstream: what is sent, what is reported, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.request import ModelRequest, OutputFormat, Sampling, Schema, State, Thinking
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.openai_chat.chat_wire import COMPATIBLE, encode, foreign, losses

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
        [("reasoning.show", "approximated"), ("reasoning.effort", "dropped")],
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
        foreign(max_output=0),
        foreign(operation="count_tokens"),
        foreign(operation="embed"),
    ],
    ids=["prewarm", "count", "embed"],
)
def test_a_request_that_a_chat_upstream_cannot_serve_is_refused(request_: ModelRequest) -> None:
    with pytest.raises(Unrepresentable):
        encode(request_)
