from __future__ import annotations

import ast
import asyncio
import signal
from pathlib import Path

import pytest

import aiclient2api.simulator as package
from aiclient2api.simulator import SimulatorSettings, running

from .rig import simulator
from .test_faults import CHAT, connect

SOURCES = sorted(Path(package.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_simulator_shares_no_code_with_the_gateway(source: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
    ours = {name for name in imported if name.startswith("aiclient2api")}
    assert all(name.startswith("aiclient2api.simulator") for name in ours)


async def test_signals_stay_with_the_process_it_lives_in() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with running(simulator()):
        await asyncio.sleep(0)
        assert signal.getsignal(signal.SIGTERM) is before


async def test_a_stop_ends_the_answers_under_way() -> None:
    app = simulator()
    async with running(app) as url:
        reader, writer = await connect(url, CHAT, "stall-after-events=1")
        assert b"200" in await reader.readline()
    await reader.read()
    writer.close()
    assert app.open_streams == 0


async def test_two_simulators_listen_on_their_own_ports() -> None:
    async with running(simulator()) as one, running(simulator()) as other:
        assert one != other
        assert one.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"events": 0}, "events must be at least 1"),
        ({"interval": -1.0}, "interval must not be negative"),
        ({"embedding_size": 0}, "embedding_size must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SimulatorSettings(**settings)  # pyright: ignore[reportArgumentType] - a table of any settings
