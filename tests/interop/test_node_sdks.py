"""The official SDKs for Node.js as clients, the simulator as the upstream of every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import Sections, simulated
from tests.interop import nodejs
from tests.interop.conversations import CLIENTS, STOP, TOOL_USE
from tests.interop.upstreams import MODELS, accounts

pytestmark = pytest.mark.interop

AFTER_CONTENT = 9  # events: in every protocol some text has come by then, and the answer is not over
FAULTS = (
    Rule(match=Match(prompt="CUT one"), fault=Fault(cut_after_events=AFTER_CONTENT)),
    Rule(match=Match(prompt="RESET one"), fault=Fault(cut_after_events=AFTER_CONTENT, reset=True)),
    Rule(match=Match(prompt="ERROR one"), fault=Fault(error_event_after_events=AFTER_CONTENT)),
    Rule(match=Match(prompt="HALF one"), fault=Fault(malformed_after_events=AFTER_CONTENT)),
    Rule(match=Match(prompt="STALL one"), fault=Fault(stall_after_events=AFTER_CONTENT)),
    Rule(match=Match(prompt="REFUSED"), fault=Fault(status=400, message="REFUSED for the test")),
)


def many_accounts(url: str) -> Sections:
    """Enough of them that some are healthy after every fault."""
    one = accounts(f"{url}/v1", url, url)
    # a stream that stalls is given up soon
    many = {
        f"{name}-{number}": {**given, "timeouts": {"idle": "1s"}}
        for name, given in one["accounts"].items()
        for number in range(30)
    }
    return {**one, "accounts": many}


Results = dict[str, dict[str, dict[str, dict[str, Any]]]]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    """What all clients saw: results[client][upstream][check]."""
    with simulated(many_accounts) as (stack, simulator):
        for rule in FAULTS:
            simulator.scenario.add(rule)
        environ = {"GATEWAY_URL": stack.url, "GATEWAY_KEY": stack.key, "GATEWAY_MODELS": ",".join(MODELS)}
        done = nodejs.run("clients.mjs", environ=environ)
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=MODELS)
def upstream(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def seen(results: Results, client: str, upstream: str) -> dict[str, dict[str, Any]]:
    """What one client saw of one upstream, by the name of the check."""
    return results[client][upstream]


def test_text_unary_and_streamed(seen: dict[str, dict[str, Any]], client: str) -> None:
    said = {"text": "You said: Hello.", "finish": STOP[client]}

    assert seen["unary"] == {**said, "tokens": 3}
    assert seen["stream"] == said
    assert seen["events"] == said


def test_system_text_and_several_turns(seen: dict[str, dict[str, Any]]) -> None:
    assert seen["turns"] == {"text": "You said: Second. [system: Be brief.] [turn 2]"}


@pytest.mark.parametrize("check", ["tool", "streamed tool"])
def test_a_tool_call_and_its_result(
    seen: dict[str, dict[str, Any]], client: str, upstream: str, check: str
) -> None:
    # Gemini's calls carry a signature, which has found its way back through every client
    signed = " [kept 1 thought]" if upstream == "gemini" else ""

    assert seen[check] == {
        "name": "get_weather",
        "arguments": '{"city":"text"}',
        "finish": TOOL_USE[client],
        "text": f"The tool answered: sunny, 21 degrees{signed}",
    }


def test_a_refusal_of_the_upstream_is_shown(seen: dict[str, dict[str, Any]]) -> None:
    assert "REFUSED for the test" in seen["refused"]["raised"]


@pytest.mark.parametrize(
    "check", ["cut stream", "cut events", "reset events", "error events", "half events", "stalled events"]
)
def test_a_stream_that_breaks_after_content_raises(seen: dict[str, dict[str, Any]], check: str) -> None:
    raised = seen[check]["raised"]

    assert "undefined" not in raised and "not a function" not in raised, "the script itself is wrong"


def test_the_script_is_clean() -> None:
    done = nodejs.run(nodejs.PACKAGES / "eslint" / "bin" / "eslint.js", ".", "--max-warnings", "0")

    assert done.returncode == 0, done.stdout + done.stderr
