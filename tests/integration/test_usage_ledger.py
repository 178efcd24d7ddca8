"""Every upstream call is booked once, whatever becomes of the process. Gateway, store and ledger are real."""

from __future__ import annotations

import csv
import io
import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.ledger.records import Row, decode
from aiclient2api.simulator.settings import SimulatorSettings
from tests.ledger.segments import read
from tests.program import DEADLINE, Program, run, serving_program, simulating, until

KEY = "a-key-of-my-own-choice"
HELLO = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
KILLS = 10


def sections(url: str, **more: Any) -> dict[str, Any]:
    account = {"provider": "anthropic_compatible", "base_url": url, "api_key": "upstream", "pool": "claude"}
    return {"accounts": {"a": account}, "keys": [{"name": "me", "key": KEY}], **more}


def ask(program: Program, **extra: Any) -> httpx.Response:
    return httpx.post(
        f"{program.url}/v1/messages", json={**HELLO, **extra}, headers={"x-api-key": KEY}, timeout=DEADLINE
    )


def rows(folder: Path) -> list[Row]:
    found: list[Row] = []
    for path in (folder / "data" / "ledger").iterdir():
        content = None if path.suffix == ".lock" else read(path)
        if content is not None:
            found.extend(record for record in map(decode, content.payloads) if isinstance(record, Row))
    return found


def used(folder: Path, config: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run(folder, "usage", "--config", str(config), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_used_token_is_reported_by_key_and_model(tmp_path: Path) -> None:
    with simulating() as (_, url), serving_program(tmp_path, sections(url)) as program:
        answer = ask(program).json()
        until(lambda: used(tmp_path, program.config))
        (line,) = used(tmp_path, program.config, "--by", "key,model,account")
        text = run(tmp_path, "usage", "--config", str(program.config), "--csv", "--since", "30d").stdout

    assert (line["key"], line["model"], line["account"]) == ("me", "x", "a")
    assert (line["attempts"], line["failed"], line["estimated"]) == (1, 0, 0)
    assert line["input"] == answer["usage"]["input_tokens"]
    assert line["output"] == answer["usage"]["output_tokens"]
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["key"], row["output"]) == ("me", str(line["output"]))


def test_a_departed_client_is_booked_with_an_estimate(tmp_path: Path) -> None:
    slow = {"model": "claude/x", "stream": True}
    paced = SimulatorSettings(events=1000, interval=0.02)
    with simulating(paced) as (_, url), serving_program(tmp_path, sections(url)) as program:
        headers = {"x-api-key": KEY}
        with (
            httpx.Client(timeout=DEADLINE) as client,
            client.stream(
                "POST", f"{program.url}/v1/messages", json={**HELLO, **slow}, headers=headers
            ) as stream,
        ):
            next(stream.iter_raw())
        until(lambda: rows(tmp_path))
        assert program.stop() == 0

    (row,) = rows(tmp_path)
    assert row.key == "me"
    assert row.outcome != "open"
    assert row.input > 0


@pytest.mark.timeout(300)
def test_kills_under_load_lose_no_row_and_double_none(tmp_path: Path) -> None:
    answered: Counter[str] = Counter()

    def clients(program: Program, stop: threading.Event) -> None:
        with httpx.Client(timeout=DEADLINE) as client:
            while not stop.is_set():
                try:
                    answer = client.post(f"{program.url}/v1/messages", json=HELLO, headers={"x-api-key": KEY})
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    answered[answer.headers["x-request-id"]] += 1

    with simulating() as (_, url):
        for _ in range(KILLS):
            with serving_program(tmp_path, sections(url)) as program, ThreadPoolExecutor(8) as pool:
                stop = threading.Event()
                enough = len(answered) + 40
                for _client in range(8):
                    pool.submit(clients, program, stop)
                until(lambda enough=enough: len(answered) >= enough)
                program.process.send_signal(signal.SIGKILL)
                program.process.wait(DEADLINE)
                stop.set()
        with serving_program(tmp_path, sections(url)) as program:
            ask(program)
            until(
                lambda: (
                    sum(line["attempts"] for line in used(tmp_path, program.config))
                    >= len(list(rows(tmp_path)))
                )
            )
            assert program.stop() == 0
        booked = sum(line["attempts"] for line in used(tmp_path, program.config))

    found = Counter((row.request_id, row.attempt) for row in rows(tmp_path))
    assert set(found.values()) == {1}
    assert set(answered) <= {request_id for request_id, _ in found}
    assert booked == len(found)


@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_a_disk_that_takes_nothing_is_told_and_answered_by_policy(tmp_path: Path, policy: str) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "ledger").write_text("a file where the folder should be")
    given = {"ledger": {"on_full": policy}}

    with simulating() as (_, url), serving_program(tmp_path, sections(url, **given)) as program:
        until(lambda: program.events("ledger_degraded"))
        ready = httpx.get(f"{program.url}/readyz")
        status = ask(program).status_code

    if policy == "allow":
        assert (status, ready.status_code, ready.json()["status"]) == (200, 200, "degraded")
    else:
        assert (status, ready.status_code) == (529, 503)
