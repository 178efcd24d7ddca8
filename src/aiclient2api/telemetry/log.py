"""JSON lines: one per request and one per event of the program. Never a prompt, never a key.

Lines are queued and written together by a thread, so that no request waits for the terminal or the disk; those of
requests are made there as well, many at a time, which takes far less than each between two requests. Where the
terminal or the disk cannot keep up, the oldest lines are lost.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import BinaryIO, Literal

import msgspec

from aiclient2api.gateway.exchange import Exchange

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
FLUSH_SECONDS = 0.05
MAX_QUEUED = 10_000
PIPE_BYTES = 4096
"""What a write to a pipe may have to be one, pipe(7)."""
LONGEST_MODEL = 200
"""Characters."""
MOST_LOSSES = 20
LAST_FLUSH_SECONDS = 2.0
"""How long a stop waits for a terminal that takes no bytes."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


class _Later(msgspec.Struct, frozen=True):
    """A line that is to be made. `at` is Unix time in seconds."""

    at: float
    level: Level
    name: str
    about: Exchange


class JsonLog:
    """The one log. `wall` is Unix time in seconds; `marks` are for every line. With them, several processes write
    to the same place, each line as a whole.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        out: BinaryIO | None = None,
        level: Level = "info",
        marks: Mapping[str, object] | None = None,
    ) -> None:
        self._wall = wall
        self._out = out or sys.stderr.buffer
        self._levels = frozenset(LEVELS[LEVELS.index(level) :])
        self._marks = marks or {}
        self._is_shared = marks is not None
        self._lines: deque[bytes | _Later] = deque(maxlen=MAX_QUEUED)
        self._is_scheduled = False
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._writer: threading.Thread | None = None

    def event(self, level: Level, name: str, **fields: object) -> None:
        """Queue one line."""
        if level not in self._levels:
            return
        self._lines.append(self._line(self._wall(), level, name, fields))
        if not self._is_scheduled:
            self._schedule()

    def later(self, level: Level, name: str, about: Exchange) -> None:
        """Queue a line about a request that is over; it is made when it is written."""
        if level in self._levels:
            self._lines.append(_Later(self._wall(), level, name, about))
            if not self._is_scheduled:
                self._schedule()

    def _line(self, at: float, level: Level, name: str, fields: Mapping[str, object]) -> bytes:
        stamp = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="milliseconds")
        return _encode({"time": stamp, "level": level, "event": name, **self._marks, **fields}) + b"\n"

    def _schedule(self) -> None:
        try:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._call, True)
            self._is_scheduled = True
        except RuntimeError:
            self.flush()

    def tell(self, level: Level, name: str, fields: Mapping[str, object]) -> None:
        """The same for those that know nothing of logs."""
        self.event(level, name, **fields)

    def flush(self) -> None:
        """Write what is queued and wait for it. The writer ends; the next line starts another."""
        self._call(False).join(LAST_FLUSH_SECONDS)

    def _call(self, stays: bool) -> threading.Thread:
        """Have the lines written; `stays`: the writer waits for more."""
        self._calls.put(stays)
        writer = self._writer
        if writer is None or not writer.is_alive():
            writer = threading.Thread(target=self._write_when_called, name="log", daemon=True)
            writer.start()  # before anybody else sees it: the last flush calls from a thread of its own
            self._writer = writer
        return writer

    def _write_when_called(self) -> None:
        while self._calls.get():
            self._write()
        self._write()

    def _write(self) -> None:
        self._is_scheduled = False  # before the lines are taken: a line that comes in between calls again
        queued = [self._lines.popleft() for _ in range(len(self._lines))]
        lines = [
            line
            if isinstance(line, bytes)
            else self._line(line.at, line.level, line.name, _fields(line.about))
            for line in queued
        ]
        try:
            for part in _whole(lines) if self._is_shared else (b"".join(lines),):
                self._out.write(part)
                self._out.flush()
        except (OSError, ValueError):
            return  # nobody reads our log any more; requests matter more

    def bug(self, error: BaseException, request_id: str = "") -> None:
        """An error of ours: type and place, without the values that an exception's text may quote."""
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = [
            f"{frame.filename.rpartition('aiclient2api')[2]}:{frame.lineno} {frame.name}" for frame in frames
        ]
        self.event("error", "internal_error", request_id=request_id, type=type(error).__name__, where=where)


def _whole(lines: list[bytes]) -> Iterator[bytes]:
    """Pieces that a pipe takes as a whole, so that the lines of several processes do not mix."""
    part = b""
    for line in lines:
        if part and len(part) + len(line) > PIPE_BYTES:
            yield part
            part = b""
        part += line
    yield part


class RequestLog:
    """The observer that writes one line per request."""

    def __init__(self, log: JsonLog) -> None:
        self._log = log

    def ended(self, exchange: Exchange) -> None:
        """See Observer."""
        level: Level = "info" if exchange.outcome in ("ok", "client_gone") else "warning"
        if len(exchange.model) > LONGEST_MODEL or len(exchange.losses) > MOST_LOSSES:
            self._log.event(
                level, "request", **_fields(exchange)
            )  # what waits for a stuck terminal must not be large
        else:
            self._log.later(level, "request", exchange)


def _fields(exchange: Exchange) -> dict[str, object]:
    usage = exchange.usage
    return {
        "request_id": exchange.request_id,
        "key": exchange.key,
        "protocol": exchange.protocol,
        "operation": exchange.operation,
        "model": exchange.model[:LONGEST_MODEL],
        "target": exchange.target,
        "stream": exchange.is_stream,
        "conversion": exchange.conversion,
        "losses": [f"{loss.feature} {loss.act}" for loss in exchange.losses[:MOST_LOSSES]],
        "attempts": [f"{attempt.account} {attempt.verdict}" for attempt in exchange.attempts],
        "status": exchange.status,
        "outcome": exchange.outcome,
        "phase": exchange.phase.value,
        "error": exchange.error,
        "first_content_ms": _milliseconds(exchange.started, exchange.first_content),
        "duration_ms": _milliseconds(exchange.started, exchange.ended),
        "input_tokens": usage.input if usage else None,
        "cached_tokens": usage.cache_read if usage else None,
        "output_tokens": usage.output if usage else None,
    }


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 1)


class LibraryLog(logging.Handler):
    """Warnings of the libraries, in the same form."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._json = log

    def emit(self, record: logging.LogRecord) -> None:
        """See logging."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._json.bug(error)
            return
        self._json.event("warning", "library", logger=record.name, message=record.getMessage()[:500])
