from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from aiclient2api.cli.main import run

REQUEST = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


def test_the_simulator_answers_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "aiclient2api", "simulate", "--port", "0", "--events", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        said = program.stdout.readline().decode()
        answer = _ask(said.split()[2])
        program.send_signal(signal.SIGTERM)
        status = program.wait(10)

    assert said.startswith("simulator on http://127.0.0.1:")
    assert json.loads(answer)["object"] == "chat.completion"
    assert status == 0


def _ask(url: str) -> bytes:
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", REQUEST, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def test_a_port_that_is_taken_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        status = run(["simulate", "--port", str(port)])

    assert status == 1
    assert capfd.readouterr().err == (
        f"error: --port: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    )


def test_a_bad_scenario_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("- {nonsense: 1}\n")

    status = run(["simulate", "--scenario", str(path)])

    assert status == 2
    assert capfd.readouterr().err.startswith(f"error: --scenario: {path}: ")
