"""Runs a command as a user would, beside the golden files, and compares everything it says with one of them.

`UPDATE_GOLDEN=1` writes the files anew; read the difference before you believe it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aiclient2api.cli.main import run

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no file and no variable of the machine the tests run on."""
    for name in list(os.environ):
        if name.upper().startswith("AICLIENT2API_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))


@pytest.fixture
def golden(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Golden:
    """`golden(name, command)`: what the command prints, and its exit status, are those of `golden/<name>.txt`."""
    monkeypatch.chdir(GOLDEN)

    def check(name: str, command: str) -> None:
        status = run(command.split())
        out, err = capfd.readouterr()
        said = f"$ aiclient2api {command}\n{out}--- stderr\n{err}--- exit status\n{status}\n"
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_bytes(said.encode())
        assert said == path.read_bytes().decode()

    return check
