"""Pages of other origins get nothing, unless the operator lists them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.harness import KEY, four_pools, simulated

pytestmark = pytest.mark.usefixtures("each_server")

HOME = "https://chat.example"
ASK = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def open_to_home(url: str) -> dict[str, Any]:
    return {**four_pools(url), "server": {"port": 0, "cors": [HOME]}}


def test_closed_by_default() -> None:
    with simulated(four_pools) as (stack, _):
        preflight = httpx.options(f"{stack.url}/v1/messages", headers={"origin": HOME, **ASK})
        answer = httpx.get(f"{stack.url}/v1/models", headers={"origin": HOME, "x-api-key": KEY})

    assert preflight.status_code == 401
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


def test_a_listed_origin_may_ask_and_read() -> None:
    with simulated(open_to_home) as (stack, _):
        preflight = httpx.options(f"{stack.url}/v1/messages", headers={"origin": HOME, **ASK})
        answer = httpx.get(f"{stack.url}/v1/models", headers={"origin": HOME, "x-api-key": KEY})
        other = httpx.get(
            f"{stack.url}/v1/models", headers={"origin": "https://evil.example", "x-api-key": KEY}
        )

    assert preflight.status_code == 204
    assert "content-length" not in preflight.headers
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert answer.headers["access-control-allow-origin"] == HOME
    assert "access-control-allow-origin" not in other.headers
