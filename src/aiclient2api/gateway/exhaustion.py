"""What a client is told when nobody answers (reliability 3.3): by what stands in the way of each account."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.accounts.account import Cause, Obstacle
from aiclient2api.accounts.pool import AccountPool, Usable
from aiclient2api.errors import (
    Busy,
    ErrorInfo,
    ErrorKind,
    GatewayError,
    NoCapacity,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
)
from aiclient2api.routing.targets import Target

LONGEST_WAIT: Final = 30.0
"""Seconds a client may be told to wait; SDKs sleep as long as they are told."""
UNTOLD_WAIT: Final = 2.0
"""Seconds to wait where an upstream has no room and does not say for how long."""
PERMANENT: Final = ("model_not_found", "upstream_auth", "insufficient_quota")
"""Codes of failures that a retry does not mend; the earlier one is told."""


class Facts(Struct, frozen=True):
    """Where the verdict comes from. `wall` is Unix time in seconds."""

    targets: Sequence[Target]
    pools: Mapping[str, AccountPool]
    usable: Usable
    wall: Callable[[], float]

    def obstacles(self) -> list[Obstacle | None]:
        """Of every account that may serve the request at all."""
        return [
            obstacle
            for target in self.targets
            for _, obstacle in self.pools[target.pool].obstacles(self.usable, target.model)
        ]

    def jittered(self, seconds: float) -> float:
        """± 20 %, so that clients do not all come back together."""
        return seconds * (0.8 + 0.4 * self.pools[self.targets[0].pool].random())


def after_failures(failures: Sequence[UpstreamError], facts: Facts) -> GatewayError:
    """Attempts were made: one that passes is told rather than one that stays, whoever happened to be last."""

    def rank(error: UpstreamError) -> int:
        code = error.info.code
        return -1 - PERMANENT.index(code) if code in PERMANENT else 0

    telling = max(reversed(failures), key=rank)
    if isinstance(telling, RateLimited | QuotaExhausted):
        waits = _waits(facts.obstacles(), (Cause.COOLING,))
        if waits:
            return NoCapacity(info=_cooling(waits, facts), failures=tuple(failures))
    info = telling.info
    wait = info.retry_after
    if wait is None and isinstance(telling, RateLimited | Overloaded):
        wait = UNTOLD_WAIT
    if wait is not None:
        info = _with_wait(info, wait, facts)
    return NoCapacity(info=info, failures=tuple(failures))


def all_out(facts: Facts) -> GatewayError:
    """Nobody could be asked: too busy, not yet again, or not at all."""
    obstacles = facts.obstacles()
    if any(obstacle is not None and obstacle.cause is Cause.BUSY for obstacle in obstacles):
        return Busy("all accounts for this model are busy", retry_after=facts.jittered(2.0))
    failed = _waits(obstacles, (Cause.FAILED, Cause.HOST))
    overloaded = _waits(obstacles, (Cause.OVERLOAD,))
    cooling = _waits(obstacles, (Cause.COOLING,))
    if failed:
        return _unavailable(
            "unavailable", "upstream_unavailable", "keep failing", [failed, cooling, overloaded], facts
        )
    if overloaded:
        return _unavailable("overloaded", "overloaded", "are overloaded", [overloaded, cooling], facts)
    if cooling:
        return NoCapacity(info=_cooling(cooling, facts))
    message = "no account is available for this model"
    return NoCapacity(
        info=ErrorInfo(kind="unavailable", code=NoCapacity.code, message=message, should_retry=False)
    )


def _waits(obstacles: Sequence[Obstacle | None], causes: tuple[Cause, ...]) -> list[Obstacle]:
    """The obstacles with these causes, the one that is over first in front."""
    found = [obstacle for obstacle in obstacles if obstacle is not None and obstacle.cause in causes]
    return sorted(found, key=lambda obstacle: obstacle.wait)


def _unavailable(
    kind: ErrorKind, code: str, what: str, causes: Sequence[list[Obstacle]], facts: Facts
) -> GatewayError:
    wait = min(obstacles[0].wait for obstacles in causes if obstacles)
    message = f"all accounts for this model {what} at the moment"
    told = min(LONGEST_WAIT, max(1.0, wait))
    return NoCapacity(info=ErrorInfo(kind=kind, code=code, message=message, retry_after=facts.jittered(told)))


def _cooling(waits: Sequence[Obstacle], facts: Facts) -> ErrorInfo:
    first = waits[0]
    is_spent = all(obstacle.reason == "insufficient_quota" for obstacle in waits)
    if is_spent:
        text = "the quota of all accounts for this model is used up"
        info = ErrorInfo(kind="rate_limit", code="insufficient_quota", message=text)
    elif all(obstacle.reason == "upstream_auth" for obstacle in waits):
        text = "no account may use this model at the moment"
        info = ErrorInfo(kind="unavailable", code=NoCapacity.code, message=text)
    else:
        text = "all accounts for this model are cooling down"
        info = ErrorInfo(kind="rate_limit", code="rate_limit_exceeded", message=text)
    return _with_wait(info, first.wait, facts)


def _with_wait(info: ErrorInfo, wait: float, facts: Facts) -> ErrorInfo:
    """A short wait is told, a long one is a reason not to try again."""
    if wait <= LONGEST_WAIT:
        told = min(LONGEST_WAIT, max(1.0, wait))
        return msgspec.structs.replace(info, retry_after=min(LONGEST_WAIT, facts.jittered(told)))
    when = datetime.datetime.fromtimestamp(facts.wall() + wait, datetime.UTC)
    return msgspec.structs.replace(
        info, retry_after=None, should_retry=False, reset_at=when.isoformat(timespec="seconds")
    )
