"""Runs pytest, and what failed once more, alone: real processes that share two cores do not all keep their time.

python -m tests.again PYTEST-ARGUMENTS

A test that passes alone is named as such at the end, so that somebody mends it: it hangs on the speed of the machine. A
test that fails twice is a failure, and so is everything when more than `MOST` failed: then it was not the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

MOST: Final = 5
LIST: Final = "TESTS_THAT_FAILED"
"""The environment variable with the file that this module, as a plugin of pytest, writes the names to."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A part of a test is over."""
    name = os.environ.get(LIST)
    if name and report.failed:
        with Path(name).open("a") as file:
            file.write(f"{report.nodeid}\n")


def run(arguments: list[str]) -> int:
    """pytest's exit status; 0 too when all that failed passed alone."""
    with tempfile.NamedTemporaryFile("r") as file:
        status = _pytest(["-p", "tests.again", *arguments], {LIST: file.name})
        failed = list(dict.fromkeys(file.read().splitlines()))
    if status != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= MOST:
        return status
    coverage = [argument for argument in arguments if argument.startswith("--cov")]
    status = _pytest([*coverage, *(["--cov-append"] if coverage else []), *failed], {})
    if status == pytest.ExitCode.OK:
        print("passed alone only, to be mended:", *failed, sep="\n  ")  # noqa: T201
    return status


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False, env=os.environ | environment).returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
