"""Options that several commands share, and how they load a configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from aiclient2api.config.load import load
from aiclient2api.config.model import Config

config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file [default: $AICLIENT2API_CONFIG, ./aiclient2api.yaml, the user's].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def load_config(path: Path | None, overrides: Mapping[str, object] | None = None) -> Config:
    """The configuration, its warnings told on stderr. Raises ConfigError."""
    config = load(path, environ=os.environ, overrides=overrides)
    warn(config)
    return config


def warn(config: Config) -> None:
    """Tell the configuration's warnings on stderr."""
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
