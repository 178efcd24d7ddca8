from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from typing import Any

import pytest

from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.response import Usage
from aiclient2api.providers.credentials import Secret
from aiclient2api.telemetry.log import JsonLog, Level, LibraryLog, RequestLog


def wall() -> float:
    return 1_700_000_000.25


class Gone(io.BytesIO):
    """A terminal that was closed."""

    def write(self, data: object) -> int:
        raise BrokenPipeError


class Stuck(io.BytesIO):
    """A terminal that takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.release = threading.Event()
        self.blocked_to_the_end = False

    def write(self, data: Any) -> int:
        self.is_asked.set()
        self.blocked_to_the_end |= not self.release.wait(5)
        return super().write(data)


def written(out: io.BytesIO) -> list[dict[str, Any]]:
    assert out.getvalue().endswith(b"\n") or not out.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_line_of_json() -> None:
    out = io.BytesIO()

    JsonLog(wall, out).event("info", "started", port=3000, text='a"\n\x1b[31m')

    assert out.getvalue() == (
        b'{"time":"2023-11-14T22:13:20.250+00:00","level":"info","event":"started","port":3000,'
        b'"text":"a\\"\\n\\u001b[31m"}\n'
    )


@pytest.mark.parametrize(
    ("threshold", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(threshold: Level, seen: list[str]) -> None:
    out = io.BytesIO()
    log = JsonLog(wall, out, threshold)

    for level in ("debug", "info", "warning", "error"):
        log.event(level, "x")

    assert [line["level"] for line in written(out)] == seen


async def test_lines_are_written_together() -> None:
    out = io.BytesIO()
    log = JsonLog(wall, out)

    log.event("info", "first")
    log.event("info", "second")

    assert out.getvalue() == b""
    log.flush()
    assert [line["event"] for line in written(out)] == ["first", "second"]


async def test_a_flood_keeps_the_newest_lines() -> None:
    out = io.BytesIO()
    log = JsonLog(wall, out)

    for number in range(10_050):
        log.event("info", "x", number=number)
    log.flush()

    assert [line["number"] for line in written(out)] == list(range(50, 10_050))


async def test_a_stuck_terminal_stops_no_request_and_costs_the_oldest_lines() -> None:
    out = Stuck()
    log = JsonLog(wall, out)

    log.event("info", "x", number=-1)
    assert await asyncio.to_thread(out.is_asked.wait, 5)
    for number in range(10_050):
        log.event("info", "x", number=number)
    out.release.set()
    log.flush()

    assert not out.blocked_to_the_end
    assert [line["number"] for line in written(out)] == [-1, *range(50, 10_050)]


def test_a_flushed_log_goes_on() -> None:
    out = io.BytesIO()
    log = JsonLog(wall, out)

    log.flush()
    log.event("info", "first")
    log.flush()
    log.event("info", "second")

    assert [line["event"] for line in written(out)] == ["first", "second"]


async def test_a_flushed_log_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    log = JsonLog(wall, io.BytesIO())

    log.event("info", "x")
    log.flush()

    assert set(threading.enumerate()) <= before


def test_a_closed_terminal_does_not_matter() -> None:
    log = JsonLog(wall, Gone())

    log.event("error", "x")
    log.flush()


def test_a_secret_does_not_show_itself() -> None:
    out = io.BytesIO()

    JsonLog(wall, out).event("info", "x", key=Secret("sk-canary"), keys=[Secret("sk-canary")])

    assert b"canary" not in out.getvalue()


def test_a_bug_is_told_by_type_and_place_without_values() -> None:
    out = io.BytesIO()
    log = JsonLog(wall, out)

    try:
        int("sk-canary")
    except ValueError as error:
        log.bug(error, "req_1")

    (line,) = written(out)
    assert (line["level"], line["event"], line["type"]) == ("error", "internal_error", "ValueError")
    assert line["request_id"] == "req_1"
    assert line["where"][0].endswith("test_a_bug_is_told_by_type_and_place_without_values")
    assert b"canary" not in out.getvalue()


def exchange() -> Exchange:
    return Exchange(
        request_id="req_1",
        protocol="anthropic",
        started=10.0,
        key="alice",
        model="m" * 300,
        is_stream=True,
        pool="main",
        target_model="gpt-5",
        conversion="anthropic>openai_chat",
        first_content=10.1234,
        ended=11.5,
        status=200,
        usage=Usage(input=10, cache_read=4, output=5),
        losses=[Loss("cache_mark", "turns[0]", "dropped", "openai_chat", "a note with the prompt")],
        attempts=[
            Attempt(
                pool="main", account="a", model="gpt-5", protocol="openai_chat", started=0.0, outcome="ok"
            )
        ],
    )


def test_a_request_is_one_line_of_facts() -> None:
    out = io.BytesIO()
    observer = RequestLog(JsonLog(wall, out))

    observer.ended(exchange())

    assert written(out) == [
        {
            "time": "2023-11-14T22:13:20.250+00:00",
            "level": "info",
            "event": "request",
            "request_id": "req_1",
            "key": "alice",
            "protocol": "anthropic",
            "operation": "generate",
            "model": "m" * 200,
            "target": "main/gpt-5",
            "stream": True,
            "conversion": "anthropic>openai_chat",
            "losses": ["cache_mark dropped"],
            "attempts": ["a ok"],
            "status": 200,
            "outcome": "ok",
            "phase": "admit",
            "error": "",
            "first_content_ms": 123.4,
            "duration_ms": 1500.0,
            "input_tokens": 10,
            "cached_tokens": 4,
            "output_tokens": 5,
        }
    ]


async def test_the_lines_of_requests_are_made_when_they_are_written_and_keep_their_time_and_place() -> None:
    out = io.BytesIO()
    now = [1_700_000_000.25]
    log = JsonLog(lambda: now[0], out)
    large = exchange()
    small = exchange()
    small.model = "m"

    RequestLog(log).ended(small)
    RequestLog(log).ended(large)
    now[0] += 1
    log.event("info", "after")
    log.flush()

    assert [(line["event"], line.get("model"), line["time"][17:23]) for line in written(out)] == [
        ("request", "m", "20.250"),
        ("request", "m" * 200, "20.250"),
        ("after", None, "21.250"),
    ]


def test_a_request_below_the_level_is_not_written() -> None:
    out = io.BytesIO()
    one = exchange()
    one.model = "m"

    RequestLog(JsonLog(wall, out, "warning")).ended(one)

    assert written(out) == []


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("ok", "info"),
        ("client_gone", "info"),
        ("client_error", "warning"),
        ("upstream_error", "warning"),
        ("cut", "warning"),
        ("internal_error", "warning"),
    ],
)
def test_only_what_went_wrong_is_a_warning(outcome: Any, level: str) -> None:
    out = io.BytesIO()
    one = exchange()
    one.outcome = outcome
    one.first_content = one.usage = None

    RequestLog(JsonLog(wall, out)).ended(one)

    (line,) = written(out)
    assert (line["outcome"], line["level"]) == (outcome, level)
    assert (line["first_content_ms"], line["output_tokens"]) == (None, None)


def test_warnings_of_libraries_take_the_same_form() -> None:
    out = io.BytesIO()
    handler = LibraryLog(JsonLog(wall, out))
    logger = logging.Logger("some.library")
    logger.addHandler(handler)

    logger.info("too quiet")
    logger.warning("slow %s", "x" * 600)
    try:
        int("sk-canary")
    except ValueError:
        logger.exception("failed with sk-canary")

    first, second = written(out)
    assert (first["event"], first["logger"], first["message"]) == (
        "library",
        "some.library",
        "slow " + "x" * 495,
    )
    assert (second["event"], second["type"]) == ("internal_error", "ValueError")
    assert b"canary" not in out.getvalue()
