"""No lock is taken on the way of a request: neither a thread's nor a task's. Dialling a new connection takes some."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from tests.harness import Stack, four_pools, simulated
from tests.integration.test_store_round_trips import REQUESTS, post

PLAIN = threading.Lock  # noqa: TID251  # to see whether anybody uses it
TAKING = ("acquire", "__enter__", "acquire_lock")
ON_THE_WAY = ("server/", "gateway/", "net/")
"""One of these runs for a request; timers that collect what requests left (the log, the ledger) do not."""


class VisibleLock:
    """A lock whose `with` a profiler can see: that of a lock in C calls nothing."""

    def __init__(self) -> None:
        self._lock = PLAIN()
        self.release = self._lock.release
        self.locked = self._lock.locked
        self._at_fork_reinit = lambda: None  # concurrent.futures asks for it

    def acquire(self, *arguments: Any, **named: Any) -> bool:
        """See threading.Lock."""
        return self._lock.acquire(*arguments, **named)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Watch:
    """A profiler of the gateway's thread: every lock that is taken by the gateway, and where."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, what: Any) -> None:
        """See sys.setprofile."""
        if event == "c_call" and what.__name__ in TAKING:
            kind = type(what.__self__).__name__
            if "lock" in kind.lower() and frame.f_code is not VisibleLock.acquire.__code__:
                self._note(frame, f"{kind}.{what.__name__}")
        elif event == "call":
            self.calls += 1
            code = frame.f_code
            if code is VisibleLock.acquire.__code__:
                self._note(frame, "lock")
            elif code.co_filename.endswith("asyncio/locks.py") and code.co_name == "acquire":
                self._note(frame, "asyncio")

    def _note(self, frame: FrameType | None, kind: str) -> None:
        places: list[str] = []
        while frame is not None:
            before, found, place = frame.f_code.co_filename.rpartition("/aiclient2api/")
            if found and before:
                places.append(f"{place}:{frame.f_lineno}")
            frame = frame.f_back
        if any(place.startswith(ON_THE_WAY) for place in places):
            self.taken.append(f"{kind} in {places[0]}")


def watched(stack: Stack, watch: Watch | None) -> None:
    """On the thread that serves, from now on."""
    stack.call(lambda: sys.setprofile(watch))


@pytest.mark.parametrize("name", REQUESTS)
def test_no_lock_is_taken_on_the_way_of_a_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Lock", VisibleLock)
    path, body = REQUESTS[name]
    with simulated(four_pools) as (stack, _):
        post(stack, path, body)  # what is made once: connections, threads
        watch = Watch()
        watched(stack, watch)
        for _ in range(5):
            assert post(stack, path, body)
        watched(stack, None)

        assert watch.calls > 100, "the profiler saw nothing"
        assert watch.taken == []


def test_the_watch_sees_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    path, body = REQUESTS["chat"]
    with simulated(four_pools) as (stack, _):
        post(stack, path, body)
        plain, lock, watch = stack.runtime.services.new_id, VisibleLock(), Watch()

        def locked() -> str:
            with lock:
                return plain()

        monkeypatch.setattr(stack.runtime.services, "new_id", locked)
        watched(stack, watch)
        post(stack, path, body)
        watched(stack, None)

        assert len(watch.taken) == 1
