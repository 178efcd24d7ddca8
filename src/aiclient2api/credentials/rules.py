"""When a token is due, and when a refresh token may be sent. Pure.

`now` is Unix time by the store's clock, the same for all nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.credentials.grant import REAUTH, Grant
from aiclient2api.credentials.record import MAX_SEEDS, Intent, Record

LEASE: Final = 20.0
"""Seconds for which one node alone may ask; twice what an answer may take."""
LATEST_SEND: Final = 8.0
"""Seconds of the lease after which its holder, paused for so long, does not begin any more."""
QUARANTINE: Final = LEASE
"""After the store was emptied: whoever was asking when it happened has told what came of it by then."""
FIRST_LOOK: Final = 3.0
"""How long other nodes have to say that the store was emptied, before the configured refresh token is sent."""
LEAD: Final = 3.0
"""Seconds before its end by which a token is renewed; of one that lives for less than six, half its life."""
SKEW: Final = 30.0
"""A token with less than this left is used no more; short-lived ones keep a tenth of their life."""
LAST_CHANCE: Final = 60.0
"""With less life than this left it is better to risk the refresh token than to lose the account for certain."""
LEAST_LOOK: Final = 0.1
AGAIN: Final = 2.0
"""Between a lost answer and the same refresh token once more."""
MAX_TRIES: Final = 4
"""Of one refresh token within the time that its endpoint takes it again."""
PAUSE: Final = 5.0
MAX_PAUSE: Final = 900.0
LOST_PAUSE: Final = 60.0
"""Between two last chances, the first time; doubles."""
SLOW_CODES: Final = frozenset(("invalid_client", "unauthorized_client", "invalid_scope", REAUTH))
SLOW_PAUSE: Final = 600.0
"""Seconds before an endpoint is asked again that refused what only the operator can mend; doubles up to a day."""
MAX_SLOW_PAUSE: Final = 86_400.0


class Wanted(Struct, frozen=True):
    """What is known beside the record."""

    now: float
    left: float
    """Seconds that the present token is still good for."""
    word: float = 0.0
    """When an admin asked for another try."""


def due_in(life: float, left: float, jitter: float) -> float:
    """Seconds until a token is renewed: at about 80 % of its life, but LEAD before its end or with half of it over.

    `jitter` in [0, 1) spreads the nodes.
    """
    return left - max(0.2 * life * (0.8 + 0.4 * jitter), min(LEAD, life / 2))


def look_every(usual: float, lives: Iterable[float]) -> float:
    """Seconds between two looks of a node: a tenth of the shortest life, so that no token ends in between."""
    shortest = min((life for life in lives if life > 0), default=usual * 10)
    return min(usual, max(LEAST_LOOK, shortest / 10))


def skew(life: float) -> float:
    """What is kept of a token's life for clocks that differ."""
    return min(SKEW, 0.1 * life)


def is_single_use(grant: Grant, record: Record) -> bool:
    """Whether sending the refresh token a second time may revoke everything.

    Before the first answer nobody knows whether the endpoint rotates.
    """
    return grant.kind == "refresh_token" and (record.rotates or not record.sealed)


def why_not(grant: Grant, record: Record, wanted: Wanted) -> str:
    """Why the endpoint must not be asked now; empty when it may."""
    if record.dead and wanted.word <= record.dead:
        return "reauth_required"
    if record.rests > wanted.now and wanted.word <= record.at:
        return record.reason or "resting"
    intent = record.intent
    if intent is None or not is_single_use(grant, record):
        return ""
    if wanted.word > intent.at:
        return ""
    is_in_time = wanted.now - intent.at <= grant.reuse and intent.tries < MAX_TRIES
    is_last_chance = grant.reuse > 0 and wanted.left <= LAST_CHANCE
    return "" if is_in_time or is_last_chance else "outcome_unknown"


def pause(code: str, refusals: int, asked: float, jitter: float) -> float:
    """Seconds to rest after so many refusals in a row, `asked` for by the endpoint at least."""
    first, most = (SLOW_PAUSE, MAX_SLOW_PAUSE) if code in SLOW_CODES else (PAUSE, MAX_PAUSE)
    grown = min(most, first * 2 ** min(refusals - 1, 20))
    return max(min(asked, MAX_PAUSE), grown * (0.8 + 0.4 * jitter))


def lost_pause(grant: Grant, intent: Intent, now: float) -> float:
    """Seconds to rest after an answer that was lost; 0 while the endpoint takes the refresh token again."""
    beyond = intent.tries - MAX_TRIES
    if now - intent.at <= grant.reuse and beyond < 0:
        return 0.0
    return min(MAX_PAUSE, LOST_PAUSE * 2 ** min(max(0, beyond), 20))


def begun(record: Record | None, seed: str, now: float, *, alone: bool) -> Record:
    """The record to go on with under this configuration: the same, or generation by generation a new family.

    A configuration that was in use before the present one counts as old news, so that nodes which do not have the
    new one yet change nothing.
    """
    if record is None:
        return Record(seeds=(seed,), rests=0.0 if alone else now + FIRST_LOOK)
    if seed in record.seeds:
        return record
    return Record(
        generation=record.generation + 1,
        fence=record.fence,
        seeds=(*record.seeds, seed)[-MAX_SEEDS:],
        at=now,
        rest=record.rest,
    )


def changed(record: Record, **members: object) -> Record:
    """The record with something else about the same generation."""
    return msgspec.structs.replace(record, edits=record.edits + 1, **members)
