"""What happens to one request, as facts: collected on the way, told to observers at the end."""

from __future__ import annotations

from enum import Enum
from typing import Literal, Protocol

from msgspec import Struct, field

from aiclient2api.errors import ClientError, UpstreamError
from aiclient2api.gateway.state_refusals import refuses_state
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import Operation
from aiclient2api.ir.response import Usage
from aiclient2api.wire.http import Headers

Outcome = Literal["ok", "client_error", "upstream_error", "cut", "client_gone", "internal_error"]
Mark = Literal["reported", "derived", "estimated", "none"]
"""Where an attempt's numbers come from: the upstream's own, computed from its own, counted here, or there are none."""
Counts = tuple[Mark, int, int, int, int, int]
"""What an attempt is booked with: input, cache read, cache write, output, reasoning."""


class Phase(Enum):
    """How far a request has come, which decides what a failure means for the client."""

    ADMIT = "admit"
    """Nothing was sent upstream: a real status."""
    PRE_HEADERS = "pre headers"
    """Asked upstream, nothing sent to the client: invisible failover, then a real status."""
    PRE_CONTENT = "pre content"
    """Headers and heartbeats were sent, nothing of an answer: invisible failover, then an in-band error."""
    STREAMING = "streaming"
    """Content was sent: no failover; an in-band error, and the connection is closed unfinished."""
    TERMINAL_SEEN = "terminal seen"
    """The answer is complete: whatever the upstream does now does not matter."""


class Attempt(Struct, kw_only=True, gc=False):
    """One try on one account. Times in seconds of the gateway's clock."""

    pool: str
    account: str
    model: str
    protocol: str = ""
    started: float
    ended: float = 0.0
    outcome: str = "open"
    """`ok`, an error's code, `refused` (not expressible there) or `abandoned`."""
    is_sent: bool = False
    """The upstream was called; a request that could not be expressed there never is."""
    size: int = 0
    """Bytes of the request's body."""
    scope: str = ""
    """Whose trouble a failure was."""
    cause: str = ""
    """What broke, in a word or two: `status=502`, `connect`, `cut`."""
    refuses_state: bool = False
    """The upstream complained about a signature or encrypted reasoning in the history."""

    def failed(self, error: BaseException) -> None:
        """Note why."""
        if isinstance(error, UpstreamError):
            self.outcome = error.info.label
            self.scope, self.cause = error.scope.value, error.cause
            self.refuses_state = refuses_state(error.info)
        else:
            self.outcome = "refused" if isinstance(error, ClientError) else "abandoned"

    @property
    def verdict(self) -> str:
        """Outcome and cause, for people."""
        return f"{self.outcome} ({self.cause})" if self.cause else self.outcome


class Exchange(Struct, kw_only=True):
    """One client request."""

    request_id: str
    protocol: str
    started: float
    operation: Operation = "generate"
    key: str = ""
    model: str = ""
    is_stream: bool = False
    strict: bool = False
    explain: bool = False
    """The client wants to see the whole trail."""
    joined: bool = False
    """Answered by the same request, which was under way: nothing was asked upstream for it."""
    waited: float = 0.0
    """Seconds until an account had a place free."""
    phase: Phase = Phase.ADMIT
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    passed_over: list[str] = field(default_factory=list[str])
    """Why accounts were not tried, for `x-a2-explain`."""
    limit_headers: Headers = ()
    """What the client key may still ask for, as the client's protocol tells it."""
    pool: str = ""
    target_model: str = ""
    upstream_protocol: str = ""
    conversion: str = ""
    losses: list[Loss] = field(default_factory=list[Loss])
    status: int = 0
    outcome: Outcome = "ok"
    error: str = ""
    first_content: float | None = None
    ended: float = 0.0
    usage: Usage | None = None
    events: int = 0
    """Events of a streamed answer that came from the upstream."""
    booked: tuple[Counts, ...] | None = None
    """Of each attempt, worked out by the first observer that needs it (`ledger/bookkeeper.py`)."""

    @property
    def target(self) -> str:
        """`pool/model`, as the client is told."""
        return f"{self.pool}/{self.target_model}" if self.pool else ""


class Observer(Protocol):
    """Told what happened. Called on the event loop: must not block and must not fail.

    Who has to know of a beginning is told by a function of its own: of a request's (`Services.starting`), of an
    attempt's (`Dispatcher.attempting`).
    """

    def ended(self, exchange: Exchange) -> None:
        """It is over, one way or another."""
        ...
