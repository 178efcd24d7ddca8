"""How many tokens a request may need, before anybody has counted: what a limit reserves until the truth is known."""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import MalformedMessage
from aiclient2api.ledger.ledger import estimated_tokens
from aiclient2api.protocols import counting
from aiclient2api.protocols.conversion import Inbound

OUTPUT: Final = 4096
"""Tokens of an answer whose request sets no bound."""
SMALL: Final = 32 * 1024
"""Bytes up to which a request is not read for this: larger ones may hold pictures, whose bytes are not their tokens."""


def estimated(inbound: Inbound) -> tuple[int, int]:
    """Tokens of a request and of the longest answer it allows; counting tokens needs none."""
    wire = inbound.wire
    match inbound.peek.operation:
        case "generate":
            bound = inbound.converter.output_bound(wire)
            by_size = estimated_tokens(len(wire.body))
            needed = by_size if len(wire.body) <= SMALL else _read(inbound, by_size)
            return needed, OUTPUT if bound is None else bound
        case "embed":
            return estimated_tokens(len(wire.body)), 0
        case _:
            return 0, 0


def _read(inbound: Inbound, by_size: int) -> int:
    try:
        return min(by_size, counting.estimate(inbound.request()))
    except MalformedMessage:  # a relay may carry what we cannot read
        return by_size
