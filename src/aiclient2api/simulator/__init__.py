"""An independent imitation of the four providers' APIs, for tests of this gateway and of anything that calls it.

It shares no code with the converters, so that the two cannot share a mistake.
"""

from __future__ import annotations

from aiclient2api.simulator.app import ReceivedRequest, Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule, Scenario, ScenarioError
from aiclient2api.simulator.serve import running, serve
from aiclient2api.simulator.settings import SimulatorSettings

__all__ = [
    "Fault",
    "Match",
    "ReceivedRequest",
    "Rule",
    "Scenario",
    "ScenarioError",
    "Simulator",
    "SimulatorSettings",
    "running",
    "serve",
]
