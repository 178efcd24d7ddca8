"""One credential at one provider, with what happens on it."""

from __future__ import annotations

from fnmatch import fnmatchcase

from msgspec import Struct

from aiclient2api.accounts.health import HEALTHY, AccountState, Status
from aiclient2api.providers.base import Provider
from aiclient2api.wire.http import Headers

DEFAULT_CONCURRENCY = 64


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


class Account:
    """Configuration is fixed; `state`, `inflight` and `probing` are this process's view of its health."""

    def __init__(self, name: str, provider_name: str, provider: Provider, settings: AccountSettings) -> None:
        self.name = name
        self.provider_name = provider_name
        self.provider = provider
        self.settings = settings
        self.models = settings.models
        self.weight = settings.weight
        self.concurrency = settings.concurrency
        self.protocols = settings.protocols or tuple(provider.protocols)
        self.credentials = provider.credentials
        self.state: AccountState = HEALTHY
        self.inflight = 0
        self.probing = False

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.state.status.value})"

    def protocol_for(self, client: str) -> str:
        """The protocol to use for a client: its own where this upstream speaks it, else the preferred one."""
        return client if client in self.protocols else self.protocols[0]

    def serves(self, model: str) -> bool:
        """Whether the configuration lets this account answer for a model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)

    def why_not(self, model: str, now: float) -> str | None:
        """Why this account cannot take a request for `model` now; None when it can."""
        if self.models and not self.serves(model):
            return "model not in its list"
        state = self.state
        if not state.is_open(now):
            return f"{state.status.value} for {state.until - now:.0f}s ({state.reason})"
        if self.probing and state.needs_probe:
            return "being probed"
        if self.inflight >= self.concurrency:
            return "at its concurrency limit"
        return None

    def can_serve(self, now: float) -> bool:
        """Whether any request could be sent now, concurrency aside: the predicate behind `/readyz`."""
        return self.state.is_open(now)

    @property
    def is_waiting_for_probe(self) -> bool:
        """Whether the next request decides about its health."""
        return self.state.status is not Status.HEALTHY
