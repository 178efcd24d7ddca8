"""One credential at one provider, with what happens on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from aiclient2api.accounts.circuit import Circuit
from aiclient2api.accounts.evidence import Evidence
from aiclient2api.accounts.health import HEALTHY, USABLE, AccountState, Status
from aiclient2api.accounts.surroundings import ProviderModel, Surroundings
from aiclient2api.providers.base import Provider
from aiclient2api.wire.http import Headers

DEFAULT_CONCURRENCY: Final = 64
MAX_OVERLAYS: Final = 64
"""Models of one account that may be out at the same time; beyond, the one that is back first is forgotten."""


class AccountSettings(Struct, frozen=True, kw_only=True):
    """What the configuration says of an account beside its provider's own keys."""

    models: tuple[str, ...] = ()
    """Patterns of the models it answers for; empty for all."""
    protocols: tuple[str, ...] = ()
    """Limits the protocols its provider speaks; empty for all of them."""
    weight: int = 1
    concurrency: int = DEFAULT_CONCURRENCY
    headers: Headers = ()
    proxy: str | None = None
    ca: str | None = None


class Cause(Enum):
    """What stands between a request and an account."""

    MODEL = "model"
    FAILED = "failed"
    COOLING = "cooling"
    DISABLED = "disabled"
    HOST = "host"
    OVERLOAD = "overload"
    BUSY = "busy"


class Obstacle(Struct, frozen=True):
    """Why an account cannot take a request now. `wait` in seconds, until it can or may be probed."""

    cause: Cause
    text: str
    wait: float = 0.0
    reason: str = ""


_CAUSES: Final = {
    Status.EJECTED: Cause.FAILED,
    Status.COOLING: Cause.COOLING,
    Status.DISABLED: Cause.DISABLED,
}


class Account:
    """Configuration is fixed; the rest is this process's view. `changed` is told of every new state."""

    def __init__(self, name: str, provider_name: str, provider: Provider, settings: AccountSettings) -> None:
        self.name = name
        self.mark = hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
        """What stands for its name in state that clients keep."""
        self.provider_name = provider_name
        self.provider = provider
        self.settings = settings
        self.models = settings.models
        self.weight = settings.weight
        self.concurrency = settings.concurrency
        self.protocols = settings.protocols or tuple(provider.protocols)
        self.credentials = provider.credentials
        self.signs_alike: bool = getattr(provider, "signs_alike", False)
        """Its signature does not depend on the body (`providers/base.py`)."""
        self.inflight = 0
        self.heir: Account | None = None
        """The same account in the next configuration: what we have under way counts there too."""
        self.freed: Callable[[], None] = lambda: None
        """Told that something that was under way on a predecessor is over."""
        self.limit: float = self.concurrency
        """How many attempts it bears at a time, as far as we know; at most `concurrency`."""
        self.slowed = float("-inf")
        """When the limit was lowered last."""
        self.overlays: dict[str, AccountState] = {}
        """Models that are out on this account only."""
        self.refusals: dict[str, int] = {}
        """How often in a row a model was refused for want of room."""
        self.token_obstacle: Obstacle | None = None
        """Why it has no token to sign with, where its credential expires."""
        self.renew: Callable[[int], bool] | None = None
        """Told the generation of a token that the upstream refused; whether there is, or will be, another one."""
        self.is_plain = True
        """Nothing speaks against it: neither a state nor an overlay has to be looked at."""
        self.has_strikes = False
        """Something has failed on it since its last success."""
        self._state = HEALTHY
        self._changed: Callable[[Account, str | None, AccountState], None] | None = None
        self.join(Surroundings(), None)

    def join(
        self,
        surroundings: Surroundings,
        changed: Callable[[Account, str | None, AccountState], None] | None,
    ) -> None:
        """Become part of a pool."""
        self._changed = changed
        self.evidence = Evidence(surroundings.policy.health.window)
        self.host: Circuit = surroundings.host(self.host_name)
        self.shared: Callable[[str], ProviderModel] = surroundings.provider(self.provider_name)

    @property
    def host_name(self) -> str:
        """What its connections go to; behind a proxy that is the proxy's fault too."""
        host = urlsplit(self.provider.url(self.protocols[0], "/")).netloc
        proxy = self.settings.proxy
        return f"{host} via {urlsplit(proxy).hostname}" if proxy else host

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self._state.status.value})"

    @property
    def state(self) -> AccountState:
        """Its health."""
        return self._state

    @state.setter
    def state(self, state: AccountState) -> None:
        self.adopt(state)

    def adopt(self, state: AccountState, model: str | None = None, *, quietly: bool = False) -> None:
        """The one place where a state changes. `quietly`: another node found it out, nobody has to be told."""
        if model is None:
            if state.needs_probe is False and self._state.needs_probe:
                self.evidence.forget()
            self._state = state
        else:
            self._overlay(model, state)
        self._judge()
        if self._changed is not None:
            self._changed(self, model, state)

    def hold(self, obstacle: Obstacle | None) -> None:
        """It has no token for now; None: it has one."""
        self.token_obstacle = obstacle
        self._judge()

    def _judge(self) -> None:
        self.is_plain = self._state.status in USABLE and not self.overlays and self.token_obstacle is None
        self.has_strikes = bool(self._state.strikes)

    def follow(self, before: Account) -> None:
        """After a reload: what is under way still is."""
        self.inflight, before.heir = before.inflight, self

    def take_over(self, before: Account) -> None:
        """After a reload: nobody is healed by it. A probe counts for the old one."""
        self.adopt(_without_probe(before.state))
        for model, state in before.overlays.items():
            self.adopt(_without_probe(state), model)
        if before.limit < before.concurrency:
            self.limit = min(before.limit, float(self.concurrency))

    def pass_on(self, more: int) -> None:
        """So many more are under way on us, for those that came after us as well."""
        heir = self.heir
        while heir is not None:
            heir.inflight += more
            if more < 0:
                heir.freed()
            heir = heir.heir

    def _overlay(self, model: str, state: AccountState) -> None:
        if state.status is Status.HEALTHY and not state.step:
            self.overlays.pop(model, None)
            return
        if model not in self.overlays and len(self.overlays) >= MAX_OVERLAYS:
            del self.overlays[min(self.overlays, key=lambda name: self.overlays[name].until)]
        self.overlays[model] = state

    def refused(self, model: str) -> int:
        """Once more there is no room for this model; how often in a row by now."""
        refusals = self.refusals
        if model not in refusals and len(refusals) >= MAX_OVERLAYS:
            del refusals[next(iter(refusals))]
        refusals[model] = refusals.get(model, 0) + 1
        return refusals[model]

    def protocol_for(self, client: str) -> str:
        """The protocol to use for a client: its own where this upstream speaks it, else the preferred one."""
        return client if client in self.protocols else self.protocols[0]

    def serves(self, model: str) -> bool:
        """Whether the configuration lets this account answer for a model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)

    @property
    def is_sound(self) -> bool:
        """Whether nothing has failed on it since its last success."""
        return self.is_plain and not self._state.strikes and self._state.status is not Status.DEGRADED

    def can_take(self, model: str, now: float) -> bool:
        """Whether it can take a request for a model it serves; the state of a probe counts."""
        if self.inflight >= self.limit:
            return False
        if not self.is_plain:
            if self.token_obstacle is not None:
                return False
            overlay = self.overlays.get(model)
            if not self._state.is_open(now) or (overlay is not None and not overlay.is_open(now)):
                return False
        return not self.host.blocks(now) and not self.shared(model).overload.blocks(now)

    def obstacle(self, model: str, now: float) -> Obstacle | None:
        """Why this account cannot take a request for `model` now; None when it can."""
        if self.models and not self.serves(model):
            return Obstacle(Cause.MODEL, "model not in its list")
        for state, about in ((self._state, ""), (self.overlays.get(model), " this model")):
            if state is not None and not state.is_open(now):
                return _outage(state, about, now)
        if self.host.blocks(now):
            wait = self.host.opens_in(now)
            return Obstacle(Cause.HOST, f"its host is out for {wait:.0f}s", wait, "unreachable")
        overload = self.shared(model).overload
        if overload.blocks(now):
            wait = overload.opens_in(now)
            text = f"its provider is overloaded with this model for {wait:.0f}s"
            return Obstacle(Cause.OVERLOAD, text, wait, "overloaded")
        if self.inflight >= self.limit:
            return Obstacle(Cause.BUSY, "at its concurrency limit")
        return self.token_obstacle

    def why_not(self, model: str, now: float) -> str | None:
        """The obstacle in words."""
        obstacle = self.obstacle(model, now)
        return None if obstacle is None else obstacle.text

    def can_serve(self, now: float) -> bool:
        """Whether any request could be sent now, concurrency aside: the predicate behind `/readyz`."""
        is_signed = self.token_obstacle is None
        return is_signed and self._state.is_open(now) and not self.host.blocks(now)


def _without_probe(state: AccountState) -> AccountState:
    if state.status is not Status.HALF_OPEN:
        return state
    return AccountState(
        status=state.cause, until=state.since, reason=state.reason, step=state.step, since=state.since
    )


def _outage(state: AccountState, about: str, now: float) -> Obstacle:
    cause = _CAUSES[state.cause]
    if state.reason == "overloaded":
        cause = Cause.OVERLOAD
    if state.status is Status.HALF_OPEN:
        return Obstacle(
            cause, f"being probed{about} after {state.reason or state.cause.value}", 1.0, state.reason
        )
    wait = state.until - now
    reason = state.reason or "by the operator"
    lasting = f" for {wait:.0f}s" if wait != float("inf") else ""
    return Obstacle(cause, f"{state.status.value}{about}{lasting} ({reason})", wait, state.reason)
