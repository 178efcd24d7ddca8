"""The failover loop: along the route's fallback chain, over each pool's accounts, until an answer has begun."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Final

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import DEFAULTS, Policy
from aiclient2api.accounts.pool import AccountPool, Usable
from aiclient2api.errors import (
    BadRequest,
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
from aiclient2api.gateway.plans import Aim, Plan, Plans
from aiclient2api.gateway.sessions import Sessions
from aiclient2api.gateway.upstream import Empty, Live, Whole
from aiclient2api.protocols.conversion import Answer, Conversion, Inbound
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.routing.table import Route, RouteTable
from aiclient2api.routing.targets import Target

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
        self._plans = Plans(pools, converters, traces.carried, policy)
        self.attempting: Sequence[Callable[[Exchange, Attempt], None]] = ()
        """Called when an upstream is about to be."""
        self.wall: Callable[[], float] = time.time
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def open(
        self, inbound: Inbound, exchange: Exchange, pool: str | None = None
    ) -> Coroutine[object, object, Whole | Live]:
        """The first answer along the route. Raises GatewayError when there is none, UnknownModel at once."""
        route = self._routes.resolve(inbound.peek.model, pool)
        plan = self._plans.plan(inbound, route.targets)
        is_plain = inbound.peek.previous_id is None if plan.is_plain else self._is_plain(inbound, plan)
        if route.context_fallback or not is_plain:
            return self._open(inbound, exchange, plan, route)
        return self._along(plan, inbound, exchange, self._request(inbound, plan, any_account))

    def _is_plain(self, inbound: Inbound, plan: Plan) -> bool:
        """Whether nothing has to be looked up before an account is chosen."""
        peek = inbound.peek
        if peek.operation != "generate" or peek.previous_id is not None:
            return False
        if plan.keeps_sessions and self._sessions.may_know(inbound):
            return False
        return not plan.is_converted or not self._carried.is_wanted(inbound)

    async def _open(self, inbound: Inbound, exchange: Exchange, plan: Plan, route: Route) -> Whole | Live:
        if plan.is_converted:
            await self._carried.fetch(inbound)  # before the choice of an account, which may depend on it
        request = self._request(inbound, plan, await self._usable(inbound, route.targets))
        if request.wish.account is None and plan.keeps_sessions:
            account = await self._sessions.account_of(inbound)
            if account is not None:
                wish = msgspec.structs.replace(request.wish, account=account)
                request = msgspec.structs.replace(request, wish=wish)
        try:
            return await self._along(plan, inbound, exchange, request)
        except ContextTooLong:
            if not route.context_fallback:
                raise
            plan = self._plans.plan(inbound, route.context_fallback)
            return await self._along(plan, inbound, exchange, request)

    def _request(self, inbound: Inbound, plan: Plan, usable: Usable) -> Request:
        patience, is_retry = told(inbound.wire, self._policy.retries)
        return Request(
            usable=usable,
            wish=wish_of(inbound, self._policy, self._converters),
            is_retry=is_retry,
            deadline=plan.hops[0].pool.now() + patience,
            has_effects=lambda: has_effects(inbound),
        )

    async def _along(
        self, plan: Plan, inbound: Inbound, exchange: Exchange, request: Request
    ) -> Whole | Live:
        """Each target in order, each account once; the journey says where to go next."""
        journey = Journey(plan.hops, request, self._policy)
        conversion: Conversion | None = None
        while True:
            if exchange.explain:
                _explain(journey, exchange, request)
            lease = journey.lease()
            if lease is None or journey.pause:
                lease = await self._lease(journey, exchange, lease)
            if lease is None:
                if journey.onward():
                    continue
                return self._nothing(journey, inbound, exchange)
            attempt = _begun(exchange, journey, lease)
            try:
                aim = self._plans.aim(inbound, lease.account, journey.target.model)
                attempt.protocol = aim.converter.name
                if aim.is_converted and inbound.records is None:
                    await self._carried.fetch(inbound)
                conversion = self._convert(inbound, exchange, aim)
                opened = await self._sent(exchange, journey, lease, aim, conversion)
                attempt.outcome, attempt.ended = "ok", journey.pool.now()
                _note(exchange, attempt, conversion)
                if aim.is_stateful:
                    self._pin(opened, lease.account, inbound.tenant)
                if plan.keeps_sessions and aim.is_own:
                    self._sessions.remember(inbound, lease.account.mark)
                return opened
            except BaseException as error:
                attempt.failed(error)
                attempt.ended = journey.pool.now()
                if isinstance(error, Empty) and conversion is not None:
                    _note(exchange, attempt, conversion)  # for if it stays at this
                if not self._goes_on(error, inbound, journey, lease):
                    raise

    def _goes_on(self, error: BaseException, inbound: Inbound, journey: Journey, lease: Lease) -> bool:
        """Whether a failed attempt may be followed by another. Raises the error when it is the client's own."""
        if isinstance(error, UpstreamError):
            journey.failed(lease, error)
            return True
        if isinstance(error, Unrepresentable):
            journey.refused(lease, self._alike(inbound, journey.target, lease.account))
            journey.refusal = error
            return True
        lease.abandoned()
        return False

    def _nothing(self, journey: Journey, inbound: Inbound, exchange: Exchange) -> Whole | Live:
        """What there is at the end of the way. Raises GatewayError."""
        if exchange.explain:
            exchange.passed_over.extend(journey.skipped)
        if journey.refusal is not None and not journey.failures:
            raise journey.refusal
        for error in reversed(journey.failures):
            if isinstance(error, Empty):
                return error.opened
        raise self._exhausted(journey, inbound, journey.request.usable)

    def _alike(self, inbound: Inbound, target: Target, refusing: Account) -> set[str]:
        """The accounts of this pool that would refuse the same content for the same reason."""
        protocol_of = self._plans.protocol
        protocol = protocol_of(inbound, refusing)
        accounts = self._pools[target.pool].accounts
        return {account.name for account in accounts if protocol_of(inbound, account) == protocol}

    async def _lease(self, journey: Journey, exchange: Exchange, lease: Lease | None) -> Lease | None:
        """An account after all, waited for where only its limit stands in the way; and the pause before a retry."""
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

    def _sent(
        self, exchange: Exchange, journey: Journey, lease: Lease, aim: Aim, conversion: Conversion
    ) -> Awaitable[Whole | Live]:
        """The attempt; a client that gives up early is answered before it does."""
        if conversion.local is not None:
            return _at_once(lease, conversion.local)
        attempt = exchange.attempts[-1]
        attempt.is_sent = True
        attempt.size = len(conversion.request.body)
        for call in self.attempting:
            call(exchange, attempt)
        is_last = journey.is_alone(lease.account)
        running = self._attempts.run(lease, aim.converter, conversion, is_last=is_last)
        remaining = journey.request.deadline - journey.pool.now()
        if remaining >= SHORT_PATIENCE:
            return running
        return _within(max(remaining, self._policy.retries.least), running)

    def _pin(self, opened: Whole | Live, account: Account, tenant: str) -> None:
        """Remember where a stored response lives, so that the next request can continue it there."""
        response_id = opened.response_id if isinstance(opened, Live) else opened.answer.response_id
        if response_id:
            self._pins.remember(tenant, response_id, account.name)

    def _convert(self, inbound: Inbound, exchange: Exchange, aim: Aim) -> Conversion:
        protocol = aim.converter.name
        try:
            conversion = self._converters.convert(inbound, protocol, aim.target)
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
            what = "embeddings are" if inbound.peek.operation == "embed" else "counting tokens is"
            return Unrepresentable(f"{what} not available for this model on this route")
        return all_out(facts)


async def _within(seconds: float, attempt: Coroutine[object, object, Whole | Live]) -> Whole | Live:
    try:
        async with asyncio.timeout(seconds):
            return await attempt
    except TimeoutError as error:
        raise TimedOut("no answer came within the client's own time-out") from error


async def _at_once(lease: Lease, answer: Answer) -> Whole:
    """Nobody has to be asked."""
    lease.abandoned()
    return Whole(answer)


def _begun(exchange: Exchange, journey: Journey, lease: Lease) -> Attempt:
    target = journey.target
    attempt = Attempt(
        pool=target.pool,
        account=lease.account.name,
        model=target.model,
        started=journey.pool.now(),
    )
    exchange.attempts.append(attempt)
    return attempt


def _note(exchange: Exchange, attempt: Attempt, conversion: Conversion) -> None:
    """Where the answer comes from."""
    exchange.pool, exchange.target_model = attempt.pool, attempt.model
    exchange.upstream_protocol = attempt.protocol
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
