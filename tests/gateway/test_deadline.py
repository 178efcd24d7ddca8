from __future__ import annotations

import pytest

from aiclient2api.accounts.policy import RetryPolicy
from aiclient2api.gateway.deadline import told
from aiclient2api.wire.http import WireRequest


def request(**headers: str) -> WireRequest:
    return WireRequest(
        path="/", headers=tuple((name.replace("_", "-"), value) for name, value in headers.items())
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600.0),
        ({"x_stainless_read_timeout": "600"}, 599.0),
        ({"x_stainless_timeout": "30", "x_stainless_read_timeout": "60"}, 29.0),
        ({"x_request_timeout": "5.5"}, 4.5),
        ({"x_request_timeout": "0.5"}, 0.0),
        ({"x_stainless_timeout": "not-given"}, 600.0),
        ({"x_stainless_timeout": "-3"}, 600.0),
        ({"x_stainless_timeout": "inf"}, 600.0),
        ({"x_stainless_timeout": "9999"}, 600.0),
    ],
)
def test_the_deadline_is_the_clients_less_a_second_or_ours(headers: dict[str, str], seconds: float) -> None:
    assert told(request(**headers), RetryPolicy()) == (seconds, False)


@pytest.mark.parametrize(
    ("count", "retry"), [(None, False), ("0", False), ("1", True), ("2", True), ("x", False)]
)
def test_an_sdk_that_tries_again_says_so(count: str | None, retry: bool) -> None:
    headers = {} if count is None else {"x_stainless_retry_count": count}

    assert told(request(**headers), RetryPolicy()) == (600.0, retry)
