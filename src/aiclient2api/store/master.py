"""Who is master, by what several sentinels say. Pure.

Sentinels agree late: for some seconds behind a failover one still names the old master, and when that one comes back
it takes writes until it is made a replica, which loses them. The configuration with the highest epoch is the latest
(https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, "Configuration epochs"). While a failover is
under way even the latest names the old master; the sentinel that leads it says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import InvalidResponse

Place = tuple[str, int]
"""Host and port."""
_ABOUT_TO_CHANGE: Final = frozenset((b"o_down", b"failover_in_progress"))


class NoMaster(MasterNotFoundError):
    """There is no master that could be believed; `reasons` of the sentinels that gave no answer."""

    def __init__(self, text: str, reasons: Sequence[BaseException] = ()) -> None:
        super().__init__(text)  # pyright: ignore[reportUnknownMemberType]
        self.reasons = tuple(reasons)


class UnknownName(NoMaster):
    """Most of the sentinels say that they watch no master of this name."""


class Answer(Struct, frozen=True):
    """What one sentinel says: where the master is, and of which epoch its configuration is."""

    place: Place
    epoch: int
    is_down: bool = False
    """It does not reach the master."""
    is_changing: bool = False
    """Another one is being made master, or will be."""

    def outdates(self, other: Answer) -> bool:
        """Whether another answer, that was believed, is not true any more."""
        if self.epoch == other.epoch:
            return self.is_changing
        return self.epoch > other.epoch and self.place != other.place


def read(state: Sequence[bytes], named: Sequence[bytes]) -> Answer:
    """The replies of SENTINEL MASTER and SENTINEL GET-MASTER-ADDR-BY-NAME. Raises InvalidResponse.

    Between the promotion and the end of a failover the former still shows the old master, under the new epoch; the
    latter names the new one.
    """
    try:
        return _read(state, named)
    except (KeyError, ValueError, TypeError, IndexError):
        raise InvalidResponse("not the answer of a sentinel") from None


def _read(state: Sequence[bytes], named: Sequence[bytes]) -> Answer:
    fields = dict(zip(state[::2], state[1::2], strict=True))
    flags = frozenset(fields[b"flags"].split(b","))
    is_shown = (fields[b"ip"], fields[b"port"]) == (named[0], named[1])
    return Answer(
        place=(named[0].decode(), int(named[1])),
        epoch=int(fields[b"config-epoch"]),
        # right behind a failover all sentinels are `disconnected` from the new master: that is nothing against it
        is_down=is_shown and (b"s_down" in flags or b"master" not in flags),
        is_changing=is_shown and not flags.isdisjoint(_ABOUT_TO_CHANGE),
    )


def chosen(name: str, answers: Sequence[Answer], least: int) -> Answer:
    """The one to be believed, of at least the epoch `least`. Raises NoMaster.

    What the latest configuration says against its master is not overruled by sentinels with an earlier one.
    """
    newest = max(answer.epoch for answer in answers)
    if newest < least:
        raise NoMaster(f"the sentinels that answer know less of {name!r} than others did a moment ago")
    latest = [answer for answer in answers if answer.epoch == newest]
    if any(answer.is_changing for answer in latest):
        raise NoMaster(f"the sentinels are replacing the master {name!r}")
    alive = [answer for answer in latest if not answer.is_down]
    if not alive:
        raise NoMaster(f"the master {name!r} is down, the sentinels say")
    votes = Counter(answer.place for answer in alive)
    return max(alive, key=lambda answer: votes[answer.place])
