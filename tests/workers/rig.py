"""A gateway with several worker processes, and clients for it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.program import DEADLINE, Program, serving_program
from tests.workers.load import BODY, Load

KEY = "a-client-key-of-these-tests"


def sections(url: str, concurrency: int = 64, **more: Any) -> dict[str, Any]:
    """One pool with two accounts, two workers."""
    account = {
        "provider": "anthropic_compatible",
        "base_url": url,
        "pool": "claude",
        "concurrency": concurrency,
    }
    given: dict[str, Any] = {
        "accounts": {name: {**account, "api_key": f"upstream-{name}"} for name in ("a", "b")},
        "keys": [{"name": "me", "key": KEY}],
        **more,
    }
    given["server"] = {"workers": 2, "drain": "20s", **more.get("server", {})}
    return given


class Fleet:
    """The program, its workers' processes, and what it says of itself."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @property
    def url(self) -> str:
        return self.program.url

    def worker(self, number: int) -> int:
        """The process that was started last in this place."""
        started = [line for line in self.program.events("worker_started") if line["worker"] == number]
        return int(started[-1]["worker_pid"])

    def ask(self, key: str = KEY, **more: Any) -> httpx.Response:
        """One request over a connection of its own."""
        return httpx.post(
            f"{self.url}/v1/messages",
            json={**BODY, **more},
            headers={"x-api-key": key},
            timeout=DEADLINE,
            verify=False,
        )

    def load(self, clients: int = 6) -> Load:
        """Clients that ask without a pause."""
        return Load(lambda: [self.url], KEY, clients)

    def health(self) -> dict[str, Any]:
        """What load balancers hear."""
        far_away = {"x-forwarded-for": "203.0.113.7"}
        return httpx.get(f"{self.url}/readyz", headers=far_away, timeout=DEADLINE, verify=False).json()

    def samples(self, name: str) -> dict[str, float]:
        """A metric's samples by the text of their labels."""
        lines = httpx.get(f"{self.url}/metrics", timeout=DEADLINE, verify=False).text.splitlines()
        found = (line.rpartition(" ") for line in lines if line.startswith(name))
        return {labels.removeprefix(name): float(value) for labels, _, value in found}

    def workers_of(self, event: str = "request") -> Counter[int]:
        """How many log lines of a kind each worker wrote."""
        return Counter(line["worker"] for line in self.program.events(event))


@contextmanager
def fleet(folder: Path, given: dict[str, Any] | None, *arguments: str) -> Iterator[Fleet]:
    """A gateway with workers until the block ends; whatever was started has ended then."""
    with serving_program(folder, given, *arguments) as program:
        found = Fleet(program)
        yield found
    started = [line["worker_pid"] for line in program.events("worker_started")]
    for pid in started:  # they end by themselves; a test that failed must not leave them
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
