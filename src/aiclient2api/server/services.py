"""What the edge is given: everything built from one configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from aiclient2api.accounts.pool import AccountPool
from aiclient2api.gateway.dispatch import Dispatcher
from aiclient2api.gateway.exchange import Exchange, Observer
from aiclient2api.gateway.idempotency import SameRequests
from aiclient2api.gateway.limits import Admission
from aiclient2api.gateway.upstream import Whole
from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.keys.ring import ClientKeys
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.server.models import ModelLists
from aiclient2api.server.siblings import Status
from aiclient2api.server.streaming import Heartbeat
from aiclient2api.telemetry.log import JsonLog


class Services(Struct, kw_only=True):
    """One set per configuration; a reload swaps the whole set. `now` in seconds, any origin."""

    dispatcher: Dispatcher
    converters: ConverterFactory
    pools: Mapping[str, AccountPool]
    keys: ClientKeys
    limiter: KeyLimiter
    admission: Admission
    same: SameRequests[Whole] = field(default_factory=SameRequests[Whole])
    models: ModelLists
    observers: Sequence[Observer]
    starting: Sequence[Callable[[Exchange], None]] = ()
    """Called when a request was accepted."""
    log: JsonLog
    now: Callable[[], float]
    new_id: Callable[[], str]
    metrics: Callable[[], bytes]
    body_limit: int
    cors: tuple[str, ...] = ()
    strict: bool = False
    heartbeat: Heartbeat = Heartbeat()
    trouble: Callable[[], str | None] = lambda: None
    """What is not as it should be although requests are served; None when all is well."""
    must_refuse: Callable[[], bool] = lambda: False
    """Whether that trouble forbids to serve."""

    def started(self, exchange: Exchange) -> None:
        """Tell who has to know."""
        for call in self.starting:
            call(exchange)

    def ended(self, exchange: Exchange) -> None:
        """Tell every observer."""
        exchange.ended = self.now()
        for observer in self.observers:
            observer.ended(exchange)

    def status(self, *, is_draining: bool) -> Status:
        """Whether requests can be served, and whether all is as it should be."""
        if is_draining or self.must_refuse() or not self.is_ready():
            return "unavailable"
        return "ok" if self.trouble() is None else "degraded"

    def is_ready(self) -> bool:
        """Whether some account can serve, by the selector's own predicate."""
        now = self.now()
        return any(account.can_serve(now) for pool in self.pools.values() for account in pool.accounts)

    def states(self) -> dict[str, dict[str, int]]:
        """How many accounts of each pool are in which state."""
        return {
            name: dict(Counter(account.state.status.value for account in pool.accounts))
            for name, pool in self.pools.items()
        }
