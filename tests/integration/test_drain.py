"""Stopping: what runs may finish, what starts too late is refused, what takes too long is told so."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import anthropic
import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import Stack, four_pools, simulated
from tests.integration.test_many_streams import EVENTS, STREAMS, one

pytestmark = pytest.mark.usefixtures("each_server")


def stream_text(stack: Stack, model: str) -> str:
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    with (
        anthropic.Anthropic(base_url=stack.url, api_key=stack.key, max_retries=0) as client,
        client.messages.stream(model=model, max_tokens=1000, messages=messages) as events,
    ):
        for _ in events.text_stream:
            if stack.runtime.services.admission.inflight and not stack.gateway.app.is_draining:
                stack.stop()
        return events.get_final_text()


@pytest.mark.parametrize("pool", ["claude", "chat"], ids=["relayed", "converted"])
def test_a_running_stream_finishes_after_the_signal(pool: str) -> None:
    with simulated(four_pools, SimulatorSettings(events=20, interval=0.02)) as (stack, _):
        text = stream_text(stack, f"{pool}/x")

    assert text.startswith("You said: Hello")
    assert stack.gateway.app.is_draining


@pytest.mark.parametrize("pool", ["claude", "chat"], ids=["relayed", "converted"])
def test_a_stream_longer_than_the_drain_is_told_in_band(pool: str) -> None:
    def short(url: str) -> dict[str, Any]:
        return {**four_pools(url), "server": {"port": 0, "drain": "1s"}}

    with (
        simulated(short, SimulatorSettings(events=2000, interval=0.02)) as (stack, _),
        pytest.raises(anthropic.APIStatusError) as raised,
    ):
        stream_text(stack, f"{pool}/x")

    assert "shutting down" in str(raised.value)


def test_readiness_ends_with_the_signal_and_the_listener_closes() -> None:
    with simulated(four_pools, SimulatorSettings(events=50, interval=0.02)) as (stack, _):
        assert httpx.get(f"{stack.url}/readyz").status_code == 200
        with httpx.Client() as kept:
            kept.get(f"{stack.url}/healthz")
            runner = threading.Thread(target=stream_text, args=(stack, "claude/x"))
            runner.start()
            end = time.monotonic() + 5
            while not stack.gateway.app.is_draining:
                assert time.monotonic() < end
            with pytest.raises(httpx.ConnectError):
                while time.monotonic() < end:
                    httpx.get(f"{stack.url}/healthz")
            runner.join()


def test_five_hundred_streams_outlive_the_signal() -> None:
    def patient(url: str) -> dict[str, Any]:
        data = dict(four_pools(url))
        patience = {"pool": "60s", "connect": "60s", "headers": "60s"}  # for a busy machine
        data["accounts"]["chat-1"] |= {"concurrency": STREAMS, "timeouts": patience}
        return {**data, "server": {"drain": "100s"}}

    settings = SimulatorSettings(events=EVENTS, interval=0.2)

    async def all_of_them(stack: Stack, simulator: Simulator) -> list[tuple[str, list[str]]]:
        streams = [asyncio.ensure_future(one(stack, number)) for number in range(STREAMS)]
        while simulator.open_streams < STREAMS and not any(stream.done() for stream in streams):
            await asyncio.sleep(0.01)
        begun = simulator.open_streams
        stack.stop()
        answers = await asyncio.gather(*streams)
        assert begun > STREAMS / 2, "most were under way when the signal came"
        return answers

    with simulated(patient, settings) as (stack, simulator):
        answers = asyncio.run(all_of_them(stack, simulator))

    assert len(answers) == STREAMS
    assert all(events[-1] == "message_stop" for _, events in answers)
    assert all(f"w{number}-0 " in text for number, (text, _) in enumerate(answers))
