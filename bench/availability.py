"""`make availability`: months of outages in minutes, through the real failover, pools, health and budgets.

Upstreams are imagined (Appendix B of the reliability design, corrected): accounts fail and heal on their own, whole
providers have outages, and a small share of calls fails for no reason. Everything that decides is the code that
serves; only the clock is moved by hand. Corrections against the model of the appendix: an outage of a provider shows
as what it is (an overload or a failure, half and half), the last target is not tried blindly but by the panic rule,
one attempt is reserved per target, and what was gambled away by unsafe retries counts.
"""

from __future__ import annotations

import argparse
import bisect
import datetime
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.faults.reports import commit, source, upper_bound

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.policy import DEFAULTS
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.errors import Overloaded, RateLimited, UpstreamError, UpstreamFailed
from aiclient2api.gateway.failover import Journey, Request, any_account, hops_of
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.routing.targets import Target

REPORT = Path("docs/reports/availability.md")
DAY = 86_400.0


class Model(NamedTuple):
    """How the world fails. Seconds."""

    account: tuple[float, float] = (4 * 3600.0, 600.0)
    provider: tuple[float, float] = (10.4 * DAY, 2700.0)
    transient: float = 0.004
    gap: float = 10.0


class Downtimes:
    """Intervals in which something is down."""

    def __init__(self, horizon: float, mean: tuple[float, float], rng: random.Random) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        at = rng.expovariate(1 / mean[0])
        while at < horizon:
            end = at + rng.expovariate(1 / mean[1])
            self._starts.append(at)
            self._ends.append(end)
            at = end + rng.expovariate(1 / mean[0])

    def at(self, now: float) -> bool:
        """Whether it is down."""
        index = bisect.bisect_right(self._starts, now) - 1
        return index >= 0 and self._ends[index] > now

    def share(self, horizon: float) -> float:
        """The share of time it is down."""
        return (
            sum(min(end, horizon) - start for start, end in zip(self._starts, self._ends, strict=True))
            / horizon
        )


class World:
    """Providers with their accounts, one run."""

    def __init__(self, sizes: Sequence[int], days: float, model: Model, seed: int) -> None:
        self.horizon = days * DAY
        self.model = model
        self.now = 0.0
        self.rng = random.Random(seed)
        outages = random.Random(seed * 7919)
        self.providers = [Downtimes(self.horizon, model.provider, outages) for _ in sizes]
        self.down: dict[str, Downtimes] = {}
        self.faults: dict[str, int] = {}
        shared = Surroundings()
        self.pools: dict[str, AccountPool] = {}
        for index, size in enumerate(sizes):
            accounts = [self._account(index, number, outages) for number in range(size)]
            name = f"pool{index}"
            self.pools[name] = AccountPool(
                name, accounts, now=lambda: self.now, random=self.rng.random, surroundings=shared
            )
        self.targets = [Target(name, "model") for name in self.pools]

    def _account(self, index: int, number: int, outages: random.Random) -> Account:
        name = f"{index}-{number}"
        self.down[name] = Downtimes(self.horizon, self.model.account, outages)
        self.faults[name] = outages.randrange(3)
        provider = ApiKeyProvider(
            protocols=("openai_chat",),
            base_url=f"http://provider{index}/v1",
            credentials=Credentials(Secret("none")),
            auth="authorization",
            profiles=lambda _model, _protocol: DEFAULT_PROFILE,
        )
        return Account(name, f"provider{index}", provider, AccountSettings())

    def outcome(self, account: Account) -> UpstreamError | None:
        """What a call on this account ends with now."""
        index = int(account.name.partition("-")[0])
        if self.providers[index].at(self.now):
            return Overloaded("busy") if self.rng.random() < 0.5 else UpstreamFailed("500")
        if self.down[account.name].at(self.now):
            if self.faults[account.name] == 0:
                return RateLimited("slow down", retry_after=20.0)
            return UpstreamFailed("500")
        return UpstreamFailed("500") if self.rng.random() < self.model.transient else None


class Figures(NamedTuple):
    """What a run came to."""

    requests: int
    failed: int
    calls: int

    @property
    def availability(self) -> float:
        """Percent."""
        return 100 * (1 - self.failed / self.requests)

    @property
    def at_least(self) -> float:
        """Percent, with 95 % confidence."""
        return 100 * (1 - upper_bound(self.failed, self.requests))


def run(world: World, *, has_failover: bool = True) -> Figures:
    """Every request of the run; without failover one blind attempt, round robin."""
    requests = failed = calls = 0
    policy = next(iter(world.pools.values())).policy
    accounts = [account for pool in world.pools.values() for account in pool.accounts]
    ask = Request(usable=any_account)
    while world.now < world.horizon:
        requests += 1
        if has_failover:
            made = _journey(Journey(hops_of(world.targets, world.pools, policy.retries), ask, policy), world)
        else:
            made = (1, world.outcome(accounts[requests % len(accounts)]) is None)
        calls += made[0]
        failed += not made[1]
        world.now += world.rng.expovariate(1 / world.model.gap)
    return Figures(requests, failed, calls)


def _journey(journey: Journey, world: World) -> tuple[int, bool]:
    calls = 0
    while True:
        lease = journey.lease() or journey.panic()
        if lease is None:
            if journey.onward():
                continue
            return calls, False
        calls += 1
        error = world.outcome(lease.account)
        if error is None:
            lease.begun()
            lease.succeeded()
            return calls, True
        journey.failed(lease, error)


ROWS: list[tuple[str, Sequence[int], bool, float | None]] = [
    ("8, one provider, blind", (8,), False, None),
    ("1", (1,), True, None),
    ("8, one provider", (8,), True, None),
    ("1+1, two providers", (1, 1), True, None),
    ("3+1", (3, 1), True, None),
    ("2+2", (2, 2), True, 99.99),
    ("4+4", (4, 4), True, None),
    ("4+2+2, three providers", (4, 2, 2), True, None),
]
"""Name, accounts per provider, failover, and the goal."""


def table(days: float, seeds: Sequence[int], model: Model) -> tuple[list[str], bool]:
    """The rows of the report, and whether every goal was met."""
    with ProcessPoolExecutor() as processes:
        under_way = [
            [processes.submit(_simulated, sizes, days, model, seed, has_failover) for seed in seeds]
            for _, sizes, has_failover, _ in ROWS
        ]
        return _lines([[future.result() for future in futures] for futures in under_way])


def _simulated(sizes: Sequence[int], days: float, model: Model, seed: int, has_failover: bool) -> Figures:
    return run(World(sizes, days, model, seed), has_failover=has_failover)


def _lines(found: Sequence[Sequence[Figures]]) -> tuple[list[str], bool]:
    lines: list[str] = []
    fine = True
    for (name, _, _, goal), runs in zip(ROWS, found, strict=True):
        whole = Figures(*(sum(figures[index] for figures in runs) for index in range(3)))
        worst = min(figures.availability for figures in runs)
        met = "" if goal is None else "met" if whole.availability >= goal else "MISSED"
        fine = fine and met != "MISSED"
        goal_text = f"≥ {goal} %: {met}" if goal else "–"
        lines.append(
            f"| {name} | {whole.availability:.4f} % | {whole.at_least:.4f} % | {worst:.4f} % "
            f"| {whole.failed} of {whole.requests} "
            f"| {whole.calls / whole.requests:.4f} | {goal_text} |"
        )
        print(lines[-1], flush=True)
    return lines, fine


def report(lines: Sequence[str], options: argparse.Namespace, model: Model, seconds: float) -> str:
    """The committed page."""
    seeds = ", ".join(str(seed) for seed in options.seeds)
    return "\n".join(
        (
            "# Simulated availability",
            "",
            f"Made by `make availability` on {datetime.date.today().isoformat()} in {seconds:.0f} s: "
            f"{os.cpu_count()} cores, {platform.python_implementation()} {platform.python_version()}, "
            f"{platform.system()}, commit {commit()}, code {source('bench/availability.py')}. Seeds {seeds}; {options.days:g} days each, a request every {model.gap:g} s.",
            "",
            f"Accounts fail every {model.account[0] / 3600:g} h for {model.account[1] / 60:g} min, a third of them with "
            f"429, the others with 500; providers every {model.provider[0] / DAY:g} days for "
            f"{model.provider[1] / 60:g} min (means of exponential distributions), with overload and 500 half and half; "
            f"{100 * model.transient:g} % of all calls fail for no reason. These are assumptions, not measurements of any "
            "provider. The failover, the pools, the health rules, the budgets and the throttle are the ones that serve; "
            "the clock is moved by hand.",
            "",
            "| Accounts per provider | Answered | At least (95 %) | Worst seed | Failed | Calls per request | Goal |",
            "|---|---|---|---|---|---|---|",
            *lines,
            "",
            "The goal is held against all seeds together; the second column is the lower bound of that share (Poisson).",
            "",
            "One provider cannot be better than the provider itself; two with two accounts each are. What still fails with "
            "2+2 are nearly always two answers of 500 in a row: the upstream had the request and may bill it, so that it is "
            f"sent again only once (`policy.retries.unsafe: {DEFAULTS.retries.unsafe}`).",
            "",
        )
    )


def main() -> int:
    """Run all rows; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(description="Simulated availability.")
    parser.add_argument("--days", type=float, default=90.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--gap", type=float, default=Model().gap, help="mean seconds between requests")
    parser.add_argument("--report", type=Path, default=REPORT)
    options = parser.parse_args()
    model = Model(gap=options.gap)
    began = time.perf_counter()
    lines, fine = table(options.days, options.seeds, model)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(report(lines, options, model, time.perf_counter() - began), encoding="utf-8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
