"""How much of a limit is used, as far as this node knows, and how much of the rest it may take before it has heard.

All nodes together may use `limit`. A node knows what it used itself, and what the others had used when it last heard of
them. Of what was left then it takes an equal share at most until it has heard again. So with M nodes the worst that can
happen, whatever the store does, is `limit + (M - 1) * max(ceil(limit / M), largest single amount)`.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from aiclient2api.protocols.rate_limits import Kind, RateLimit

MINUTE: Final = 60.0


class Meter:
    """Requests or tokens of a sliding minute: this window, and of the one before as much as still counts."""

    __slots__ = ("heard", "limit", "mine", "mine_before", "others", "others_before", "shown", "window")

    def __init__(self, limit: int, kind: Kind = "requests") -> None:
        self.limit = limit
        self.window = 0
        """Minutes since the Unix epoch, by the store's clock."""
        self.mine = 0
        self.heard = 0
        """Of `mine`, what was there when we last heard of the others, who know it too."""
        self.others = 0
        self.mine_before = 0
        self.others_before = 0
        """The same of the window before."""
        self.shown = RateLimit(kind, limit)
        """What `take` or `look` found left, for the headers of the answer under way."""

    @property
    def before(self) -> int:
        """What all nodes used in the window before."""
        return self.mine_before + self.others_before

    def change(self, limit: int) -> None:
        """Another limit from now on; what is used stays used."""
        self.limit = self.shown.limit = limit

    def roll(self, window: int) -> None:
        """Go on in this window. A clock set back by a moment changes nothing; by more, what was used is of no window.

        Else a limit would be used up until the clock is where it was.
        """
        if self.window - 1 <= window <= self.window:
            return
        is_next = window == self.window + 1
        self.mine_before = self.mine if is_next else 0
        self.others_before = self.others if is_next else 0
        self.window, self.mine, self.heard, self.others = window, 0, 0, 0

    def used(self, elapsed: float) -> float:
        """In the last minute; `elapsed` is the share of the window that is over."""
        return (self.mine_before + self.others_before) * (1 - elapsed) + self.mine + self.others

    def refuses(self, amount: int, elapsed: float, nodes: int) -> float | None:
        """None where it fits, else the seconds until it may. An amount over the limit needs the whole limit."""
        limit, mine = self.limit, self.mine
        if amount > limit:
            amount = limit
        used = (self.mine_before + self.others_before) * (1 - elapsed) + mine + self.others
        if used + amount > limit:
            return self._wait(amount, elapsed)
        left = limit - used
        if nodes > 1 and exceeds_share(mine - self.heard, amount, left, nodes):
            return 1.0
        self.shown.remaining = int(left - amount)
        return None

    def look(self, elapsed: float) -> None:
        """See what is left although nothing is taken."""
        shown = self.shown
        shown.remaining, shown.reset = max(0, int(self.limit - self.used(elapsed))), self.reset(elapsed)

    def _wait(self, amount: int, elapsed: float) -> float:
        now = self.mine + self.others
        left = (1 - elapsed) * MINUTE
        if now + amount <= self.limit:
            return max(0.0, left - (self.limit - now - amount) / self.before * MINUTE)
        return left + (1 - (self.limit - amount) / now) * MINUTE

    def reset(self, elapsed: float) -> float:
        """Seconds until all of the limit is there again, if nothing more is used."""
        if self.mine + self.others:
            return (2 - elapsed) * MINUTE
        return (1 - elapsed) * MINUTE if self.before else 0.0

    def is_half_gone(self, nodes: int) -> bool:
        """Whether half of our share of what was left is taken since we last heard of the others."""
        return is_half_gone(self.mine - self.heard, self.limit - self.before - self.mine - self.others, nodes)

    def settle(self, window: int, more: int) -> None:
        """Correct what was taken in `window`: an answer used so much more, or less."""
        if more > 0 or window == self.window:
            mine = self.mine + more
            self.mine = mine if mine > 0 else 0
        elif window == self.window - 1:
            self.mine_before = max(0, self.mine_before + more)


class Slots:
    """Requests under way."""

    __slots__ = ("heard", "limit", "mine", "others")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.mine = 0
        self.heard = 0
        self.others = 0

    def refuses(self, nodes: int) -> bool:
        """Whether there is no place for one more."""
        left = self.limit - self.mine - self.others
        return left < 1 or (nodes > 1 and exceeds_share(self.mine - self.heard, 1, left, nodes))

    def is_half_gone(self, nodes: int) -> bool:
        """See Meter."""
        return is_half_gone(self.mine - self.heard, self.limit - self.mine - self.others, nodes)


def is_half_gone(unheard: int, left: int, nodes: int) -> bool:
    """Whether a node should hear of the others soon."""
    return unheard > 0 and unheard * 2 * nodes >= left + unheard


def exceeds_share(unheard: int, amount: int, left: float, nodes: int) -> bool:
    """Whether `amount` more is too much for one of so many nodes until it has heard of the others again.

    The first amount after a hearing may be as large as it likes: a large request must fit some time.
    """
    if nodes <= 1 or unheard <= 0:
        return False
    return unheard + amount > ceil((left + unheard) / nodes)
