"""Accounts, pools and a clock for tests of what hands them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.credentials import Credentials, Secret


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


def _profile(_model: str, _protocol: str) -> ModelProfile:
    return DEFAULT_PROFILE


def account(
    name: str,
    settings: AccountSettings | None = None,
    protocols: Sequence[str] = ("openai_chat", "openai_responses"),
    provider: str = "openai",
) -> Account:
    """An account at an upstream that is never called."""
    adapter = ApiKeyProvider(
        protocols=protocols,
        base_url="http://127.0.0.1:9/v1",
        credentials=Credentials(Secret("upstream-key")),
        auth="authorization",
        profiles=_profile,
    )
    return Account(name, provider, adapter, settings or AccountSettings())


def pool(clock: Clock, *accounts: Account) -> AccountPool:
    """A pool whose jitter is always the middle."""
    return AccountPool("main", accounts, now=clock, random=lambda: 0.5)


def anyone(_account: Account) -> bool:
    """Every account will do."""
    return True


def takes(chosen: AccountPool, count: int, model: str = "m") -> Counter[str]:
    """Who served how many of `count` requests, each over before the next."""
    served: Counter[str] = Counter()
    for _ in range(count):
        lease = chosen.take(anyone, model, set())
        assert lease is not None
        served[lease.account.name] += 1
        lease.abandoned()
    return served


def fairness(shares: list[int]) -> float:
    """Jain's index: 1 when all shares are equal."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def out(one: Account, status: Status, until: float) -> Account:
    """The account, taken out."""
    one.state = AccountState(status=status, until=until, reason="x", step=1)
    return one
