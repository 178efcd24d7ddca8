"""The demo: no key, no file, the built-in simulator as the only upstream."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from aiclient2api.config.load import build, well_known_accounts
from aiclient2api.config.model import Config
from aiclient2api.config.sources import PREFIX, find_file, merge, overlay
from aiclient2api.providers.registry import ProviderRegistry
from aiclient2api.providers.simulator import SimulatorSettings

SIMULATOR = "simulator"
"""The name of the demo's account and pool."""

PLACEHOLDER = "http://127.0.0.1:1"
"""The simulator's address until it is known; see `with_simulator`."""


def wants_demo(
    path: Path | None, environ: Mapping[str, str], registry: ProviderRegistry | None = None
) -> bool:
    """Whether nothing at all is configured: no file, no account variable, no provider key."""
    if find_file(path, environ) is not None:
        return False
    if any(name.upper().startswith(f"{PREFIX}ACCOUNTS") for name in environ):
        return False
    return not well_known_accounts(registry or ProviderRegistry.installed(), environ)


def demo_config(
    url: str = PLACEHOLDER,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Every model name leads to the simulator at `url`. Raises ConfigError for what the caller adds."""
    return build(demo_data(url, environ=environ, overrides=overrides), environ=environ or {})


def demo_data(
    url: str = PLACEHOLDER,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """What the demo's configuration is built of. Raises ConfigError."""
    data: dict[str, object] = {"store": {"url": "memory"}}
    overlay(data, environ or {})
    merge(data, overrides or {})
    data["accounts"] = {SIMULATOR: {"provider": SIMULATOR, "base_url": url, "pool": SIMULATOR}}
    data["models"] = {"*": {"targets": [f"{SIMULATOR}/*"]}}
    return data


def with_simulator(config: Config, url: str) -> Config:
    """The same demo with the simulator's real address."""
    account = msgspec.structs.replace(config.accounts[SIMULATOR], settings=SimulatorSettings(base_url=url))
    return msgspec.structs.replace(config, accounts={**config.accounts, SIMULATOR: account})
