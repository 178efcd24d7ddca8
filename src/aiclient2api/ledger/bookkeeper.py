"""The observer that books every attempt: begun before it is sent, one row when its exchange is over."""

from __future__ import annotations

from collections.abc import Callable

from aiclient2api.gateway.exchange import Attempt, Counts, Exchange, Mark
from aiclient2api.ledger.ledger import Ledger, estimated_tokens
from aiclient2api.ledger.records import Begun, Row


class Bookkeeper:
    """An observer that also hears of attempts before they are sent. `wall` is Unix time in seconds."""

    def __init__(self, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall

    def attempting(self, exchange: Exchange, attempt: Attempt) -> None:
        """An upstream is about to be called: the exchange's last attempt."""
        self._ledger.begun(
            Begun(
                exchange.request_id,
                len(exchange.attempts),
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
        attempts = exchange.attempts
        if not attempts:
            return
        ended = exchange.ended
        offset = self._wall() - ended
        number, last = 0, len(attempts)
        for counts in exchange.booked or booked(exchange):
            attempt = attempts[number]
            number += 1
            if not attempt.is_sent:
                continue
            self._ledger.ended(
                Row(
                    exchange.request_id,
                    number,
                    attempt.started + offset,
                    (ended if number == last else attempt.ended) + offset,
                    exchange.key,
                    attempt.pool,
                    attempt.account,
                    attempt.model,
                    attempt.outcome,
                    *counts,
                )
            )


def tokens_used(exchange: Exchange) -> int:
    """Input and output of all attempts of an exchange, as they are booked."""
    total = 0
    for _, given, _, _, answered, _ in exchange.booked or booked(exchange):
        total += given + answered
    return total


def booked(exchange: Exchange) -> tuple[Counts, ...]:
    """What each attempt is booked with; kept in the exchange, which is over."""
    attempts = exchange.attempts
    if len(attempts) == 1:
        counts = (_counts(attempts[0], exchange),)
    else:
        last = len(attempts) - 1
        counts = tuple(
            [_counts(attempt, exchange if place == last else None) for place, attempt in enumerate(attempts)]
        )
    exchange.booked = counts
    return counts


_UNANSWERED = ("abandoned", "cut")
"""Outcomes of attempts whose answer had begun or may have: the upstream worked, and counts it."""
MOST = 10**9
"""Tokens that one attempt can have used: a store has no room for sums of anything."""
_NOTHING: Counts = ("none", 0, 0, 0, 0, 0)


def _counts(attempt: Attempt, exchange: Exchange | None) -> Counts:
    """What the upstream did not say is estimated, and marked so. What was not sent used nothing.

    `exchange` of the attempt that answered. Numbers that cannot be are dropped there as well: nobody is to add them up.
    """
    if not attempt.is_sent:
        return _NOTHING
    events, usage = (0, None) if exchange is None else (exchange.events, exchange.usage)
    if exchange is not None and usage is not None:
        given, answered = usage.input, usage.output
        if given is not None or answered is not None:
            mark: Mark = "reported"
            if given is None:
                mark, given = "derived", estimated_tokens(attempt.size)
            if answered is None:
                mark, answered = "derived", events
            numbers = (
                given + (usage.tool_input or 0),
                usage.cache_read or 0,
                usage.cache_write or 0,
                answered,
                usage.reasoning or 0,
            )
            if min(numbers) >= 0 and max(numbers) <= MOST:
                return (mark, *numbers)
            exchange.usage = None
    if events or attempt.outcome in _UNANSWERED:
        return "estimated", estimated_tokens(attempt.size), 0, 0, events, 0
    return _NOTHING
