"""vllm-router (Rust): a router that passes bytes on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.contender import GATEWAY_CORE, Contender, free_port, start, wait_until_open

PACKAGES: Final = ("vllm-router==0.1.17",)


def serve(upstream: str, folder: Path, bin_: Path) -> Contender:
    """One worker behind it, no limit on what runs at once."""
    port = free_port()
    command = [str(bin_ / "python"), "-m", "vllm_router.launch_router", "--worker-urls", upstream]
    command += ["--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin"]
    command += ["--max-concurrent-requests", "10000", "--prometheus-port", str(free_port())]
    with Path(folder, "log").open("wb") as log:
        process = start(command, GATEWAY_CORE, log=log)
    wait_until_open(port, process, "vllm-router")
    return Contender("vllm-router", f"http://127.0.0.1:{port}", process)
