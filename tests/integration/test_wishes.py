"""Small promises to clients: a wish is not overlooked, an id is where the SDK looks, a body means one model."""

from __future__ import annotations

import httpx
import pytest

from tests.harness import KEY, four_pools, serving, simulated
from tests.integration.test_relay import EVENTS, Upstream, one_account, post


@pytest.mark.parametrize("wish", ["1", "true", "YES", "on"])
def test_any_yes_switches_strict_on(wish: str) -> None:
    body = {"model": "claude/x", "seed": 7, "messages": [{"role": "user", "content": "x"}]}
    with simulated(four_pools) as (stack, simulator):
        headers = {"x-api-key": KEY, "x-a2-strict": wish}
        answer = httpx.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers)

        assert answer.status_code == 400
        assert "sampling.seed" in answer.text
        assert len(simulator.requests) == 0


def test_claude_clients_find_the_request_id_under_their_name() -> None:
    body = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    with simulated(four_pools) as (stack, _):
        answer = httpx.post(f"{stack.url}/v1/messages", json=body, headers={"x-api-key": KEY})

    assert answer.headers["request-id"] == answer.headers["x-request-id"]


def test_a_second_model_member_is_refused() -> None:
    body = b'{"model":"forbidden","max_tokens":9,"stream":true,"model":"claude-x","messages":[]}'
    upstream = Upstream(list(EVENTS))
    with serving(upstream.running(), one_account) as stack:
        answer = post(stack, body, "/claude/v1/messages")

    assert answer.status_code == 400
    assert upstream.bodies == []
