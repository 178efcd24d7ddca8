"""What the ledger writes: `Begun` before an upstream is called, `Row` when the attempt is over.

A row says everything by itself, so that adding up needs no second look. Records are JSON arrays, one letter first,
with new members only at the end: an older row stays readable for ever.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from aiclient2api.gateway.exchange import Mark


class Begun(Struct, frozen=True, array_like=True, gc=False, tag="b"):
    """An attempt is about to be sent. `started` is Unix time in seconds, `estimate` its input in tokens."""

    request_id: str
    attempt: int
    started: float
    key: str
    pool: str
    account: str
    model: str
    estimate: int = 0


class Row(Struct, frozen=True, array_like=True, gc=False, tag="r"):
    """One attempt that is over, as it is booked. Times in Unix seconds, counts in tokens.

    `input` includes cache reads and writes, `output` includes reasoning.
    """

    request_id: str
    attempt: int
    started: float
    ended: float
    key: str
    pool: str
    account: str
    model: str
    outcome: str
    mark: Mark = "none"
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


Record = Begun | Row

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Record).decode


def aborted(begun: Begun, now: float) -> Row:
    """The row of an attempt whose process died: what was sent is estimated, what came back is not known."""
    return Row(
        request_id=begun.request_id,
        attempt=begun.attempt,
        started=begun.started,
        ended=max(begun.started, now),
        key=begun.key,
        pool=begun.pool,
        account=begun.account,
        model=begun.model,
        outcome="aborted",
        mark="estimated",
        input=begun.estimate,
    )
