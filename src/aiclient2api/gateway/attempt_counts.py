"""The observer that counts attempts for all nodes: account, model and outcome."""

from __future__ import annotations

from collections.abc import Callable

from aiclient2api.gateway.exchange import Exchange


class AttemptCounts:
    """See Observer. `count` takes account, model and outcome, and waits for nothing."""

    def __init__(self, count: Callable[[str, str, str], None]) -> None:
        self._count = count

    def ended(self, exchange: Exchange) -> None:
        """See Observer."""
        for attempt in exchange.attempts:
            self._count(attempt.account, attempt.model, attempt.outcome)
