"""F01–F33: no connection, odd HTTP, and refusals."""

from __future__ import annotations

from typing import Final

from tests.faults.catalogue import COMPLETES, CUT, OK, OK_UNARY, REFUSED, Fault, Outcome, t_or_s
from tests.faults.script import (
    Again,
    AnyStep,
    Data,
    End,
    Fin,
    Gate,
    Gzip,
    Head,
    Raw,
    Refuse,
    Rst,
    Say,
    Script,
    Sleep,
    Stall,
    Whole,
)
from tests.faults.voices import GEMINI, MESSAGES, PROTOCOLS

_WHOLE_ANSWER: Final = ("prelude", "content", "more", "finish", "done")
_CHUNKED: Final = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
HTML: Final = b"<html><body><h1>502 Bad Gateway</h1>cloud</body></html>"


def _both(id_: str, title: str, outcome: Outcome, *steps: AnyStep, **more: object) -> Fault:
    """The same bytes whatever was asked for."""
    return Fault(id=id_, title=title, outcome=outcome, stream=steps, unary=steps, **more)  # pyright: ignore[reportArgumentType]


def _at(id_: str, where: str, outcome: Outcome, **more: object) -> Fault:
    """An address from which nothing comes."""
    return Fault(id=id_, title=where, where=where, outcome=outcome, unary=OK_UNARY, hits=(0, 0), **more)  # pyright: ignore[reportArgumentType]


CONNECT: Final = (
    _at("F01", "refused", t_or_s(502), status_after=("healthy",)),
    _at("F02", "blackhole", t_or_s(504), status_after=("healthy",)),
    _at("F03", "no name", t_or_s(502, 504), status_after=("healthy",)),
    _at("F04", "tls expired", t_or_s(502)),
    _at("F04", "tls wrong host", t_or_s(502)),
    _at("F04", "tls self-signed", t_or_s(502)),
    _at("F04", "tls stalls", t_or_s(502, 504)),
    _at("F04", "tls reset", t_or_s(502)),
    _at("F05", "reset at accept", t_or_s(502)),
    _both("F06", "reset after the request's headers", t_or_s(502), Rst(), when="head", hits=(1, 2)),
    _both("F07", "reset after half the body", t_or_s(502), Rst(), when="half body", hits=(1, 2)),
    _both("F08", "reset after the whole request", t_or_s(502), Rst(), hits=(1, 2)),
    Fault(
        id="F09",
        title="reset on a reused connection",
        outcome=COMPLETES,
        stream=OK,
        unary=OK_UNARY,
        before=(OK, (Rst(),)),
        warm_ups=1,
        hits=(3, 3),
        status_after=("healthy",),
    ),
    Fault(
        id="F10",
        title="the upstream never reads the request",
        where="never reads",
        outcome=t_or_s(504),
        hits=(0, 0),
        padding=6_000_000,
        clients=(MESSAGES, GEMINI),
    ),
)

ANSWERS: Final = (
    _both(
        "F11",
        "headers byte by byte",
        t_or_s(504),
        Raw(b"HTTP/1.1 200 OK\r\nx-slow: "),
        Again((Sleep(0.05), Raw(b"a")), 100),
        Raw(b"\r\n" + _CHUNKED + b"\r\n"),
        Stall(),
    ),
    _both(
        "F12",
        "a header of 1 MiB",
        t_or_s(502),
        Raw(b"HTTP/1.1 200 OK\r\nx-big: " + b"a" * 2**20 + b"\r\n" + _CHUNKED + b"\r\n"),
        Stall(),
    ),
    _both(
        "F12",
        "10,000 header fields",
        t_or_s(502),
        Raw(b"HTTP/1.1 200 OK\r\n" + b"x-many: 1\r\n" * 10_000 + _CHUNKED + b"\r\n"),
        Stall(),
    ),
    _both("F12", "no status line", t_or_s(502), Raw(b"HTTQ/7 what\r\nx: y\r\n\r\n"), Fin()),
    _both("F12", "HTTP/0.9", t_or_s(502), Raw(b"<html>Hello</html>"), Fin()),
    *(
        _both("F13", f"redirect {status}", t_or_s(502), Whole(status, b"{}", headers=("location: /trap/x",)))
        for status in ("301 Moved", "302 Found", "307 Temporary", "308 Permanent")
    ),
    *(
        Fault(
            id="F14",
            title=f"an answer {status} first",
            outcome=COMPLETES,
            stream=(Raw(b"HTTP/1.1 %b\r\n\r\n" % status.encode()), *OK),
            unary=(Raw(b"HTTP/1.1 %b\r\n\r\n" % status.encode()), *OK_UNARY),
        )
        for status in ("100 Continue", "103 Early Hints")
    ),
    _both("F14", "101 that nobody asked for", t_or_s(502), Raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"), Fin()),
    Fault(
        id="F15",
        title="length and chunks together",
        outcome=t_or_s(502),
        stream=(Head(headers=("content-length: 5",)), Say(_WHOLE_ANSWER), End()),
        unary=(Head(media="application/json", headers=("content-length: 5",)), Say(("unary",)), End()),
    ),
    Fault(
        id="F15",
        title="a length that is too short",
        outcome=t_or_s(502),
        stream=(Whole(body=b"data: {}", media="text/event-stream", length=4), Fin()),
        unary=(Whole(length=40), Fin()),
    ),
    Fault(
        id="F15",
        title="a length that is too long",
        outcome=t_or_s(502),
        stream=(Raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\n"), Fin()),
        unary=(Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"), Fin()),
    ),
    Fault(
        id="F16",
        title="gzip that nobody asked for",
        outcome=COMPLETES,
        stream=(Head(headers=("content-encoding: gzip",)), Gzip(_WHOLE_ANSWER), End()),
        unary=(Head(media="application/json", headers=("content-encoding: gzip",)), Gzip(("unary",)), End()),
    ),
    Fault(
        id="F16",
        title="a gzip bomb",
        outcome=t_or_s(502),
        stream=(Head(headers=("content-encoding: gzip",)), Gzip(("prelude",), bomb=30_000_000), End()),
        unary=(Head(media="application/json", headers=("content-encoding: gzip",)), Gzip((), bomb=30_000_000), End()),
        clients=(MESSAGES, GEMINI),
    ),
    _both("F16", "an unknown encoding", t_or_s(502), Whole(headers=("content-encoding: shuffled",))),
)  # fmt: skip


def _refused(id_: str, title: str, kind: str, outcome: Outcome, *headers: str, **more: object) -> Fault:
    return _both(id_, title, outcome, Refuse(kind, headers), **more)


_LATE: Final = "retry-after: Wed, 21 Oct 2099 07:28:00 GMT"
_NOW: Final = "date: Wed, 21 Oct 2099 07:27:50 GMT"

STATUSES: Final = (
    _refused("F17", "the caller's mistake", "caller", REFUSED, status_after=("healthy",)),
    _refused("F18", "too long a context", "too long", REFUSED, status_after=("healthy",)),
    _both(
        "F18",
        "too long a context as Gemini's 500",
        Outcome("P", None, (400, 500)),
        Refuse("too long", status="500 Internal Server Error"),
        upstreams=(GEMINI,),
        status_after=("healthy",),
    ),
    _refused("F20", "a bad key", "bad key", t_or_s(503), status_after=("disabled",)),
    _refused("F20", "a forbidden account", "forbidden", t_or_s(503), status_after=("disabled", "cooling")),
    _refused("F21", "no money", "money", t_or_s(429), status_after=("cooling",)),
    _refused("F21", "a spend limit", "spend limit", t_or_s(429, 503), status_after=("cooling", "disabled")),
    _refused("F22", "429 with seconds", "rate", t_or_s(429), "retry-after: 2", status_after=("cooling",)),
    _refused("F23", "429 with a date", "rate", t_or_s(429), _LATE, _NOW, status_after=("cooling",)),
    _refused("F24", "429 with milliseconds", "rate", t_or_s(429), "retry-after-ms: 1500", status_after=("cooling",)),
    _refused("F25", "429 without a time", "rate", t_or_s(429), status_after=("healthy", "cooling")),
    *(
        _refused("F26", f"429 with a wait of {told[:20]}", "rate", t_or_s(429), f"retry-after: {told}")
        for told in ("1587827", "-5", "inf", "nan", "soon", "9" * 400)
    ),
    _refused(
        "F27",
        "unified headers of Anthropic",
        "rate",
        t_or_s(429),
        "anthropic-ratelimit-unified-status: rejected",
        "anthropic-ratelimit-unified-reset: 4102444800",
        upstreams=(MESSAGES,),
        status_after=("cooling",),
    ),
    _refused("F28", "overloaded", "overloaded", t_or_s(529), status_after=("healthy", "cooling")),
    _refused("F28", "slow down", "slow down", t_or_s(529, 429), status_after=("healthy", "cooling")),
    *(
        _refused("F29", f"status {status}", f"broken {status}", t_or_s(502, 504, 500))
        for status in (500, 502, 504, 520, 521, 522, 523, 524, 525, 526)
    ),
    *(
        _both("F30", f"HTML with {status}", t_or_s(502, 503), Whole(status, HTML, "text/html"))
        for status in ("200 OK", "403 Forbidden", "502 Bad Gateway")
    ),
    _both("F31", "200 with an error's body", t_or_s(529, 502), Refuse("overloaded", status="200 OK")),
    _both("F32", "empty text/plain", t_or_s(502), Whole(body=b"", media="text/plain")),
    Fault(
        id="F32",
        title="an empty body",
        outcome=t_or_s(502),
        stream=(Head(), End()),
        unary=(Whole(body=b""),),
    ),
    Fault(
        id="F32",
        title="a stream that is called text/plain",
        outcome=COMPLETES,
        stream=(Head(media="text/plain"), Say(_WHOLE_ANSWER), End()),
    ),
    _both("F33", "204", t_or_s(502), Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), End()),
    Fault(
        id="F33",
        title="206",
        outcome=t_or_s(502),
        stream=(Head("206 Partial Content"), Say(_WHOLE_ANSWER), End()),
        unary=(Whole("206 Partial Content"),),
    ),
    _both("F33", "799", t_or_s(502), Whole("799 What", b"{}")),
)  # fmt: skip
# a 204 has no body, so that its `End` is rubbish on the connection: the next request must not see it

_CUT_LENGTH: Script = (Head(), Say(("prelude", "content")), Gate(), Data(b"half"), Fin())
LENGTHS: Final = (
    Fault(id="F15", title="chunks that break off", outcome=CUT, stream=_CUT_LENGTH, unary=None),
    Fault(
        id="F15",
        title="a chunk size that is none",
        outcome=CUT,
        stream=(Head(), Say(("prelude", "content")), Gate(), Raw(b"zz\r\nhello\r\n"), Stall()),
        unary=(Head(media="application/json"), Raw(b"zz\r\nhello\r\n"), Stall()),
    ),
)

FAULTS: Final = (*CONNECT, *ANSWERS, *STATUSES, *LENGTHS)
assert {protocol for fault in FAULTS for protocol in fault.upstreams} == set(PROTOCOLS)
