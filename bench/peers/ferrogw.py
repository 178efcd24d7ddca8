"""Ferro Labs AI Gateway (Go): parses and writes Chat anew."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from bench.contender import GATEWAY_CORE, Contender, free_port, start, wait_until_open

PACKAGES: Final = ("ferrogw==1.5.10",)


def serve(upstream: str, folder: Path, bin_: Path) -> Contender:
    """One target, no plugins, one core for Go's scheduler."""
    port, key = free_port(), f"fgw_{secrets.token_hex(16)}"
    config = folder / "gateway.yaml"
    config.write_text("strategy:\n  mode: single\ntargets:\n  - virtual_key: openai\n", encoding="ascii")
    env = {
        "GATEWAY_CONFIG": str(config),
        "MASTER_KEY": key,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": upstream,
        "PORT": str(port),
        "GOMAXPROCS": "1",
        "RATE_LIMIT_RPS": "0",  # its default refuses most of a bench
    }
    with Path(folder, "log").open("wb") as log:
        process = start([str(bin_ / "ferrogw"), "serve"], GATEWAY_CORE, env=env, log=log)
    wait_until_open(port, process, "ferrogw")
    return Contender("ferrogw", f"http://127.0.0.1:{port}", process, key=key)
