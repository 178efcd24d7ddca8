"""A change of effort inside a conversation goes between Responses and Claude exactly; others hear nothing of it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.simulator.messages_rules import parse
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.voices import Refused
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from tests.fakes.sealing import CARRIER
from tests.protocols.test_pairs import BUILTIN, CONVERTERS, PATHS

OC, OR, AM, GG = "openai_chat", "openai_responses", "anthropic", "gemini"
NEW: Final = ModelProfile(mid_system=True)
USER: Final = {"role": "user", "content": "hi"}
SAID: Final = {"role": "assistant", "content": "a"}
LOW: Final[dict[str, Any]] = {"type": "configuration_update", "reasoning": {"effort": "low"}}
CLAUDE: Final = {"role": "system", "content": [], "output_config": {"effort": "low"}}


def converted(client: str, upstream: str, turns: list[Any], profile: ModelProfile = NEW) -> Any:
    key = {OR: "input", AM: "messages"}[client]
    wire = WireRequest(path=PATHS[client], body=json.encode({"model": "m", "max_tokens": 99, key: turns}))
    inbound = Inbound(CONVERTERS[client], wire, "t")
    target = Target(model="m", profile=profile, streams=False)
    return ConverterFactory(BUILTIN, CARRIER).convert(inbound, upstream, target)


def sent(conversion: Any) -> Any:
    return json.decode(conversion.request.body, dict[str, Any])


def controls(conversion: Any) -> list[tuple[str, str]]:
    return [
        (loss.feature, loss.act)
        for loss in conversion.losses
        if loss.feature.startswith(("control", "system"))
    ]


@pytest.mark.parametrize(
    "turns", [[LOW, USER], [USER, LOW], [USER, SAID, LOW, USER], [USER, SAID, USER, LOW]], ids=str
)
def test_the_item_is_a_system_message_behind_the_user(turns: list[Any]) -> None:
    conversion = converted(OR, AM, turns)
    assert sent(conversion)["messages"][-1] == CLAUDE
    assert controls(conversion) == []
    assert dict(conversion.request.headers)["anthropic-beta"] == "mid-conversation-output-config-2026-07-01"


def test_without_an_update_no_beta_is_asked_for() -> None:
    assert "anthropic-beta" not in dict(converted(OR, AM, [USER]).request.headers)


@pytest.mark.parametrize("turns", [[USER, SAID, LOW]], ids=str)
def test_where_no_system_message_may_stand_it_is_dropped(turns: list[Any]) -> None:
    conversion = converted(OR, AM, turns)
    assert controls(conversion) == [("control.configuration_update", "dropped")]
    assert all(message["role"] != "system" for message in sent(conversion)["messages"])


def test_an_effort_that_claude_has_not_is_dropped() -> None:
    conversion = converted(OR, AM, [USER, {**LOW, "reasoning": {"effort": "none"}}])
    assert controls(conversion) == [("control.configuration_update", "dropped")]


@pytest.mark.parametrize(
    "update",
    [{**LOW, "text": {"format": {"type": "text"}}}, {**LOW, "reasoning": {"effort": "minimal"}}],
    ids=["a format beside it", "an effort that is not one of Claude's"],
)
def test_what_claude_cannot_say_of_it_is_told(update: Any) -> None:
    conversion = converted(OR, AM, [USER, update])
    assert sent(conversion)["messages"][-1] == CLAUDE
    assert controls(conversion) == [("control.configuration_update", "approximated")]


def test_claudes_message_is_the_item_whatever_else_it_says() -> None:
    conversion = converted(AM, OR, [USER, {**CLAUDE, "clear_at": "never"}])
    assert sent(conversion)["input"][1:] == [LOW]
    assert [(loss.feature, loss.act) for loss in conversion.losses] == [("ext.clear_at", "dropped")]


@pytest.mark.parametrize("upstream", [OC, GG])
def test_nothing_is_said_in_its_place_to_others(upstream: str) -> None:
    conversion = converted(AM, upstream, [USER, CLAUDE])
    assert sent(conversion) == sent(converted(AM, upstream, [USER]))
    assert ("ext.output_config.effort", "dropped") in [(loss.feature, loss.act) for loss in conversion.losses]


def test_claudes_grammar_takes_the_message_with_its_beta_and_not_without() -> None:
    request = converted(OR, AM, [USER, SAID, LOW, USER]).request
    headers = dict(request.headers)
    assert parse(request.body, headers, SimulatorSettings())[0].messages[-1].output_config is not None
    del headers["anthropic-beta"]
    with pytest.raises(Refused, match=r"messages\.3\.output_config"):
        parse(request.body, headers, SimulatorSettings())
