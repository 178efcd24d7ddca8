"""`aiclient2api serve`: flags and configuration in, the running gateway out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from aiclient2api.cli.options import Seconds, config_option, load_config, warn
from aiclient2api.config.demo import demo_config, wants_demo
from aiclient2api.config.load import load, written


@click.command()
@config_option
@click.option("--host", help="Address to listen on; other than loopback needs a client key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on [default: 3000].")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.")
@click.option("--store", help="Where shared state lives: memory, embedded or a redis:// URL.")
@click.option(
    "--demo", is_flag=True, help="Answer from the built-in simulator; the default without a key or file."
)
@click.option("--drain", type=Seconds(), help="Time for open answers at stop, like 90, 90s or 2m.")
def serve(
    path: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    store: str | None,
    demo: bool,
    drain: str | None,
) -> int:
    """Run the gateway."""
    server = {
        "host": host,
        "port": port,
        "workers": workers,
        "drain": drain,
    }
    overrides: dict[str, Any] = {
        "server": {key: value for key, value in server.items() if value is not None},
        "store": {} if store is None else {"url": store},
    }
    if demo or wants_demo(path, os.environ):
        return _demo(overrides)
    config = load_config(path, overrides)
    if config.server.workers > 1:
        from aiclient2api.cli.supervise import Origin, supervise

        return supervise(Origin(read=lambda: written(path, environ=os.environ, overrides=overrides)))
    from aiclient2api.cli.start import run

    return run(config, demo=False, reload=lambda: load(path, environ=os.environ, overrides=overrides))


def _demo(overrides: dict[str, Any]) -> int:
    if overrides["server"].get("workers", 1) == 1:
        from aiclient2api.cli.start import run

        config = demo_config(environ=os.environ, overrides=overrides)
        warn(config)
        return run(config, demo=True)
    from aiclient2api.cli.supervise import supervise_demo

    return supervise_demo(overrides)
