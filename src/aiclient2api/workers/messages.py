"""What supervisor and worker say to each other. What a report holds is for those who wrote it and those who read it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

What = Literal["metrics", "health"]
"""What can be asked about all workers."""


class Message(Struct, frozen=True, kw_only=True, tag=True, array_like=True):
    """One message; its name is its tag."""


# ---- to a worker


class Written(Struct, frozen=True, kw_only=True):
    """A configuration that the supervisor has found good, as it is written: data, and the file's path."""

    data: dict[str, Any]
    source: str | None = None


class Start(Message, frozen=True, kw_only=True):
    """The first message. File descriptors are inherited and have the same numbers in the worker."""

    worker: int
    workers: int
    sockets: tuple[int, ...]
    tally: int
    """Descriptor of the memory in which it counts."""
    written: Written
    is_demo: bool = False


class Reload(Message, frozen=True, kw_only=True):
    """Serve another configuration; the answer is `Reloaded`."""

    written: Written


class Drain(Message, frozen=True, kw_only=True):
    """Stop, as behind a signal: `at_once` without notice. A second one hurries."""

    at_once: bool = False


class Retire(Message, frozen=True, kw_only=True):
    """Another process has taken over: accept nobody any more, finish what is running."""


class Ask(Message, frozen=True, kw_only=True):
    """Report on yourself."""

    number: int
    what: What


class Answer(Message, frozen=True, kw_only=True):
    """To a `Wish`: what all workers together have to say."""

    number: int
    body: bytes


class Ping(Message, frozen=True, kw_only=True):
    """Say that your event loop runs; the answer is `Pong`."""


ToWorker = Start | Reload | Drain | Retire | Ask | Answer | Ping


# ---- from a worker


class Ready(Message, frozen=True, kw_only=True):
    """It accepts connections."""


class Reloaded(Message, frozen=True, kw_only=True):
    """What is wrong with the configuration for this worker; empty when it serves it."""

    problems: tuple[str, ...] = ()


class Report(Message, frozen=True, kw_only=True):
    """To an `Ask`; `number` 0 for the last words of a worker that ends."""

    number: int
    what: What
    body: bytes


class Wish(Message, frozen=True, kw_only=True):
    """A client asks this worker about all of them."""

    number: int
    what: What


class Pong(Message, frozen=True, kw_only=True):
    """To a `Ping`."""


FromWorker = Ready | Reloaded | Report | Wish | Pong
