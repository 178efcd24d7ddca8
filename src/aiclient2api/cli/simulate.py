"""`aiclient2api simulate`: the upstream simulator as a program of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Scenario, ScenarioError
from aiclient2api.simulator.serve import serve
from aiclient2api.simulator.settings import SimulatorSettings

HOST = "127.0.0.1"


@click.command(short_help="Run the upstream simulator.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3999, show_default=True, help="Port to listen on."
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
    click.echo(
        f"simulator on http://{HOST}:{port}  (OpenAI at /v1, Anthropic and Gemini at the root; any key)"
    )
    try:
        asyncio.run(serve(HOST, port, simulator))
    except OSError as error:
        raise click.ClickException(f"--port: cannot listen on {HOST}:{port}: {error.strerror}") from None
    except KeyboardInterrupt:
        return 0
    return 0


def _scenario(path: Path | None) -> Scenario:
    if path is None:
        return Scenario()
    try:
        return Scenario.load(path.read_text("utf-8"))
    except (ScenarioError, OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--scenario: {path}: {error}") from None
