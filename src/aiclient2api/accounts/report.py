"""What there is to say of accounts, as values: for metrics, readiness and commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import USABLE, AccountState
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.surroundings import Surroundings


class Outage(Struct, frozen=True, kw_only=True):
    """Something is not used: an account, with `model` only that model on it, else a host or a provider's model."""

    pool: str = ""
    account: str = ""
    model: str = ""
    circuit: str = ""
    """`host:…` or `model:provider/…`."""
    state: str
    reason: str
    seconds: float
    """Until it may be probed; infinite for what the operator has disabled."""


class AccountReport(Struct, frozen=True, kw_only=True):
    """One account now."""

    pool: str
    account: str
    provider: str
    state: str
    inflight: int
    limit: float
    first_token: float | None
    """The usual seconds to the first content; None without samples."""
    outages: tuple[Outage, ...] = ()


def accounts(pools: Iterable[AccountPool]) -> Iterator[AccountReport]:
    """Every account of the pools."""
    for pool in pools:
        now = pool.now()
        for one in pool.accounts:
            states: list[tuple[str, AccountState]] = [("", one.state), *one.overlays.items()]
            yield AccountReport(
                pool=pool.name,
                account=one.name,
                provider=one.provider_name,
                state=one.state.status.value,
                inflight=one.inflight,
                limit=one.limit,
                first_token=one.evidence.first_token if one.evidence.timed else None,
                outages=_without_token(pool, one)
                + tuple(
                    Outage(
                        pool=pool.name,
                        account=one.name,
                        model=model,
                        state=state.status.value,
                        reason=state.reason,
                        seconds=max(0.0, state.until - now),
                    )
                    for model, state in states
                    if state.status not in USABLE
                ),
            )


def _without_token(pool: AccountPool, one: Account) -> tuple[Outage, ...]:
    obstacle = one.token_obstacle
    if obstacle is None:
        return ()
    outage = Outage(
        pool=pool.name,
        account=one.name,
        state=obstacle.cause.value,
        reason=obstacle.reason,
        seconds=obstacle.wait,
    )
    return (outage,)


def circuits(surroundings: Surroundings, now: float) -> Iterator[Outage]:
    """Hosts and models of providers that are left alone."""
    for circuit in surroundings.circuits():
        if circuit.state.is_open:
            yield Outage(
                circuit=circuit.name, state="open", reason=circuit.state.reason, seconds=circuit.opens_in(now)
            )
