"""Where a conversation goes: by turns, but back to the account that made the state it carries."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, Stack, simulated

NAMES = ("account-a", "account-b", "account-c", "account-d")


def four_accounts(affinity: str) -> Any:
    def sections(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude"}
        return {
            "accounts": {name: {**account, "api_key": name} for name in NAMES},
            "policy": {"affinity": affinity},
        }

    return sections


def chat(stack: Stack, messages: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"model": "claude/x", "max_tokens": 4000, "reasoning_effort": "high", "messages": messages}
    answer = httpx.post(
        f"{stack.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]


def turns(stack: Stack, simulator: Any, rounds: int) -> list[str]:
    """Who answered each turn of one conversation that carries sealed reasoning."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
    for number in range(rounds):
        messages += [chat(stack, messages), {"role": "user", "content": f"and {number}"}]
    return [request.key for request in simulator.requests][-rounds:]


def test_a_conversation_with_sealed_state_returns_to_the_account_that_made_it() -> None:
    with simulated(four_accounts("conversation")) as (stack, simulator):
        for _ in range(3):
            assert len(set(turns(stack, simulator, 4))) == 1
        assert len({request.key for request in simulator.requests}) == 3, "new conversations go by turns"


def test_the_preference_yields_when_the_account_is_out() -> None:
    with simulated(four_accounts("conversation")) as (stack, simulator):
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
        messages += [chat(stack, messages), {"role": "user", "content": "more"}]
        first = simulator.requests[-1].key
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key=first)))

        chat(stack, messages)

        assert simulator.requests[-1].key != first


def test_without_affinity_every_turn_goes_on() -> None:
    with simulated(four_accounts("off")) as (stack, simulator):
        assert set(turns(stack, simulator, 4)) == set(NAMES)


@pytest.mark.parametrize("affinity", ["prompt_cache"])
def test_prompts_that_begin_alike_go_to_the_same_account(affinity: str) -> None:
    with simulated(four_accounts(affinity)) as (stack, simulator):
        long = "the same beginning " * 100
        for number in range(6):
            chat(stack, [{"role": "system", "content": long}, {"role": "user", "content": str(number)}])

        assert len({request.key for request in simulator.requests}) == 1


def relayed(stack: Stack, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Claude's own protocol on both sides: the thoughts come back as the upstream signed them."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    body = {"model": "claude/x", "max_tokens": 4000, "thinking": thinking, "messages": messages}
    answer = httpx.post(f"{stack.url}/v1/messages", json=body, headers={"x-api-key": KEY})
    assert answer.status_code == 200, answer.text
    assert any(block["type"] == "thinking" and block["signature"] for block in answer.json()["content"])
    return answer.json()["content"]


def relayed_turns(stack: Stack, simulator: Any, first: str, rounds: int) -> list[str]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": first}]
    for number in range(rounds):
        content = relayed(stack, messages)
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": f"and {number}"}]
    return [request.key for request in simulator.requests][-rounds:]


def test_a_relayed_conversation_with_signed_thoughts_stays_with_its_account() -> None:
    with simulated(four_accounts("conversation")) as (stack, simulator):
        for number in range(3):
            assert len(set(relayed_turns(stack, simulator, f"Hello {number}", 4))) == 1
        assert len({request.key for request in simulator.requests}) == 3, "new conversations go by turns"


def test_a_relayed_conversation_goes_on_elsewhere_when_its_account_is_out() -> None:
    with simulated(four_accounts("conversation")) as (stack, simulator):
        (first,) = set(relayed_turns(stack, simulator, "Hello", 2))
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key=first)))

        assert first not in relayed_turns(stack, simulator, "Hello", 2)[1:]


def test_without_affinity_a_relayed_conversation_wanders() -> None:
    with simulated(four_accounts("off")) as (stack, simulator):
        assert len(set(relayed_turns(stack, simulator, "Hello", 4))) == 4
