"""The observer that books every attempt: begun before it is sent, one row when its exchange is over."""

from __future__ import annotations

from collections.abc import Callable

from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.ir.response import Usage
from aiclient2api.ledger.ledger import Ledger, estimated_tokens
from aiclient2api.ledger.records import Begun, Mark, Row


class Bookkeeper:
    """An observer that also hears of attempts before they are sent. `wall` is Unix time in seconds."""

    def __init__(self, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall

    def attempting(self, exchange: Exchange, attempt: Attempt) -> None:
        """An upstream is about to be called."""
        self._ledger.begun(
            Begun(
                exchange.request_id,
                exchange.attempts.index(attempt) + 1,
                self._wall(),
                exchange.key,
                attempt.pool,
                attempt.account,
                attempt.model,
                estimated_tokens(attempt.size),
            )
        )

    def ended(self, exchange: Exchange) -> None:
        """See Observer. The last attempt is the one that answered; only its usage is known."""
        wall = self._wall()
        offset = wall - exchange.ended
        last = len(exchange.attempts)
        for number, attempt in enumerate(exchange.attempts, 1):
            if not attempt.is_sent:
                continue
            usage = exchange.usage if number == last else None
            counts, mark = _counts(attempt, usage, exchange.events if number == last else 0)
            self._ledger.ended(
                Row(
                    exchange.request_id,
                    number,
                    attempt.started + offset,
                    (attempt.ended if number < last else exchange.ended) + offset,
                    exchange.key,
                    attempt.pool,
                    attempt.account,
                    attempt.model,
                    attempt.outcome,
                    mark,
                    *counts,
                )
            )


def tokens_used(exchange: Exchange) -> int:
    """Input and output of all attempts of an exchange, as they are booked."""
    total = 0
    last = len(exchange.attempts)
    for number, attempt in enumerate(exchange.attempts, 1):
        if attempt.is_sent:
            is_last = number == last
            counts, _ = _counts(
                attempt, exchange.usage if is_last else None, exchange.events if is_last else 0
            )
            total += counts[0] + counts[3]
    return total


_UNANSWERED = ("abandoned", "cut")
"""Outcomes of attempts whose answer had begun or may have: the upstream worked, and counts it."""


def _counts(
    attempt: Attempt, usage: Usage | None, events: int
) -> tuple[tuple[int, int, int, int, int], Mark]:
    """Input, cache read, cache write, output, reasoning. What the upstream did not say is estimated, and marked so."""
    if usage is not None and (usage.input is not None or usage.output is not None):
        mark: Mark = "reported" if usage.input is not None and usage.output is not None else "derived"
        return (
            (
                (estimated_tokens(attempt.size) if usage.input is None else usage.input)
                + (usage.tool_input or 0),
                usage.cache_read or 0,
                usage.cache_write or 0,
                events if usage.output is None else usage.output,
                usage.reasoning or 0,
            ),
            mark,
        )
    if events or attempt.outcome in _UNANSWERED:
        return (estimated_tokens(attempt.size), 0, 0, events, 0), "estimated"
    return (0, 0, 0, 0, 0), "none"
