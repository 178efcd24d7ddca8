"""Other gateways, measured in the same run: what they are, how they are started, what they can do.

They are installed into a throw-away environment from the package registry; none of them is a dependency.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.contender import Contender
from bench.peers import ferrogw, litellm, nginx, vllm_router

PEERS: Final[dict[str, Callable[[str, Path, Path], Contender]]] = {
    "nginx": nginx.serve,
    "ferrogw": ferrogw.serve,
    "vllm-router": vllm_router.serve,
    "litellm": litellm.serve,
}
"""Name → starts it in front of an upstream, with a folder of its own and the environment's `bin`."""
PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "nginx": (),
    "ferrogw": ferrogw.PACKAGES,
    "vllm-router": vllm_router.PACKAGES,
    "litellm": litellm.PACKAGES,
}


def install(name: str, folder: Path) -> Path:
    """An environment with the peer in it; its `bin`. Made once."""
    bin_ = folder / name / "bin"
    if PACKAGES[name] and not (folder / name / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        pip = [str(bin_ / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES[name]], check=True)
        (folder / name / "installed").touch()
    return bin_
