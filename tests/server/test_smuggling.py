"""Every payload of the corpus has one reading here, or none."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.server.lean import END, Recorder, answers, lean

PAYLOADS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "smuggling" / "payloads.toml").read_text("utf-8")
)["payload"]


def test_the_corpus_is_large_and_has_no_name_twice() -> None:
    assert len({payload["name"] for payload in PAYLOADS}) == len(PAYLOADS) >= 60


@pytest.mark.parametrize("pieces", ["whole", "by byte"])
@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload["name"])
async def test_a_payload_is_read_as_written_or_refused(
    payload: dict[str, Any], pieces: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = payload["raw"].encode("latin-1") + END
    expected = list(payload["seen"])
    is_refused = not expected or expected[-1] == "!"
    recorder = Recorder()

    async with lean(recorder) as (_, port):
        parts = [raw] if pieces == "whole" else [raw[index : index + 1] for index in range(len(raw))]
        told = await answers(port, *parts)

    if is_refused:
        assert recorder.seen == expected[:-1]
        if pieces == "whole":
            last = told.rpartition(b"HTTP/1.1 ")[2]
            assert last.startswith(b"400 ")
            assert b"connection: close" in last
    else:
        assert recorder.seen == [*expected, "GET /end"]
        assert told.count(b"HTTP/1.1 200 OK\r\n") == len(expected) + 1
    assert not caplog.records, "the event loop found nothing to complain about"
