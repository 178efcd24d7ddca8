"""What an attempt is booked with, by what its upstream said."""

from __future__ import annotations

import pytest

from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.ir.response import Usage
from aiclient2api.ledger.bookkeeper import MOST, Bookkeeper, booked
from aiclient2api.ledger.ledger import in_memory
from tests.fakes.accounts import Clock


def answered(usage: Usage | None, events: int = 3) -> Exchange:
    attempt = Attempt(pool="p", account="a", model="m", started=1.0, outcome="ok", is_sent=True, size=400)
    exchange = Exchange(request_id="r", protocol="openai_chat", started=1.0, attempts=[attempt])
    exchange.usage, exchange.events = usage, events
    return exchange


def test_what_the_upstream_said_is_booked_and_what_it_did_not_say_is_derived() -> None:
    assert booked(answered(Usage(input=7, output=2, cache_read=5))) == (("reported", 7, 5, 0, 2, 0),)
    assert booked(answered(Usage(input=7))) == (("derived", 7, 0, 0, 3, 0),)
    assert booked(answered(None)) == (("estimated", 100, 0, 0, 3, 0),)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=-5, output=2),
        Usage(input=5, output=2**63),
        Usage(input=5, output=2, cache_read=10**30),
        Usage(input=MOST, tool_input=1, output=2),
        Usage(input=5, output=2, reasoning=-1),
    ],
)
def test_numbers_that_cannot_be_are_nothing_that_the_upstream_said(usage: Usage) -> None:
    exchange = answered(usage)
    ledger = in_memory(Clock())

    Bookkeeper(ledger, lambda: 2.0).ended(exchange)

    batch = ledger.next_batch()
    assert batch is not None
    assert list(batch.totals.groups.values()) == [[1, 0, 1, 100, 0, 0, 3, 0]]
    assert exchange.usage is None, "metrics and the log count it no more than we do"
