"""The failover loop: along the route's fallback chain, over each pool's accounts, until an answer has begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.pool import WAIT_SECONDS, AccountPool, Lease
from aiclient2api.errors import (
    BadRequest,
    Busy,
    ClientError,
    ContextTooLong,
    ErrorInfo,
    Failover,
    GatewayError,
    MalformedMessage,
    NoCapacity,
    StatefulAccountUnavailable,
    Unrepresentable,
    UpstreamError,
)
from aiclient2api.gateway.attempt import Attempts, as_client_error
from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.gateway.pins import Pins
from aiclient2api.gateway.upstream import Live, Whole
from aiclient2api.protocols.conversion import Conversion, Inbound
from aiclient2api.protocols.conversion import Target as ConversionTarget
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.routing.table import RouteTable
from aiclient2api.routing.targets import Target

FIRST_HOP_ATTEMPTS = 3
"""More would spend the budget on one pool while a fallback waits (reliability 3.6)."""
MAX_RETRY_AFTER = 30.0
LONG_WAIT = 60.0
"""Seconds from which on waiting is not worth a client's retry."""
STATEFUL_PROTOCOL = "openai_responses"
"""The one protocol whose upstreams keep conversations."""


Usable = Callable[[Account], bool]


class Policy(Struct, frozen=True, kw_only=True):
    """How hard to try."""

    attempts: int = 5


class Dispatcher:
    """Opens an answer for a request."""

    def __init__(
        self,
        routes: RouteTable,
        pools: Mapping[str, AccountPool],
        converters: ConverterFactory,
        attempts: Attempts,
        pins: Pins,
        policy: Policy,
    ) -> None:
        self._routes = routes
        self._pools = pools
        self._converters = converters
        self._attempts = attempts
        self._pins = pins
        self._policy = policy

    async def open(self, inbound: Inbound, exchange: Exchange, pool: str | None = None) -> Whole | Live:
        """The first answer along the route. Raises GatewayError when there is none."""
        route = self._routes.resolve(inbound.peek.model, pool)
        usable = await self._usable(inbound, route.targets)
        try:
            return await self._along(route.targets, inbound, exchange, usable)
        except ContextTooLong:
            if not route.context_fallback:
                raise
            return await self._along(route.context_fallback, inbound, exchange, usable)

    async def _along(
        self, targets: tuple[Target, ...], inbound: Inbound, exchange: Exchange, usable: Usable
    ) -> Whole | Live:
        """The failover loop: each target in order, each account once, the error says where to go next."""
        failures: list[UpstreamError] = []
        refusal: ClientError | None = None
        left = self._policy.attempts
        for hop, target in enumerate(targets):
            is_last = hop == len(targets) - 1
            in_hop = left if is_last else min(left, FIRST_HOP_ATTEMPTS if hop == 0 else 1)
            tried: set[str] = set()
            while in_hop and (lease := await self._lease(exchange, target, usable, tried, panic=is_last)):
                tried.add(lease.account.name)
                try:
                    return await self._attempt(inbound, exchange, target, lease)
                except UpstreamError as error:
                    lease.failed(error)
                    failures.append(error)
                    left, in_hop = left - 1, in_hop - 1
                    if error.failover is Failover.NEVER:
                        raise
                    if error.failover is Failover.NEXT_TARGET:
                        break
                except Unrepresentable as error:
                    lease.abandoned()
                    refusal = error
                    tried.update(self._same_protocol(inbound, target, lease.account))
                except BaseException:
                    lease.abandoned()
                    raise
        if refusal is not None and not failures:
            raise refusal
        raise self._exhausted(targets, failures, inbound, usable)

    def _same_protocol(self, inbound: Inbound, target: Target, refusing: Account) -> set[str]:
        """The accounts of this pool that would refuse the same content for the same reason."""
        protocol = self._protocol(inbound, refusing)
        accounts = self._pools[target.pool].accounts
        return {account.name for account in accounts if self._protocol(inbound, account) == protocol}

    def _protocol(self, inbound: Inbound, account: Account) -> str:
        client, operation = inbound.converter.name, inbound.peek.operation
        return self._converters.protocol_for(client, account.protocols, operation)

    async def _lease(
        self, exchange: Exchange, target: Target, usable: Usable, tried: set[str], *, panic: bool
    ) -> Lease | None:
        pool = self._pools[target.pool]
        lease = pool.take(usable, target.model, tried)
        until = pool.now() + WAIT_SECONDS
        while lease is None and pool.now() < until and pool.is_full(usable, target.model, tried):
            if not await pool.wait():
                break
            lease = pool.take(usable, target.model, tried)
        if lease is None:
            now = pool.now()
            exchange.passed_over.extend(
                f"{account.name}: {account.why_not(target.model, now) or 'already tried'}"
                for account in pool.accounts
            )
            if panic:
                lease = pool.take_in_panic(usable, target.model, tried)
        return lease

    async def _usable(self, inbound: Inbound, targets: tuple[Target, ...]) -> Usable:
        """Accounts that can serve the operation; stored responses live on one account."""
        if inbound.peek.operation != "generate":
            return self._serving(inbound, targets)
        if inbound.peek.previous_id is not None:
            holder = await self._pins.account_of(inbound.tenant, inbound.peek.previous_id)
            if holder is not None:
                return lambda account: account.name == holder
        return _any_account

    def _serving(self, inbound: Inbound, targets: tuple[Target, ...]) -> Usable:
        """Where a count or an embedding is exact: accounts of the client's protocol, else those that offer it.

        A token count is possible with any account: then it is estimated.
        """
        client, operation = inbound.converter.name, inbound.peek.operation
        accounts = [account for target in targets for account in self._pools[target.pool].accounts]
        if any(client in account.protocols for account in accounts):
            return lambda account: client in account.protocols
        offered = self._converters.offers
        if operation == "count_tokens" and not any(offered(operation, each.protocols) for each in accounts):
            return _any_account
        return lambda account: offered(operation, account.protocols)

    async def _attempt(
        self, inbound: Inbound, exchange: Exchange, target: Target, lease: Lease
    ) -> Whole | Live:
        account = lease.account
        protocol = self._protocol(inbound, account)
        now = self._pools[target.pool].now
        attempt = Attempt(
            pool=target.pool, account=account.name, model=target.model, protocol=protocol, started=now()
        )
        exchange.attempts.append(attempt)
        try:
            conversion = self._convert(inbound, exchange, target, account, protocol)
            if conversion.local is not None:
                lease.abandoned()  # nobody has to be asked
                opened = Whole(conversion.local)
            else:
                opened = await self._attempts.run(lease, self._converters[protocol], conversion)
            attempt.outcome = "ok"
        except UpstreamError as error:
            attempt.outcome = error.info.label
            raise
        except ClientError:
            attempt.outcome = "refused"
            raise
        except BaseException:
            attempt.outcome = "abandoned"
            raise
        finally:
            attempt.ended = now()
        exchange.pool, exchange.target_model, exchange.upstream_protocol = target.pool, target.model, protocol
        exchange.conversion, exchange.losses = conversion.label, conversion.losses
        if protocol == inbound.converter.name == STATEFUL_PROTOCOL:
            await self._pin(opened, account, inbound.tenant)
        return opened

    async def _pin(self, opened: Whole | Live, account: Account, tenant: str) -> None:
        """Remember where a stored response lives, so that the next request can continue it there."""
        response_id = opened.response_id if isinstance(opened, Live) else opened.answer.response_id
        if not response_id:
            return
        try:
            await self._pins.remember(tenant, response_id, account.name)
        except BaseException:
            if isinstance(opened, Live):
                opened.abort(None)
            raise

    def _convert(
        self, inbound: Inbound, exchange: Exchange, target: Target, account: Account, protocol: str
    ) -> Conversion:
        profile = account.provider.profile(target.model, protocol)
        wanted = ConversionTarget(model=target.model, profile=profile, streams=account.provider.streams)
        try:
            conversion = self._converters.convert(inbound, protocol, wanted)
        except MalformedMessage as error:
            raise BadRequest(info=as_client_error(error)) from error
        if exchange.strict:
            lost = [loss for loss in conversion.losses if loss.act in ("dropped", "approximated")]
            if lost:
                features = ", ".join(sorted({f"{loss.feature} {loss.act}" for loss in lost}))
                raise Unrepresentable(f"strict: {protocol} cannot take this request as it is ({features})")
        return conversion

    def _exhausted(
        self, targets: tuple[Target, ...], failures: list[UpstreamError], inbound: Inbound, usable: Usable
    ) -> GatewayError:
        if failures:
            return NoCapacity(info=_telling(failures), failures=tuple(failures))
        if inbound.peek.previous_id is not None:
            return StatefulAccountUnavailable("the account that holds the previous response is not available")
        accounts = (account for target in targets for account in self._pools[target.pool].accounts)
        if inbound.peek.operation != "generate" and not any(usable(account) for account in accounts):
            return Unrepresentable(f"{inbound.peek.operation} is not available for this model on this route")
        return self._all_out(targets, usable)

    def _all_out(self, targets: tuple[Target, ...], usable: Usable) -> GatewayError:
        """Nobody could be asked: too busy, not yet again, or not at all."""
        jitter = 0.8 + 0.4 * self._pools[targets[0].pool].random()
        if any(self._pools[target.pool].is_full(usable, target.model, set()) for target in targets):
            return Busy("all accounts for this model are busy", retry_after=2.0 * jitter)
        waits = [
            wait
            for target in targets
            if (wait := self._pools[target.pool].earliest(usable, target.model)) is not None
        ]
        if not waits:
            return NoCapacity("no account is available for this model")
        if min(waits) > LONG_WAIT:  # a client that retries soon would only be told the same
            return NoCapacity(
                info=ErrorInfo(
                    kind="quota",
                    code="insufficient_quota",
                    message=f"all accounts for this model are out for another {min(waits):.0f} seconds",
                )
            )
        return NoCapacity(
            info=ErrorInfo(
                kind="rate_limit",
                code="rate_limit_exceeded",
                message="all accounts for this model are cooling down",
                retry_after=min(MAX_RETRY_AFTER, max(1.0, min(waits))) * jitter,
            )
        )


def _any_account(_account: Account) -> bool:
    return True


PERMANENT = ("model_not_found", "upstream_auth", "insufficient_quota")
"""Codes of failures that a retry does not mend, the least telling first."""


def _telling(failures: list[UpstreamError]) -> ErrorInfo:
    """The failure a client is told of: one that passes rather than one that stays, whoever happened to be last."""

    def rank(error: UpstreamError) -> int:
        code = error.info.code
        return -1 - PERMANENT.index(code) if code in PERMANENT else 0

    return max(reversed(failures), key=rank).info
