"""Model lists: three protocols share their paths, pools have lists of their own, keys see what they may use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, Stack, four_pools, simulated
from tests.program import until

LISTED = ["gpt-simulated", "claude-simulated", "gemini-3-simulated", "embedding-simulated"]
"""What the simulator lists."""
PLAIN = {"responses/gpt-simulated": "gpt-simulated"}
"""What leads to its pool without the pool's name: it is the only one of OpenAI's own accounts."""
NAMES = [
    "best",
    *(
        PLAIN.get(f"{pool}/{name}", f"{pool}/{name}")
        for pool in ("chat", "responses", "claude", "gemini")
        for name in LISTED
    ),
]
CLAUDE_ONLY = "key-for-claude-only"


def sections(url: str) -> Sections:
    return {
        **four_pools(url),
        "models": {"best": {"targets": ["claude/claude-x"]}, "any-*": {"targets": ["chat/*"]}},
        "keys": [
            {"name": "tests", "key": KEY},
            {"name": "limited", "key": CLAUDE_ONLY, "models": ["claude/*", "best"]},
        ],
    }


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(sections) as (stack, simulator):
        yield stack, simulator


def get(stack: Stack, path: str, key: str = KEY, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(stack.url + path, headers={"authorization": f"Bearer {key}", **given})


def shape(body: Any) -> str:
    """Whose list or model it is; the protocols' forms have nothing in common."""
    if body.get("object") in ("list", "model"):
        return "openai"
    if "has_more" in body or body.get("type") == "model":
        return "anthropic"
    return "gemini" if "models" in body or body["name"].startswith("models/") else "unknown"


def names(body: Any) -> list[str]:
    if shape(body) == "gemini":
        return [model["name"].removeprefix("models/") for model in body["models"]]
    return [model["id"] for model in body["data"]]


WHOSE = [
    pytest.param("/v1/models", {}, "openai", id="plain"),
    pytest.param("/v1/models/", {}, "openai", id="trailing slash"),
    pytest.param("/v1/models", {"anthropic_version": "2023-06-01"}, "anthropic", id="anthropic-version"),
    pytest.param("/v1/models", {"x_goog_api_key": KEY}, "gemini", id="x-goog-api-key"),
    pytest.param("/v1/models", {"x_goog_api_client": "genai"}, "gemini", id="x-goog-api-client"),
    pytest.param(f"/v1/models?key={KEY}", {}, "gemini", id="key in the query"),
    pytest.param("/v1beta/models", {}, "gemini", id="v1beta"),
    pytest.param("/v1alpha/models?pageSize=5", {}, "gemini", id="v1alpha"),
    pytest.param(
        "/v1beta/models", {"anthropic_version": "2023-06-01"}, "gemini", id="the path before the headers"
    ),
]


@pytest.mark.parametrize(("path", "headers", "expected"), WHOSE)
def test_path_and_headers_say_whose_list_is_meant(
    pair: tuple[Stack, Simulator], path: str, headers: dict[str, str], expected: str
) -> None:
    answer = get(pair[0], path, **headers)

    assert answer.status_code == 200, answer.text
    assert (shape(answer.json()), names(answer.json())) == (expected, NAMES)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/models/claude/claude-simulated", {}, "openai"),
        ("/v1/models/claude/claude-simulated", {"anthropic_version": "2023-06-01"}, "anthropic"),
        ("/v1beta/models/claude/claude-simulated", {}, "gemini"),
        ("/v1/models/claude%2Fclaude-simulated", {}, "openai"),
    ],
)
def test_one_model_is_told_in_the_same_shapes(
    pair: tuple[Stack, Simulator], path: str, headers: dict[str, str], expected: str
) -> None:
    answer = get(pair[0], path, **headers)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert shape(body) == expected
    assert (body.get("id") or body["name"].removeprefix("models/")) == "claude/claude-simulated"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/models/nobody", {}, lambda body: body["error"]["code"] == "model_not_found"),
        (
            "/v1/models/nobody",
            {"anthropic_version": "2023-06-01"},
            lambda body: body["error"]["type"] == "not_found_error",
        ),
        ("/v1beta/models/nobody", {}, lambda body: body["error"]["status"] == "NOT_FOUND"),
    ],
    ids=["openai", "anthropic", "gemini"],
)
def test_an_unknown_model_is_a_404_in_the_lists_own_protocol(
    pair: tuple[Stack, Simulator], path: str, headers: dict[str, str], code: Any
) -> None:
    answer = get(pair[0], path, **headers)

    assert answer.status_code == 404
    assert code(answer.json())
    assert "nobody" in answer.text


@pytest.mark.parametrize("path", ["/claude/v1/models", "/claude/v1beta/models"])
def test_a_pool_has_a_list_of_its_own_without_its_prefix(pair: tuple[Stack, Simulator], path: str) -> None:
    assert names(get(pair[0], path).json()) == LISTED


def test_a_listed_name_of_a_pool_is_answered_there(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    body = {"model": LISTED[0], "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}

    answer = httpx.post(f"{stack.url}/claude/v1/messages", json=body, headers={"x-api-key": KEY})

    assert answer.headers["x-a2-target"] == f"claude/{LISTED[0]}"
    assert simulator.requests[-1].model == LISTED[0]


def test_official_sdks_list_and_get(pair: tuple[Stack, Simulator]) -> None:
    url = pair[0].url
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY) as chat,
        anthropic.Anthropic(base_url=url, api_key=KEY) as claude,
        genai.Client(api_key=KEY, http_options={"base_url": url}) as gemini,
    ):
        assert [model.id for model in chat.models.list()] == NAMES
        assert [model.id for model in claude.models.list()] == NAMES
        assert [(model.name or "").removeprefix("models/") for model in gemini.models.list()] == NAMES
        assert chat.models.retrieve("best").id == "best"
        for name in ("gpt-simulated", "responses/gpt-simulated"):
            assert chat.models.retrieve(name).id == name
        assert claude.models.retrieve("best").id == "best"
        assert gemini.models.get(model="best").name == "models/best"


def test_a_limited_key_sees_only_what_it_may_use(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair

    listed = names(get(stack, "/v1/models", key=CLAUDE_ONLY).json())
    one = get(stack, "/v1/models/best", key=CLAUDE_ONLY)
    other = get(stack, "/v1/models/chat/gpt-simulated", key=CLAUDE_ONLY)

    assert listed == ["best", *(f"claude/{name}" for name in LISTED)]
    assert (one.status_code, other.status_code) == (200, 404)


def test_an_upstream_without_a_list_does_not_hide_the_others() -> None:
    def two(url: str) -> Sections:
        accounts = four_pools(url)["accounts"]
        accounts["claude-1"]["base_url"] = "http://127.0.0.1:1"
        return {
            "accounts": {"claude-1": accounts["claude-1"], "chat-1": accounts["chat-1"]},
            "models": {"m": {"targets": ["claude/x"]}},
        }

    with simulated(two) as (stack, simulator):
        assert names(get(stack, "/v1/models").json()) == ["m", *(f"chat/{name}" for name in LISTED)]
        simulator.scenario.add(Rule(fault=Fault(status=500)))
        assert names(get(stack, "/v1/models").json()) == ["m", *(f"chat/{name}" for name in LISTED)], (
            "lists are kept"
        )
        assert {a.state.status.value for pool in stack.runtime.pools.values() for a in pool.accounts} == {
            "healthy"
        }
        assert [request.path for request in simulator.requests] == ["/v1/models"]


def test_the_upstream_is_closed_when_the_client_does_not_wait_for_its_list() -> None:
    with simulated(four_pools) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(delay=30), match=Match(key="upstream-claude-1")))
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{stack.url}/claude/v1/models", headers={"x-api-key": KEY}, timeout=0.2)

        until(lambda: simulator.closed_early == 1)
        until(lambda: stack.runtime.services.admission.inflight == 0)
        assert stack.runtime.metrics.inflight == 0
