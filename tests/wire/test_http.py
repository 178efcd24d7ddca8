from __future__ import annotations

import pytest

from aiclient2api.wire.http import WireRequest, WireResponse, find_header

HEADERS = (("content-type", "application/json"), ("x-trace", "1"), ("x-trace", "2"))


@pytest.mark.parametrize(
    ("name", "value"), [("content-type", "application/json"), ("x-trace", "1"), ("accept", None)]
)
def test_the_first_value_of_a_header_is_found(name: str, value: str | None) -> None:
    assert find_header(HEADERS, name) == value
    assert WireRequest(path="/v1/messages", headers=HEADERS).header(name) == value
    assert WireResponse(status=200, headers=HEADERS).header(name) == value


def test_a_request_is_an_empty_post_unless_told_otherwise() -> None:
    request = WireRequest(path="/v1/messages")

    assert (request.method, request.query, request.body, request.headers) == ("POST", "", b"", ())
