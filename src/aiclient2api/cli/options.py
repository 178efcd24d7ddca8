"""Options that several commands share, and how they load a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from aiclient2api.config.load import load
from aiclient2api.config.model import Config
from aiclient2api.config.units import Duration

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file [default: $AICLIENT2API_CONFIG, ./aiclient2api.yaml, the user's].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Seconds(click.ParamType[str]):
    """A time as the configuration has it; a bare number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click."""
        text = str(value)
        written = f"{text}s" if text.replace(".", "", 1).isdigit() else text
        try:
            Duration.parse(written)
        except ValueError:
            self.fail(f"{text!r} is neither a number of seconds nor a duration like 90s or 2m", param, ctx)
        return written


def load_config(path: Path | None, overrides: Mapping[str, object] | None = None) -> Config:
    """The configuration, its warnings told on stderr. Raises ConfigError."""
    config = load(path, environ=os.environ, overrides=overrides)
    warn(config)
    return config


def warn(config: Config) -> None:
    """Tell the configuration's warnings on stderr."""
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
