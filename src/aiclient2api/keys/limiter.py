"""The limits of client keys: reserved before a request is dispatched, settled when it is over, whatever its end.

A check is a few operations on integers; nothing here waits, and nobody is asked. How nodes hear of each other's use is
the affair of `sharing.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from aiclient2api.errors import ErrorInfo, OverLimit
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.keys.estimate import estimated
from aiclient2api.keys.meter import MINUTE, Meter, Slots
from aiclient2api.keys.ring import ClientKey, KeyLimits
from aiclient2api.ledger.bookkeeper import tokens_used
from aiclient2api.protocols.conversion import Inbound

WAIT_FOR_A_SLOT: Final = 1.0


class Heard(Struct, frozen=True):
    """What the other nodes used of a key in this window and the one before, and have under way."""

    requests: int = 0
    tokens: int = 0
    slots: int = 0
    requests_before: int = 0
    tokens_before: int = 0


NOTHING_HEARD: Final = Heard()


class Use:
    """What is used of one key's limits; a limit that the key does not have is None."""

    __slots__ = ("limits", "refused", "requests", "shown", "slots", "tokens")

    def __init__(self, limits: KeyLimits) -> None:
        self.requests = Meter(0, "requests")
        self.tokens = Meter(0, "tokens")
        self.slots = Slots(0)
        self.refused: dict[str, int] = {}
        self.change(limits)

    def change(self, limits: KeyLimits) -> None:
        """Other limits from now on; what is used stays used."""
        self.limits = limits
        self.requests.change(limits.requests or 0)
        self.tokens.change(limits.tokens or 0)
        self.slots.limit = limits.concurrency or 0
        shown = ((limits.requests, self.requests), (limits.tokens, self.tokens))
        self.shown = tuple(meter.shown for limit, meter in shown if limit is not None)
        """What was just found left, for the answer's headers: there until the next request."""

    def roll(self, window: int) -> None:
        """Go on in this window."""
        if window != self.requests.window:
            self.requests.roll(window)
            self.tokens.roll(window)

    def hear(self, heard: Heard) -> None:
        """This is what others use."""
        self.requests.others, self.requests.others_before = heard.requests, heard.requests_before
        self.tokens.others, self.tokens.others_before = heard.tokens, heard.tokens_before
        self.slots.others = heard.slots

    def take(self, tokens: int, elapsed: float, nodes: int) -> tuple[str, str, float] | None:
        """One more request. Which limit refuses it, in words, and for how many seconds; None when it fits."""
        limits, requests, meter, slots = self.limits, self.requests, self.tokens, self.slots
        if limits.concurrency is not None and slots.refuses(nodes):
            return "concurrency", f"{limits.concurrency} requests at a time", WAIT_FOR_A_SLOT
        if limits.requests is not None:
            wait = requests.refuses(1, elapsed, nodes)
            if wait is not None:
                return "requests", f"{limits.requests} requests per minute", wait
        if limits.tokens is not None:
            wait = meter.refuses(tokens, elapsed, nodes)
            if wait is not None:
                return "tokens", f"{limits.tokens} tokens per minute", wait
        requests.mine += 1
        meter.mine += tokens
        slots.mine += 1
        requests.shown.reset = reset = (2 - elapsed) * MINUTE
        meter.shown.reset = reset if tokens else meter.reset(elapsed)
        return None

    def look(self, elapsed: float) -> None:
        """See what is left although nothing is taken."""
        self.requests.look(elapsed)
        self.tokens.look(elapsed)

    def is_half_gone(self, nodes: int) -> bool:
        """Whether half of what this node may take before it hears of the others is taken."""
        limits = self.limits
        return (
            (limits.requests is not None and self.requests.is_half_gone(nodes))
            or (limits.tokens is not None and self.tokens.is_half_gone(nodes))
            or (limits.concurrency is not None and self.slots.is_half_gone(nodes))
        )


class KeyLimiter:
    """See the module; also the observer that settles. `clock` is the store's: Unix time in seconds."""

    def __init__(self, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self.clock = clock
        self._random = random
        self.uses: dict[str, Use] = {}
        self._taken: dict[str, tuple[Use, int, int]] = {}
        """What requests under way have taken, by their id: of which key, in which window, how many tokens."""
        self.nodes: Callable[[], int] = lambda: 1
        """How many nodes serve, as far as we know."""
        self.hurry: Callable[[], None] = lambda: None
        """Asks to hear of the others soon: our share of what is left runs out."""
        self.heard: Callable[[str], Heard] = lambda name: NOTHING_HEARD
        """What others have used of a key that was not used here yet."""
        self.changes = 0
        """Counts everything that others might want to hear of."""

    def reserve(self, key: ClientKey, inbound: Inbound, exchange: Exchange) -> None:
        """Take what a request may need at most; what is left goes into the exchange's headers. Raises OverLimit."""
        limits = key.limits
        if limits is None:
            return
        now = self.clock()
        minutes, seconds = divmod(now, MINUTE)
        window, elapsed, nodes = int(minutes), seconds / MINUTE, self.nodes()
        use = self.uses.get(key.name)
        if use is None or use.limits is not limits or use.requests.window != window:
            use = self._use(key.name, limits, window)
        tokens = 0 if limits.tokens is None else self._tokens(inbound, use, limits.tokens)
        refusal = use.take(tokens, elapsed, nodes)
        if refusal is None:
            self._taken[exchange.request_id] = use, window, tokens
            self.changes += 1
        else:
            use.look(elapsed)
        if nodes > 1 and (refusal is not None or use.is_half_gone(nodes)):
            self.hurry()
        exchange.limit_headers = inbound.converter.limit_headers(use.shown, now)
        if refusal is not None:
            raise self._refused(use, *refusal)

    def _use(self, name: str, limits: KeyLimits, window: int) -> Use:
        use = self.uses.get(name)
        if use is None:
            use = self.uses[name] = Use(limits)
            use.roll(window)
            use.hear(self.heard(name))
            return use
        if use.limits is not limits:
            use.change(limits)
        use.roll(window)
        return use

    def _tokens(self, inbound: Inbound, use: Use, limit: int) -> int:
        given, answered = estimated(inbound)
        if given > limit:
            use.refused["tokens"] = use.refused.get("tokens", 0) + 1
            message = f"the request alone is larger than the client key's limit of {limit} tokens per minute"
            raise OverLimit(
                info=ErrorInfo(kind=OverLimit.kind, code=OverLimit.code, message=message, should_retry=False)
            )
        needed = given + answered
        return needed if needed < limit else limit  # the largest may run, alone

    def _refused(self, use: Use, limit: str, words: str, wait: float) -> OverLimit:
        use.refused[limit] = use.refused.get(limit, 0) + 1
        return OverLimit(
            f"the client key's limit of {words} is reached",
            retry_after=max(1.0, wait) * (1 + 0.2 * self._random()),  # not all at the same moment
        )

    # ---- Observer

    def ended(self, exchange: Exchange) -> None:
        """See Observer: give the place back, and book what was really used."""
        taken = self._taken.pop(exchange.request_id, None)
        if taken is None:
            return
        use, window, tokens = taken
        now = int(self.clock() // MINUTE)
        if use.requests.window != now:
            use.roll(now)
        slots = use.slots
        if slots.mine + slots.others >= slots.limit and use.limits.concurrency is not None:
            self._place_is_free()
        slots.mine -= 1
        if tokens:
            use.tokens.settle(window, tokens_used(exchange) - tokens)
        self.changes += 1

    def _place_is_free(self) -> None:
        """Others wait for it."""
        if self.nodes() > 1:
            self.hurry()
