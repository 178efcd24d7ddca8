"""L9: no process state decides anything, not even the order that a set happens to have in this process."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.laws.deep import ROOT

EXAMPLES = 20
"""Of each pair."""


def made(hash_seed: str) -> str:
    command = [sys.executable, "-m", "tests.laws.digests", str(EXAMPLES)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip()


def test_processes_with_other_hash_seeds_make_the_same_bytes() -> None:
    digests = {seed: made(seed) for seed in ("0", "1", "2", "4294967295")}
    assert len(set(digests.values())) == 1, digests
    assert len(digests["0"]) == 64
