"""This gateway with everything switched on, in the variants that are compared."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiclient2api.store.embedded import program
from bench.contender import GATEWAY_CORE, RIG_CORE, Contender, free_port, start, wait_until_open

_ACCOUNT: Final = {"provider": "openai_compatible", "api_key": "none", "pool": "up", "concurrency": 5000}
VARIANTS: Final = ("ours", "ours-redis", "ours-1000-accounts", "ours-failover", "ours-2-workers")


class Program(NamedTuple):
    """An interpreter, and where it looks for the code before its own packages."""

    python: str = sys.executable
    sources: str = ""
    module: str = "aiclient2api"
    """What is run; it takes the arguments of `aiclient2api`."""

    def version(self) -> str:
        """The interpreter's name and version."""
        return subprocess.run([self.python, "-V"], check=True, capture_output=True, text=True).stdout.strip()


_THIS: Final = Program()


def serve(variant: str, upstream: str, folder: Path, code: Program = _THIS) -> list[Contender]:
    """The gateway, and what it needs beside it; the first one is the gateway."""
    key = f"sk-{secrets.token_hex(16)}"
    accounts: dict[str, Any] = {"up": {**_ACCOUNT, "base_url": f"{upstream}/v1"}}
    config: dict[str, Any] = {
        "keys": [
            {"name": "bench", "key": key, "rpm": 100_000_000, "tpm": 100_000_000_000, "concurrency": 10_000}
        ],
        "accounts": accounts,
        "limits": {"streams_per_worker": 5000, "body": "64MiB"},
        "providers": {"openai_compatible": {"connections": 5000}},
        "store": {"data_dir": str(folder / "data")},
    }
    beside: list[Contender] = []
    if variant == "ours-redis":
        store = _redis(folder)
        beside.append(store)
        config["store"] = {"url": store.url, "data_dir": str(folder / "data")}
        config["secrets"] = {"key": base64.b64encode(secrets.token_bytes(32)).decode()}
    if variant == "ours-1000-accounts":
        accounts.update({f"up{number}": accounts["up"] for number in range(1, 1000)})
    if variant == "ours-failover":
        accounts["dead"] = {**_ACCOUNT, "base_url": f"http://127.0.0.1:{free_port()}/v1"}
    return [_gateway(variant, config, key, folder, code), *beside]


def _gateway(variant: str, config: dict[str, Any], key: str, folder: Path, code: Program) -> Contender:
    path, port = folder / "aiclient2api.yaml", free_port()
    path.write_text(json.dumps(config), encoding="utf-8")
    command = [code.python, "-m", code.module, "serve", "--config", str(path), "--port", str(port)]
    env = {"PYTHONPATH": code.sources} if code.sources else {}
    if variant == "ours-2-workers":
        command += ["--workers", "2"]
    with Path(folder, "gateway.log").open("wb") as log:
        process = start(command, GATEWAY_CORE, env=env, log=log)
    wait_until_open(port, process, variant)
    beside = ("valkey", "redis")
    gateway = Contender(
        variant, f"http://127.0.0.1:{port}", process, key=key, prefix="up/", can=lambda _: True, beside=beside
    )
    gateway.move_beside()
    return gateway


def _redis(folder: Path) -> Contender:
    port = free_port()
    command = [str(program()), "--port", str(port), "--dir", str(folder), "--maxmemory-policy", "noeviction"]
    process: subprocess.Popen[bytes] = start(command, RIG_CORE)
    wait_until_open(port, process, "the store")
    return Contender("store", f"redis://127.0.0.1:{port}/0", process, can=lambda _: False)
