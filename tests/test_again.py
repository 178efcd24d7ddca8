"""`make test` gives what failed a second chance, alone, and says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ONCE = """
import pathlib

def test_first_time_only():
    mark = pathlib.Path(__file__).with_suffix(".mark")
    is_first = not mark.exists()
    mark.touch()
    assert not is_first
"""
ALWAYS = "\ndef test_always():\n    assert False\n"
MANY = "\nimport pytest\n\n@pytest.mark.parametrize('number', range(6))\ndef test_many(number):\n    assert False\n"


@pytest.mark.parametrize(
    ("code", "status", "runs", "named"),
    [
        (ONCE, 0, 2, True),
        (ALWAYS, 1, 2, False),
        (ONCE + ALWAYS, 1, 2, False),
        (MANY, 1, 1, False),
        ("import nothing_of_that_name", 2, 1, False),
        ("def test_good(): pass", 0, 1, False),
    ],
    ids=["once", "always", "both", "many", "broken", "good"],
)
def test_what_failed_runs_once_more(tmp_path: Path, code: str, status: int, runs: int, named: bool) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(code)
    command = [sys.executable, "-m", "tests.again", "-p", "no:cacheprovider", "-o", "addopts=-q", file.name]
    there = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, env=there)
    assert done.returncode == status, done.stdout + done.stderr
    assert len(re.findall(r" in \d+\.\d+s", done.stdout)) == runs, done.stdout
    assert ("passed alone only, to be mended:" in done.stdout) is named
