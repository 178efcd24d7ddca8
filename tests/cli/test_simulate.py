from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import free_port

from aiclient2api.cli.main import run

REQUEST = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def test_the_simulator_answers_until_it_is_told_to_stop() -> None:
    port = free_port()
    command = [sys.executable, "-m", "aiclient2api", "simulate", "--port", str(port), "--events", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as program:
        assert program.stdout is not None
        first = program.stdout.readline()
        answer = _ask(port)
        program.send_signal(signal.SIGTERM)
        program.wait(10)

    assert first.startswith(f"simulator on http://127.0.0.1:{port}".encode())
    assert b'"object":"chat.completion"' in answer


def _ask(port: int) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        REQUEST,
        {"authorization": "Bearer k", "content-type": "application/json"},
    )
    for _ in range(200):
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.read()
        except ConnectionRefusedError:
            continue
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
    raise AssertionError("the simulator does not listen")


def test_a_bad_scenario_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("- {nonsense: 1}\n")

    status = run(["simulate", "--scenario", str(path)])

    assert status == 2
    assert capfd.readouterr().err.startswith(f"error: --scenario: {path}: ")
