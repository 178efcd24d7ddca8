"""The first start makes a key and keeps its hash; the demo keeps nothing; what cannot start says why in one sentence."""

from __future__ import annotations

import shlex
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.program import run, serving_program, simulating, write_config
from tests.store.servers import VALKEY, running

HELLO = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


def sections(url: str = "http://127.0.0.1:1") -> dict[str, Any]:
    account = {"provider": "anthropic_compatible", "base_url": url, "api_key": "upstream", "pool": "claude"}
    return {"accounts": {"a": account}}


def status(url: str, key: str) -> int:
    return httpx.post(f"{url}/v1/messages", json=HELLO, headers={"x-api-key": key}).status_code


def test_a_generated_key_is_printed_once_and_stays_valid(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with simulating() as (_, url):
        with serving_program(tmp_path, sections(url)) as first:
            key = first.printed_key
            assert key is not None
            assert (status(first.url, key), status(first.url, key + "x")) == (200, 401)
            assert "try it:" in first.stdout
            assert first.stop() == 0
            assert key not in first.stderr
        with serving_program(tmp_path, sections(url)) as second:
            assert second.printed_key is None
            assert key not in second.stdout + second.stderr
            assert "`aiclient2api keys create NAME` makes more" in second.stdout
            assert status(second.url, key) == 200

    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "store").stat().st_mode) == 0o700
    files = sorted(path for path in data.rglob("*") if path.is_file())
    assert files
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 or "store" in file.parts
        assert key.encode() not in file.read_bytes()


def test_a_configured_key_makes_no_other(tmp_path: Path) -> None:
    with simulating() as (_, url):
        keys = [{"name": "me", "key": "a-key-of-my-own-choice"}]
        with serving_program(tmp_path, {**sections(url), "keys": keys}) as program:
            assert "client key" not in program.stdout
            assert status(program.url, "a-key-of-my-own-choice") == 200

    assert "client_key_hash" not in {file.name for file in (tmp_path / "data").iterdir()}


def test_a_data_directory_that_cannot_be_used_is_a_configuration_mistake(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")

    ended = run(tmp_path, "serve", "--config", str(write_config(tmp_path, sections())))

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: store.data_dir: {tmp_path / 'data'}")
    assert "Traceback" not in ended.stderr


def test_a_store_that_never_can_be_used_is_a_configuration_mistake(tmp_path: Path) -> None:
    with running(VALKEY, "sentinel monitor another 127.0.0.1 1 1") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"
        shared = {"store": {"url": url}, "secrets": {"key": "0123456789abcdef" * 4}}
        ended = run(tmp_path, "serve", "--config", str(write_config(tmp_path, sections() | shared)))

    assert ended.returncode == 2
    assert ended.stderr == f"error: store.url: {url}: the sentinels know no master named 'mymaster'\n"


def test_the_demo_has_a_new_key_each_time_and_writes_nothing(tmp_path: Path) -> None:
    keys: list[str] = []
    for _ in range(2):
        with serving_program(tmp_path, None, "--port", "0") as program:
            assert "demo mode: the built-in simulator answers; set OPENAI_API_KEY" in program.stdout
            key = program.printed_key
            assert key is not None
            keys.append(key)
            answer = httpx.post(
                f"{program.url}/v1/messages", json={**HELLO, "model": "any"}, headers={"x-api-key": key}
            )
            assert answer.json()["model"] == "simulator/any"
            assert status(program.url, keys[0]) == (200 if key == keys[0] else 401)
            assert program.stop() == 0

    assert keys[0] != keys[1]
    assert {path.name for path in tmp_path.rglob("*")} == {"stdout", "stderr"}


def test_the_printed_curl_lines_work_as_pasted(tmp_path: Path) -> None:
    """All four, as far as they can be read without a shell: address, headers and body."""
    with serving_program(tmp_path, None, "--port", "0") as program:
        lines = [shlex.split(line) for line in program.stdout.splitlines() if line.startswith("curl ")]
        assert len(lines) == 4
        for words in lines:
            url = next(word for word in words if word.startswith("http"))
            headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
            body = words[words.index("-d") + 1]
            answer = httpx.post(url, content=body, headers=headers)
            assert answer.status_code == 200
            assert "You said: Hello" in answer.text
            assert "simulator/demo" in answer.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_another_address_than_loopback_needs_a_configured_key(tmp_path: Path, host: str) -> None:
    path = write_config(tmp_path, {**sections(), "server": {"host": host, "port": 0}})

    ended = run(tmp_path, "serve", "--config", str(path))

    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: server.host: {host!r} is reachable from outside, so a client key under keys is required\n"
    )
    assert ended.stdout == ""
    assert not (tmp_path / "data").exists(), "nothing was made for a start that did not happen"


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(
            tmp_path, "serve", "--config", str(write_config(tmp_path, sections())), "--port", str(port)
        )

    assert ended.returncode == 1
    assert ended.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_missing_certificate_and_a_wrong_one_are_told(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate at all")

    def start(path: Path) -> tuple[int, str]:
        tls = {"server": {"port": 0, "tls": {"cert": str(path), "key": str(path)}}}
        ended = run(tmp_path, "serve", "--config", str(write_config(tmp_path, {**sections(), **tls})))
        return ended.returncode, ended.stderr

    assert start(tmp_path / "none.pem") == (
        2,
        f"error: server.tls.cert: no such file: {tmp_path / 'none.pem'}\n"
        f"error: server.tls.key: no such file: {tmp_path / 'none.pem'}\n",
    )
    code, told = start(wrong)
    assert code == 2
    assert told.startswith("error: server.tls: ")
    assert "Traceback" not in told
    assert told.count("\n") == 1
