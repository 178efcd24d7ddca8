"""Every constant of health, selection and retries, with its default (design "reliability" 3.2-3.6, rulings "Cooling").

The configuration has the same names under `policy`. Times are seconds.
"""

from __future__ import annotations

from msgspec import Struct


class HealthPolicy(Struct, frozen=True, kw_only=True):
    """When an account is taken out, and for how long."""

    strikes: int = 3
    """Failures in a row that eject."""
    window: float = 60.0
    """How far back the shares of failures look: a ring of six slots."""
    samples: int = 10
    """Under so many, shares and times say nothing."""
    eject_share: float = 0.5
    degrade_share: float = 0.2
    degraded_weight: float = 0.25
    slow_first_token: float = 2.0
    """A time to the first content under this is never an outlier."""
    slow_factor: float = 3.0
    """How many times the pool's median makes an outlier."""
    eject: float = 5.0
    eject_max: float = 300.0
    cool: float = 5.0
    """Without a Retry-After."""
    cool_failures: int = 3
    """Refusals in a row on one account, the last a 429 without a Retry-After, before the model rests there. A single
    one does nothing: some providers refuse one request in a hundred all day (Vertex AI's shared quota), and all their
    accounts would rest half of the time."""
    cool_max: float = 60.0
    retry_after_min: float = 1.0
    retry_after_max: float = 900.0
    """How long a Retry-After is honoured before the account is probed all the same."""
    quota_probe: float = 720.0
    """Spent quota is probed so often, ± 20 %, whatever reset was promised."""
    disabled_probe: float = 600.0
    disabled_max: float = 86_400.0
    probe_patience: float = 600.0
    """After so long without a verdict another probe may go; longer than any attempt."""
    probe_body: int = 32 * 1024
    """Larger requests are not used as probes while another account can serve, in bytes."""
    ramp: float = 30.0
    ramp_start: float = 0.1
    forgive: float = 60.0
    """So long in health takes one doubling off the next outage."""
    host_failures: int = 2
    """Connections in a row that fail before a host is left alone."""
    host: float = 1.0
    host_max: float = 5.0
    overload_failures: int = 10
    """Overloads in a row, on one account or over all of a provider, before the model is left alone there. So many,
    because a provider that refuses one request in five would else be left alone most of the time; failover hides the
    single ones."""
    overload: float = 5.0
    overload_max: float = 30.0


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How often a request is tried again, and what retries may cost."""

    attempts: int = 5
    first_hop: int = 3
    """Attempts on the first target of a chain; each further target adds one, each to come has one reserved."""
    unsafe: int = 1
    """Retries of a request that was sent whole and got no verdict: the upstream may have billed it."""
    budget_share: float = 0.2
    """What each request adds to its pool's retry budget."""
    budget_cap: float = 100.0
    budget_floor: float = 10.0
    """What each second adds."""
    cost_unsafe: float = 1.0
    cost_safe: float = 0.2
    backoff: float = 0.05
    """Base of the pause before the second retry; the first is at once."""
    backoff_max: float = 1.0
    deadline: float = 600.0
    least: float = 2.0
    """An attempt that is not the first needs so much time before the deadline."""
    margin: float = 1.0
    """How long before the client's own time-out its deadline is."""


class ThrottlePolicy(Struct, frozen=True, kw_only=True):
    """The adaptive throttle of a provider's model (Google SRE book, "Handling Overload")."""

    factor: float = 2.0
    window: float = 120.0
    samples: int = 20
    """Under so many requests nothing is rejected."""
    trickle: float = 1.0
    """One request in so many seconds always goes through."""


class ConcurrencyPolicy(Struct, frozen=True, kw_only=True):
    """How an account's concurrency limit moves, and who waits for a place."""

    decrease: float = 0.7
    busy: float = 0.8
    """The share of the limit that must be in use for it to grow."""
    pause: float = 1.0
    """Between two decreases."""
    waiters: int = 64
    wait: float = 2.0


class Policy(Struct, frozen=True, kw_only=True):
    """All of it."""

    health: HealthPolicy = HealthPolicy()
    retries: RetryPolicy = RetryPolicy()
    throttle: ThrottlePolicy = ThrottlePolicy()
    concurrency: ConcurrencyPolicy = ConcurrencyPolicy()
    affinity: str = "conversation"
    """`off`, `conversation` or `prompt_cache`."""
    affinity_load: float = 1.25
    """How much more than its share an account may carry for the sake of a prompt cache."""


DEFAULTS = Policy()
