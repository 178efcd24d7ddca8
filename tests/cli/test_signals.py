from __future__ import annotations

import signal
from pathlib import Path

import pytest
from anthropic import Anthropic, APIStatusError

from aiclient2api.simulator.settings import SimulatorSettings
from tests.program import DEADLINE, serving_program, simulating

EVENTS = 60
SLOW = SimulatorSettings(events=EVENTS, interval=0.03)
KEY = "a-client-key-of-this-test"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "times", [1, 2], ids=["once: the answer is finished", "twice: the answer is broken off"]
)
def test_the_first_signal_drains_and_the_second_stops_at_once(
    tmp_path: Path, stop: signal.Signals, times: int
) -> None:
    with simulating(SLOW) as (_, url):
        account = {"provider": "anthropic_compatible", "base_url": url, "api_key": "k", "pool": "claude"}
        sections = {
            "server": {"port": 0, "drain": "20s"},
            "keys": [{"name": "k", "key": KEY}],
            "accounts": {"a": account},
        }
        with (
            serving_program(tmp_path, sections) as program,
            Anthropic(base_url=program.url, api_key=KEY) as client,
        ):
            texts = 0
            try:
                with client.messages.stream(
                    model="claude/m", max_tokens=99, messages=[{"role": "user", "content": "hello"}]
                ) as stream:
                    for event in stream:
                        texts += event.type == "text"
                        # a signal that is sent before the last one was handled is one with it: on a busy machine two are not enough
                        if event.type == "text" and (texts == 1 or times > 1):
                            program.process.send_signal(stop)
            except APIStatusError as error:
                assert "shutting down" in str(error)
            status = program.process.wait(DEADLINE)

    # the third signal may find a process that has stopped and has given its handlers back
    assert status == 0 or (times > 1 and status in (130, -stop))
    assert (texts == EVENTS) is (times == 1)
