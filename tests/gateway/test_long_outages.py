"""All accounts are out for five minutes, in each way (F88): what it costs meanwhile, and how soon it is over."""

from __future__ import annotations

import pytest

from tests.fakes.journeys import Rig
from tests.gateway.test_failover import FAILURES, always, fine

OUTAGE = 300.0
PAUSE = 0.1
"""Seconds between two requests."""
SOON = 5.0
LATEST = {
    "429 without a wait": 66.0,  # `policy.health.cool_max`, and a tenth
    "529": 30.0,  # `overload_max`
    "quota": 864.0,  # `quota_probe`, and a fifth: whatever reset was promised
    "401": 720.0,  # `disabled_probe`, and a fifth
}
"""Refusals end at their time, the rest as soon as the accounts are back: somebody tries all the time."""


@pytest.mark.parametrize("kind", FAILURES)
def test_an_outage_costs_few_calls_and_is_over_soon_after_its_end(kind: str) -> None:
    rig = Rig(4)
    end = rig.clock.now + OUTAGE
    requests = 0
    while rig.clock.now < end:
        requests += 1
        assert not rig.ask(always(FAILURES[kind]))
        rig.clock.now += PAUSE
    calls = len(rig.calls)
    while not rig.ask(fine):
        rig.clock.now += PAUSE

    assert calls <= 1.2 * requests
    assert rig.clock.now - end <= LATEST.get(kind, SOON)
