"""Streams to a client that end early, are refused or fail."""

from __future__ import annotations

import pytest

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import CandidateEnd, Failure, ResponseEnd
from aiclient2api.ir.response import Finish
from tests.protocols.openai_responses.responses_stream import EVENT, FULL, REQUEST, START
from tests.protocols.openai_responses.responses_wire import CONVERTER, encode_stream, payloads


def test_truncated_answer_ends_incomplete() -> None:
    last = payloads(encode_stream([START, CandidateEnd(Finish(reason="length")), ResponseEnd()]))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["usage"] is None


def test_blocked_prompt_ends_incomplete() -> None:
    last = payloads(encode_stream([START, ResponseEnd(blocked=Finish(reason="content_filter"))]))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(
            ErrorInfo(kind="upstream", message="x", code="upstream_error"), "server_error", id="ours"
        ),
        pytest.param(ErrorInfo(kind="rate_limit", message="x"), "rate_limit_exceeded", id="rate limit"),
        pytest.param(
            ErrorInfo(kind="content_policy", message="x", code="bio_policy", protocol="openai_responses"),
            "bio_policy",
            id="of this family",
        ),
    ],
)
def test_dying_stream_says_so_and_nothing_after(error: ErrorInfo, code: str) -> None:
    encoder = CONVERTER.stream_encoder(REQUEST)
    head = b"".join(map(encoder.feed, FULL[:9]))

    last = payloads(head + encoder.fail(error))[-1]

    EVENT.validate_python(last)
    assert last["type"] == "response.failed"
    assert (last["response"]["status"], last["response"]["error"]["code"]) == ("failed", code)
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning"]
    assert encoder.feed(ResponseEnd()) == b""
    assert encoder.fail(error) == b""


def test_failure_before_the_response_is_a_flat_error() -> None:
    (event,) = payloads(CONVERTER.stream_encoder(REQUEST).fail(ErrorInfo(kind="timeout", message="late")))

    EVENT.validate_python(event)
    assert event == {
        "type": "error",
        "sequence_number": 0,
        "code": "timeout",
        "message": "late",
        "param": None,
    }


def test_failure_event_is_written_like_fail() -> None:
    encoder = CONVERTER.stream_encoder(REQUEST)
    encoder.feed(START)

    data = encoder.feed(Failure(ErrorInfo(kind="upstream", message="x")))

    assert data.startswith(b"event: response.failed\n")
