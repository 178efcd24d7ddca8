"""The failover loop: along the route's fallback chain, over each pool's accounts, until an answer has begun."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import DEFAULTS, Policy
from aiclient2api.accounts.pool import AccountPool, Usable, Wish
from aiclient2api.errors import (
    BadRequest,
    ClientError,
    ContextTooLong,
    GatewayError,
    MalformedMessage,
    StatefulAccountUnavailable,
    TimedOut,
    Unrepresentable,
    UpstreamError,
)
from aiclient2api.gateway.affinity import wish_of
from aiclient2api.gateway.attempt import Attempts, as_client_error
from aiclient2api.gateway.carried import Traces
from aiclient2api.gateway.deadline import told
from aiclient2api.gateway.effects import has_effects
from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.gateway.exhaustion import Facts, after_failures, all_out
from aiclient2api.gateway.failover import Journey, Request, any_account
from aiclient2api.gateway.sessions import Sessions
from aiclient2api.gateway.upstream import Empty, Live, Whole
from aiclient2api.protocols.conversion import Conversion, Inbound
from aiclient2api.protocols.conversion import Target as ConversionTarget
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.routing.table import RouteTable
from aiclient2api.routing.targets import Target

STATEFUL_PROTOCOL: Final = "openai_responses"
"""The one protocol whose upstreams keep conversations."""
SHORT_PATIENCE: Final = 300.0
"""A client that is more patient than this (seconds) is served by the time-outs of the attempts."""


class Dispatcher:
    """Opens an answer for a request. `wall` is Unix time; `sleep` waits for seconds."""

    def __init__(
        self,
        routes: RouteTable,
        pools: Mapping[str, AccountPool],
        converters: ConverterFactory,
        attempts: Attempts,
        traces: Traces,
        policy: Policy = DEFAULTS,
    ) -> None:
        self._routes = routes
        self._pools = pools
        self._converters = converters
        self._attempts = attempts
        self._pins, self._carried, self._sessions = traces.pins, traces.carried, Sessions(traces.pins)
        self._policy = policy
        self.attempting: Sequence[Callable[[Exchange, Attempt], None]] = ()
        """Called when an upstream is about to be."""
        self.wall: Callable[[], float] = time.time
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def open(self, inbound: Inbound, exchange: Exchange, pool: str | None = None) -> Whole | Live:
        """The first answer along the route. Raises GatewayError when there is none."""
        route = self._routes.resolve(inbound.peek.model, pool)
        request = await self._request(inbound, route.targets)
        try:
            return await self._along(route.targets, inbound, exchange, request)
        except ContextTooLong:
            if not route.context_fallback:
                raise
            return await self._along(route.context_fallback, inbound, exchange, request)

    async def _request(self, inbound: Inbound, targets: tuple[Target, ...]) -> Request:
        now = self._pools[targets[0].pool].now
        patience, is_retry = told(inbound.wire, self._policy.retries)
        first = self._pools[targets[0].pool].accounts[:1]
        if first and self._converts(inbound, self._protocol(inbound, first[0])):
            await self._carried.fetch(inbound)  # before the choice of an account, which may depend on it
        peek = inbound.peek
        is_anybodys = peek.operation == "generate" and peek.previous_id is None
        return Request(
            usable=any_account if is_anybodys else await self._usable(inbound, targets),
            wish=await self._wish(inbound, targets),
            is_retry=is_retry,
            deadline=now() + patience,
            has_effects=lambda: has_effects(inbound),
        )

    async def _wish(self, inbound: Inbound, targets: tuple[Target, ...]) -> Wish:
        wish = wish_of(inbound, self._policy, self._converters)
        if wish.account is None and self._keeps_sessions(inbound, targets):
            account = await self._sessions.account_of(inbound)
            if account is not None:
                return msgspec.structs.replace(wish, account=account)
        return wish

    def _keeps_sessions(self, inbound: Inbound, targets: tuple[Target, ...]) -> bool:
        """Whether it matters who answered before: there is a choice, and a relay would not say."""
        if self._policy.affinity != "conversation" or inbound.peek.operation != "generate":
            return False
        for target in targets:
            accounts = self._pools[target.pool].accounts
            if len(accounts) > 1 and inbound.converter.name in accounts[0].protocols:
                return True
        return False

    async def _along(
        self, targets: tuple[Target, ...], inbound: Inbound, exchange: Exchange, request: Request
    ) -> Whole | Live:
        """Each target in order, each account once; the journey says where to go next."""
        journey = Journey(targets, self._pools, request, self._policy)
        refusal: ClientError | None = None
        while True:
            lease = await self._lease(journey, exchange, request)
            if lease is None:
                if journey.onward():
                    continue
                break
            try:
                return await self._attempt(inbound, exchange, journey, lease, request)
            except UpstreamError as error:
                journey.failed(lease, error)
            except Unrepresentable as error:
                journey.refused(lease, self._alike(inbound, journey.target, lease.account))
                refusal = error
            except BaseException:
                lease.abandoned()
                raise
        if exchange.explain:
            exchange.passed_over.extend(journey.skipped)
        if refusal is not None and not journey.failures:
            raise refusal
        for error in reversed(journey.failures):
            if isinstance(error, Empty):
                return error.opened
        raise self._exhausted(journey, inbound, request.usable)

    def _alike(self, inbound: Inbound, target: Target, refusing: Account) -> set[str]:
        """The accounts of this pool that would refuse the same content for the same reason."""
        protocol = self._protocol(inbound, refusing)
        accounts = self._pools[target.pool].accounts
        return {account.name for account in accounts if self._protocol(inbound, account) == protocol}

    def _protocol(self, inbound: Inbound, account: Account) -> str:
        client, operation = inbound.converter.name, inbound.peek.operation
        return self._converters.protocol_for(client, account.protocols, operation)

    def _converts(self, inbound: Inbound, protocol: str) -> bool:
        """Whether a conversation is decoded for another protocol: a relay strips nothing, so it restores nothing."""
        return protocol != inbound.converter.name and inbound.peek.operation != "embed"

    async def _lease(self, journey: Journey, exchange: Exchange, request: Request) -> Lease | None:
        """An account for the next attempt on this target, waited for where only its limit stands in the way."""
        if exchange.explain:
            _explain(journey, exchange, request)
        lease = journey.lease()
        if lease is None and journey.is_full():
            lease = await self._waited(journey, exchange)
        if lease is None:
            lease = journey.panic()
        if lease is not None and journey.pause:
            try:
                await self.sleep(journey.pause)
            except BaseException:
                lease.abandoned()
                raise
        return lease

    async def _waited(self, journey: Journey, exchange: Exchange) -> Lease | None:
        pool = journey.pool
        began = pool.now()
        until = began + self._policy.concurrency.wait
        lease: Lease | None = None
        while lease is None and pool.now() < until and journey.is_full():
            if not await pool.wait():
                break
            lease = journey.lease()
        exchange.waited += pool.now() - began
        return lease

    async def _usable(self, inbound: Inbound, targets: tuple[Target, ...]) -> Usable:
        """Accounts that can serve the operation; stored responses live on one account."""
        if inbound.peek.operation != "generate":
            return self._serving(inbound, targets)
        if inbound.peek.previous_id is not None:
            holder = await self._pins.account_of(inbound.tenant, inbound.peek.previous_id)
            if holder is not None:
                return lambda account: account.name == holder
        return any_account

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
            return any_account
        return lambda account: offered(operation, account.protocols)

    async def _attempt(
        self, inbound: Inbound, exchange: Exchange, journey: Journey, lease: Lease, request: Request
    ) -> Whole | Live:
        account, target, now = lease.account, journey.target, journey.pool.now
        protocol = self._protocol(inbound, account)
        attempt = Attempt(
            pool=target.pool, account=account.name, model=target.model, protocol=protocol, started=now()
        )
        exchange.attempts.append(attempt)
        try:
            if self._converts(inbound, protocol):
                await self._carried.fetch(inbound)
            conversion = self._convert(inbound, exchange, target, account, protocol)
            if conversion.local is not None:
                lease.abandoned()  # nobody has to be asked
                opened = Whole(conversion.local)
            else:
                self._tell(exchange, attempt, conversion)
                try:
                    opened = await self._run(journey, lease, protocol, conversion, request.deadline)
                except Empty:
                    _note(exchange, journey, protocol, conversion)  # for if it stays at this
                    raise
            attempt.outcome = "ok"
        except UpstreamError as error:
            attempt.failed(error)
            raise
        except ClientError:
            attempt.outcome = "refused"
            raise
        except BaseException:
            attempt.outcome = "abandoned"
            raise
        finally:
            attempt.ended = now()
        _note(exchange, journey, protocol, conversion)
        if protocol == inbound.converter.name == STATEFUL_PROTOCOL:
            self._pin(opened, account, inbound.tenant)
        if protocol == inbound.converter.name and self._keeps_sessions(inbound, tuple(journey.targets)):
            self._sessions.remember(inbound, account.mark)
        return opened

    def _tell(self, exchange: Exchange, attempt: Attempt, conversion: Conversion) -> None:
        attempt.is_sent = True
        attempt.size = len(conversion.request.body)
        for call in self.attempting:
            call(exchange, attempt)

    def _run(
        self, journey: Journey, lease: Lease, protocol: str, conversion: Conversion, deadline: float
    ) -> Coroutine[object, object, Whole | Live]:
        """The attempt; a client that gives up early is answered before it does."""
        attempt = self._attempts.run(
            lease, self._converters[protocol], conversion, is_last=journey.is_alone(lease.account)
        )
        remaining = deadline - journey.pool.now()
        if remaining >= SHORT_PATIENCE:
            return attempt
        return _within(max(remaining, self._policy.retries.least), attempt)

    def _pin(self, opened: Whole | Live, account: Account, tenant: str) -> None:
        """Remember where a stored response lives, so that the next request can continue it there."""
        response_id = opened.response_id if isinstance(opened, Live) else opened.answer.response_id
        if response_id:
            self._pins.remember(tenant, response_id, account.name)

    def _convert(
        self, inbound: Inbound, exchange: Exchange, target: Target, account: Account, protocol: str
    ) -> Conversion:
        profile = account.provider.profile(target.model, protocol)
        wanted = ConversionTarget(
            model=target.model,
            profile=profile,
            streams=account.provider.streams,
            account=account.mark,
            remember=partial(self._carried.remember, inbound.tenant),
        )
        try:
            conversion = self._converters.convert(inbound, protocol, wanted)
        except MalformedMessage as error:
            raise BadRequest(info=as_client_error(error)) from error
        if exchange.strict:
            lost = [loss for loss in conversion.losses if loss.act in ("dropped", "approximated")]
            if lost:
                features = "; ".join(self._converters.told(inbound, lost))
                raise Unrepresentable(f"strict: {protocol} cannot take this request as it is ({features})")
        return conversion

    def _exhausted(self, journey: Journey, inbound: Inbound, usable: Usable) -> GatewayError:
        facts = Facts(journey.targets, self._pools, usable, self.wall)
        if journey.failures:
            return after_failures(journey.failures, facts)
        if inbound.peek.previous_id is not None:
            return _state_is_out(is_here=bool(facts.obstacles()))
        accounts = (a for target in journey.targets for a in self._pools[target.pool].accounts)
        if inbound.peek.operation != "generate" and not any(usable(account) for account in accounts):
            return Unrepresentable(f"{inbound.peek.operation} is not available for this model on this route")
        return all_out(facts)


async def _within(seconds: float, attempt: Coroutine[object, object, Whole | Live]) -> Whole | Live:
    try:
        async with asyncio.timeout(seconds):
            return await attempt
    except TimeoutError as error:
        raise TimedOut("no answer came within the client's own time-out") from error


def _note(exchange: Exchange, journey: Journey, protocol: str, conversion: Conversion) -> None:
    """Where the answer comes from."""
    target = journey.target
    exchange.pool, exchange.target_model, exchange.upstream_protocol = target.pool, target.model, protocol
    exchange.conversion, exchange.losses = conversion.label, conversion.losses


def _state_is_out(*, is_here: bool) -> StatefulAccountUnavailable:
    """The account that holds the state is out for now, or it is not on this route, where no retry helps."""
    where = "at the moment" if is_here else "on this route"
    error = StatefulAccountUnavailable(
        f"the account that holds the previous response is not available {where}"
    )
    if not is_here:
        error.info = msgspec.structs.replace(error.info, should_retry=False)
    return error


def _explain(journey: Journey, exchange: Exchange, request: Request) -> None:
    """Why each account of this target is not the next; what was said before of the same account is replaced."""
    now, model = journey.pool.now(), journey.target.model
    told = dict(entry.split(": ", 1) for entry in exchange.passed_over if ": " in entry)
    for account in journey.pool.accounts:
        if account.name in journey.tried:
            reason = "already tried"
        elif not request.usable(account):
            reason = "cannot serve this request"
        else:
            reason = account.why_not(model, now) or "another one's turn"
        told[account.name] = reason
    exchange.passed_over[:] = [f"{name}: {reason}" for name, reason in told.items()]
