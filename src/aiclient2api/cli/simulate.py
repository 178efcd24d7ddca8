"""`aiclient2api simulate`: the upstream simulator as a program of its own."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import click

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Scenario, ScenarioError
from aiclient2api.simulator.serve import running
from aiclient2api.simulator.settings import SimulatorSettings

HOST = "127.0.0.1"


@click.command(short_help="Run the upstream simulator.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3999, show_default=True, help="Port to listen on."
)
@click.option(
    "--scenario",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML list of rules: which requests go wrong, how, and how often.",
)
@click.option("--events", type=click.IntRange(min=1), help="Text events of each streamed answer.")
@click.option(
    "--interval-ms",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    help="Time between two events.",
)
def simulate(port: int, path: Path | None, events: int | None, interval_ms: float) -> int:
    """Answer like OpenAI, Anthropic and Google, from nothing but the request.

    A request header `x-sim-fault: status=529; times=1` makes that request go wrong.
    """
    settings = SimulatorSettings(events=events, interval=interval_ms / 1000)
    simulator = Simulator(settings, _scenario(path))
    try:
        asyncio.run(_serve(port, simulator))
    except OSError as error:
        raise click.ClickException(f"--port: cannot listen on {HOST}:{port}: {error.strerror}") from None
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(port: int, simulator: Simulator) -> None:
    """Run until a signal says stop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows has KeyboardInterrupt instead
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(simulator, HOST, port) as url:
        click.echo(
            f"simulator on {url}  (OpenAI at {url}/v1, Anthropic and Gemini at the root; takes any key)"
        )
        await stop.wait()


def _scenario(path: Path | None) -> Scenario:
    if path is None:
        return Scenario()
    try:
        return Scenario.load(path.read_text("utf-8"))
    except (ScenarioError, OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--scenario: {path}: {error}") from None
