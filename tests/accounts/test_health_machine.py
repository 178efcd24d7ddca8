"""Any order of leases, outcomes and waiting: what must hold after every step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from aiclient2api.accounts.health import Status
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.errors import (
    CredentialsRejected,
    ModelMissing,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Rejected,
    Saturated,
    TimedOut,
    Truncated,
    Unreachable,
    UpstreamError,
    UpstreamFailed,
)
from tests.fakes.accounts import Clock, account, anyone

ERRORS: list[UpstreamError] = [
    Rejected(),
    ModelMissing(),
    Saturated(),
    CredentialsRejected(),
    QuotaExhausted(),
    RateLimited(),
    RateLimited(retry_after=3600.0),
    Overloaded(),
    UpstreamFailed(),
    TimedOut(),
    Truncated(),
    Unreachable(),
]
PATIENCE = 600.0
LONGEST = 86_400.0 * 1.3


class Machine(RuleBasedStateMachine):
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.jitter = 0.0
        self.pool = AccountPool(
            "main", [account(name) for name in "abc"], now=self.clock, random=lambda: self.jitter
        )
        self.open: set[Lease] = set()

    @rule(target=leases, model=st.sampled_from("mn"), panic=st.booleans())
    def take(self, model: str, panic: bool):
        lease = self.pool.take(anyone, model, set())
        if lease is None and panic:
            lease = self.pool.take_in_panic(anyone, model, set())
        if lease is None:
            return multiple()
        self.open.add(lease)
        return lease

    @rule(lease=leases)
    def begin(self, lease: Lease) -> None:
        lease.begun()

    @rule(lease=consumes(leases))
    def succeed(self, lease: Lease) -> None:
        lease.succeeded()
        self.open.discard(lease)

    @rule(lease=consumes(leases), error=st.sampled_from(ERRORS))
    def fail(self, lease: Lease, error: UpstreamError) -> None:
        lease.failed(error)
        self.open.discard(lease)

    @rule(lease=consumes(leases))
    def abandon(self, lease: Lease) -> None:
        lease.abandoned()
        self.open.discard(lease)

    @rule(
        seconds=st.sampled_from([0.01, 0.5, 3.0, 11.0, 31.0, 61.0, 400.0, 2000.0]),
        jitter=st.floats(0, 1, exclude_max=True),
    )
    def wait(self, seconds: float, jitter: float) -> None:
        for lease in [lease for lease in self.open if self.clock.now + seconds - lease.started >= PATIENCE]:
            lease.failed(TimedOut())  # every attempt has a time-out
            self.open.discard(lease)
        self.clock.now += seconds
        self.jitter = jitter

    @invariant()
    def counts_add_up(self) -> None:
        for one in self.pool.accounts:
            assert one.inflight == sum(lease.account is one for lease in self.open)
            assert 1.0 <= one.limit <= one.concurrency

    @invariant()
    def one_probe_at_a_time(self) -> None:
        for one in self.pool.accounts:
            probes = [lease for lease in self.open if lease.account is one and lease.is_probe]
            if one.state.status is Status.HALF_OPEN:
                assert sum(lease.probes_account for lease in probes) == 1
            for model, overlay in one.overlays.items():
                if overlay.status is Status.HALF_OPEN:
                    assert sum(lease.probes_model and lease.model == model for lease in probes) == 1

    @invariant()
    def every_bad_state_ends_by_itself(self) -> None:
        for one in self.pool.accounts:
            for state in (one.state, *one.overlays.values()):
                assert state.is_open(self.clock.now + LONGEST)
            for circuit in (one.host, one.shared("m").overload, one.shared("n").overload):
                assert not circuit.blocks(self.clock.now + 700.0)

    def teardown(self) -> None:
        """When everything is over and time has passed, the pool serves again."""
        for lease in self.open:
            lease.abandoned()
        self.clock.now += LONGEST
        for model in "mn":
            lease = self.pool.take(anyone, model, set())
            assert lease is not None
            lease.succeeded()


Machine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestHealthMachine = Machine.TestCase
