"""A head that is like the one before is not read again: what is read stays the same."""

from __future__ import annotations

import random
from itertools import product

import pytest

from aiclient2api.errors import GatewayError
from aiclient2api.server.http.guard import Head, Verdict
from aiclient2api.server.http.reader import RequestReader
from aiclient2api.server.http.repeats import MISSES, Repeats
from aiclient2api.server.http.settings import ClientTimeouts, HttpSettings
from tests.server.lean import END, Recorder, answers, lean

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\nX-Api-Key: a\r\n\r\n"


def post(body: bytes, head: bytes = HEAD) -> bytes:
    return head % len(body) + body


class Seen:
    """What a reader tells, request by request; `skips`: repeated heads are not parsed."""

    def __init__(self, *, skips: bool) -> None:
        self.told: list[tuple[object, ...]] = []
        self.skipped = 0
        self._skips = skips
        self._body = b""
        self._reader = RequestReader(self)

    def read(self, data: bytes) -> None:
        body = self._reader.repeated(data) if self._skips else None
        if body is None:
            self._reader.feed(data)
            return
        self.skipped += 1
        self.told.append(self._head)
        self._body = body
        if len(body) == self._reader.length:
            self.end()

    def begin(self, head: Head, verdict: Verdict) -> None:
        lines = [pair for pair in head.headers if pair[0] != b"content-length"]
        self._head = (head.method, head.target, head.version, *lines, verdict)
        self._body = b""
        self.told.append(self._head)

    def add(self, data: bytes) -> None:
        self._body += data

    def end(self) -> None:
        self.told.append((self._body,))

    def stop(self, error: GatewayError) -> None:
        self.told.append((type(error), str(error)))


PIECES = (
    post(b"{}"),
    post(b'{"model":"m"}'),
    post(b""),
    post(b"{}") + post(b"[]"),
    post(b"{}")[:-1],
    post(b"{}") + b"x",
    post(b"{}").replace(b": 2", b": 02"),
    post(b"{}").replace(b": 2", b":2"),
    post(b"{}").replace(b": 2", b": +2"),
    post(b"{}").replace(b": 2", b": 2 "),
    post(b"{}").replace(b": 2", b": 2, 2"),
    post(b"{}").replace(b": 2", b": 3"),
    post(b"{}").replace(b"Key: a", b"Key: b"),
    post(b"{}").replace(b"Key: a", b"Key: a\r\nContent-Length: 2"),
    post(b"{}").replace(b"Key: a", b"Key: a\r\nTransfer-Encoding: chunked"),
    post(b"{}").replace(b"Key: a", b"Key: a\r\nConnection: close"),
    post(b"{}").replace(b"Key: a", b"Key: a\r\nExpect: 100-continue"),
    post(b"{}").replace(b"Key: a", b"Key: a\r\nUpgrade: h2c\r\nConnection: upgrade"),
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    post(b"{}")[:-2],
    b"{}",
    b"}",
    b"\r\n",
    b"\r",
    b"\n",
)


@pytest.mark.parametrize("then", range(len(PIECES)))
def test_whatever_follows_a_request_is_read_as_without_what_was_kept(then: int) -> None:
    for again in product(range(len(PIECES)), (0, 1)):
        given = [PIECES[0], PIECES[1], PIECES[then], *(PIECES[number] for number in again)]
        plain, skipping = Seen(skips=False), Seen(skips=True)
        for piece in given:
            plain.read(piece)
            skipping.read(piece)
        assert skipping.told == plain.told, given
        assert skipping.skipped, "the second request is like the first"


def test_pieces_of_any_size_are_read_the_same() -> None:
    random_ = random.Random(1)
    for _ in range(300):
        stream = b"".join(random_.choices(PIECES[:4], k=6))
        cuts = sorted(random_.sample(range(1, len(stream)), random_.randint(0, 8)))
        plain, skipping = Seen(skips=False), Seen(skips=True)
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            plain.read(stream[start:end])
            skipping.read(stream[start:end])
        assert skipping.told == plain.told, cuts


def test_the_rest_of_a_head_is_no_head() -> None:
    rest = b"X: POST /evil HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    seen = Seen(skips=True)
    for piece in (b"POST /a HTTP/1.1\r\nHost: a\r\n", rest, rest):
        seen.read(piece)

    assert seen.skipped == 0
    assert seen.told[-1][0].__name__ == "BadRequest", "the parser sees the third"  # pyright: ignore


def test_what_follows_the_end_of_a_body_is_no_beginning() -> None:
    seen = Seen(skips=True)
    seen.read(post(b"{}!!")[:-2])
    for _ in range(2):
        seen.read(b"!!" + post(b"{}"))

    assert seen.skipped == 0


def test_head_and_body_may_come_one_after_the_other() -> None:
    seen = Seen(skips=True)
    for body in (b"{}", b"[1]", b"[1,2]"):
        for piece in (HEAD % len(body), body[:1], body[1:]):
            seen.read(piece)

    assert [told[0] for told in seen.told[1::2]] == [b"{}", b"[1]", b"[1,2]"]
    assert seen.skipped == 2


def test_a_connection_of_many_clients_keeps_nothing() -> None:
    repeats = Repeats()
    head = HEAD
    for number in range(MISSES + 1):
        head = HEAD.replace(b"Key: a", b"Key: %d" % number)
        repeats.forget()
        repeats.keep(post(b"{}", head), 2)
        assert bool(repeats.match(post(b"[]", HEAD))) is False

    assert repeats.match(post(b"{}", head)) == 0


async def test_repeated_requests_are_answered_one_by_one() -> None:
    recorder = Recorder()
    async with lean(recorder) as (_, port):
        told = await answers(port, *[post(b"a" * size) for size in range(5)], END)

    assert told.count(b"HTTP/1.1 200 OK\r\n") == 6
    assert recorder.seen[:-1] == [f"POST /v1/messages {'a' * size}".rstrip() for size in range(5)]


async def test_a_body_behind_a_repeated_head_that_stops_coming_is_refused() -> None:
    recorder = Recorder()
    settings = HttpSettings(timeouts=ClientTimeouts(body_idle=0.05))
    async with lean(recorder, settings) as (_, port):
        told = await answers(port, post(b"{}"), (HEAD % 5) + b"{")

    assert told.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert recorder.seen == ["POST /v1/messages {}"]
    assert recorder.refused == ["the request body took too long"]
