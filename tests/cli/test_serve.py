from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from aiclient2api.cli.main import run


def test_without_any_configuration_it_is_a_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "aiclient2api", "serve", "--port", "0", "--drain", "1s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as program:
        assert program.stdout is not None
        first = program.stdout.readline().decode()
        second = program.stdout.readline().decode()
        with urllib.request.urlopen(f"{first.split()[-1]}/healthz", timeout=10) as response:
            status = response.status
        program.send_signal(signal.SIGTERM)
        program.wait(20)

    assert first.startswith("aiclient2api listens on http://127.0.0.1:")
    assert "demo" in second
    assert status == 200


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--host", "0.0.0.0"],
            "server.host: '0.0.0.0' is reachable from outside, so a client key under keys is required",
        ),
        (
            ["--workers", "2", "--store", "memory"],
            "server.workers: several workers need a store that they share, and store.url is memory",
        ),
        (
            ["--store", "redis://x:y"],
            "store.url: the port must be a number (and '@', ':' or '/' in a password written as %40, %3A, %2F)",
        ),
    ],
)
@pytest.mark.parametrize("demo", [True, False], ids=["demo", "accounts"])
def test_flags_are_checked_like_the_file(
    arguments: list[str],
    problem: str,
    demo: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not demo:
        monkeypatch.setenv("OPENAI_API_KEY", "k")

    status = run(["serve", *arguments])

    assert status == 2
    assert capfd.readouterr().err == f"error: {problem}\n"


def test_a_file_that_does_not_exist_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run(["serve", "--config", str(tmp_path / "missing.yaml")])

    assert status == 2
    assert capfd.readouterr().err == (
        f"error: {tmp_path / 'missing.yaml'}: cannot be read: No such file or directory\n"
    )
