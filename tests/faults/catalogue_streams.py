"""F34–F56: what can happen to an answer that has begun."""

from __future__ import annotations

from typing import Final

from tests.faults.catalogue import COMPLETES, CUT, Fault, Outcome, t_or_s
from tests.faults.script import (
    Again,
    AnyStep,
    Data,
    End,
    Fin,
    Gate,
    Head,
    Part,
    Raw,
    Rst,
    Say,
    Script,
    Sleep,
    Stall,
    Whole,
)
from tests.faults.voices import CHAT, GEMINI, MESSAGES, PIECES, RESPONSES

_START: Final = ("prelude", "content")
_END: Final = ("more", "finish", "done")
_MANY: Final[tuple[Part, ...]] = ("prelude", "content", *(("ping",) * 2000), *_END)  # pyright: ignore[reportAssignmentType]
_JSON_HEAD: Final = Raw(
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500000\r\n\r\n"
)
_HALF_JSON: Final = Raw(
    b'{"id":"x","object":"chat.completion","candidates":[{"content":{"parts":[{"text":"Hel'
)
_SILENT: Final = Outcome("T", "S or M", (504,))


def _after_content(*steps: AnyStep) -> Script:
    """Content that the client sees, then something else."""
    return (Head(), Say(_START), Gate(), *steps)


def _broken(
    id_: str, title: str, stream: tuple[AnyStep, ...], unary: tuple[AnyStep, ...] | None, **more: object
) -> Fault:
    """Breaks after content: an in-band error, and nothing that looks like an end."""
    return Fault(
        id=id_,
        title=title,
        outcome=CUT,
        stream=_after_content(*stream),
        unary=unary,
        unary_outcome=t_or_s(502, 504, 529) if id_ == "F46" else t_or_s(502, 504),
        **more,  # pyright: ignore[reportArgumentType]
    )


def _fine(id_: str, title: str, *stream: AnyStep, unary: Script | None = None, **more: object) -> Fault:
    return Fault(id=id_, title=title, outcome=COMPLETES, stream=stream, unary=unary, **more)  # pyright: ignore[reportArgumentType]


def _edited(id_: str, title: str, *edits: tuple[bytes, bytes], unary: bool = False, **more: object) -> Fault:
    """A whole answer with other bytes in it."""
    return Fault(
        id=id_,
        title=title,
        outcome=COMPLETES,
        stream=(Head(), Say((*_START, *_END), edits=edits), End()),
        unary=(Whole(edits=edits),) if unary else None,
        **more,  # pyright: ignore[reportArgumentType]
    )


BEGINNINGS: Final = (
    Fault(
        id="F34",
        title="headers, then silence",
        outcome=_SILENT,
        stream=(Head(), Stall()),
        unary=(_JSON_HEAD, Stall()),
    ),
    Fault(id="F34", title="no answer at all", outcome=_SILENT, stream=(Stall(),), unary=(Stall(),)),
    Fault(
        id="F34",
        title="a prelude, then silence",
        outcome=_SILENT,
        stream=(Head(), Say(("prelude",)), Stall()),
    ),
    Fault(
        id="F35",
        title="only keep-alives",
        outcome=_SILENT,
        stream=(Head(), Again((Say(("ping",)), Sleep(0.05)), 400), Stall()),
    ),
    Fault(
        id="F36",
        title="a prelude, then a reset",
        outcome=t_or_s(502),
        stream=(Head(), Say(("prelude",)), Sleep(0.02), Rst()),
    ),
    Fault(
        id="F36",
        title="a prelude, then the end",
        outcome=t_or_s(502),
        stream=(Head(), Say(("prelude",)), End()),
    ),
)

ENDINGS: Final = (
    _broken("F35", "content, then only keep-alives", (Again((Say(("ping",)), Sleep(0.05)), 400), Stall()), None),
    _broken("F37", "content, then a clean end", (End(),), (Whole(body=_HALF_JSON.data),)),
    _broken("F37", "content, then the connection closes", (Fin(),), (_JSON_HEAD, _HALF_JSON, Fin())),
    _broken("F38", "content, then a reset", (Rst(),), (_JSON_HEAD, _HALF_JSON, Sleep(0.02), Rst())),
    _broken("F39", "content, then silence", (Stall(),), (_JSON_HEAD, _HALF_JSON, Stall())),
    _broken("F40", "half an event, then the end", (Say(("more",), cut=12), End()), None),
    _broken("F40", "half an event, then closed", (Say(("more",), cut=12), Fin()), None),
    _broken("F40", "half an event, then a reset", (Say(("more",), cut=12), Sleep(0.02), Rst()), None),
    _broken(
        "F41",
        "text that is no UTF-8",
        (Say(_END, edits=(("🌍".encode(), b"\xf0\x9f"),)), End()),
        (Whole(edits=(("🌍".encode(), b"\xf0\x9f"),)),),
    ),
    _broken("F45", "a broken event after content", (Data(b'data: {"broken": \n\n'), Say(_END), End()), None),
    Fault(
        id="F45",
        title="a broken first event",
        outcome=t_or_s(502),
        stream=(Head(), Data(b'data: {"broken": \n\n'), Say((*_START, *_END)), End()),
        unary=(Whole(body=b'{"broken": '),),
    ),
    Fault(
        id="F46",
        title="an error before content",
        outcome=t_or_s(529),
        stream=(Head(), Say(("prelude", "error")), End()),
    ),
    _broken("F46", "an error after content", (Say(("error",)), End()), None),
    _broken("F46", "an error, then a normal end", (Say(("error", *_END)), End()), None),
    _broken("F48", "[DONE] without a finish", (Say(("more",)), Data(b"data: [DONE]\n\n"), End()), None, upstreams=(CHAT,)),
    _broken("F49", "an index that never began", (
        Say(("more",), edits=((b'"index":0', b'"index":7'),)), Say(("finish", "done")), End()
    ), None, upstreams=(MESSAGES,)),
    _broken("F52", "a call that breaks off", (Say(("call", "half_call")), End()), None,
            upstreams=(CHAT, RESPONSES, MESSAGES), tools=True),
    _broken("F52", "a call that is reset", (Say(("call", "half_call")), Sleep(0.02), Rst()), None,
            upstreams=(CHAT, RESPONSES, MESSAGES), tools=True),
    Fault(
        id="F44",
        title="a line without an end",
        outcome=CUT,
        stream=_after_content(Raw(b"2600000\r\n"), Again((Raw(b"a" * 2**20), Sleep(0.0)), 38), Stall()),
        clients=(MESSAGES,),
    ),
)  # fmt: skip

TERMINALS: Final = (
    _fine("F47", "a finish without the end marker", Head(), Say((*_START, "more", "finish")), End(), upstreams=(CHAT, GEMINI)),
    _fine("F47", "a finish, then silence", Head(), Say((*_START, "more", "finish")), Stall(), upstreams=(CHAT, GEMINI)),
    _fine("F47", "a finish, then closed", Head(), Say((*_START, "more", "finish")), Fin(), upstreams=(CHAT, GEMINI)),
    _fine("F49", "two finishes", Head(), Say((*_START, "more", "finish", "finish", "done")), End(), upstreams=(CHAT, GEMINI)),
    _fine("F49", "content after the finish", Head(), Say((*_START, "more", "finish", "content", "done")), End(), upstreams=(GEMINI,)),
    _fine("F49", "two ends", Head(), Say((*_START, *_END, "done")), End(), upstreams=(CHAT, RESPONSES, MESSAGES)),
    _fine("F49", "content after the end", Head(), Say((*_START, *_END, "content")), End(), upstreams=(CHAT, RESPONSES, MESSAGES)),
    _fine("F49", "two beginnings", Head(), Say(("prelude", *_START, *_END)), End(), upstreams=(CHAT, GEMINI)),
    _edited("F49", "sequence numbers out of order", (b'"sequence_number":5', b'"sequence_number":3'), upstreams=(RESPONSES,)),
    _fine("F50", "open after the end", Head(), Say((*_START, *_END)), Stall()),
    _fine("F51", "reset after the end", Head(), Say((*_START, *_END)), Gate(), Sleep(0.02), Rst()),
    _edited("F53", "usage missing", (b'"usage"', b'"no_usage"'), (b"usageMetadata", b"noUsage"), unary=True,
            upstreams=(CHAT, RESPONSES, GEMINI)),
    _edited("F53", "usage negative", (b'tokens":7', b'tokens":-7'), (b'TokenCount":7', b'TokenCount":-7'), unary=True),
    _edited("F53", "usage huge", (b'tokens":7', b'tokens":9000000000000'), (b'TokenCount":7', b'TokenCount":9000000'), unary=True),
    _fine("F53", "usage after the end", Head(), Say((*_START, "more", "finish", "late_usage")), End(), upstreams=(CHAT,)),
    Fault(
        id="F54",
        title="an empty answer",
        outcome=Outcome("T", "C"),
        stream=(Head(), Say(("prelude", "empty")), End()),
        unary=(Whole(edits=((b"".join(PIECES), b""), (b'tokens":7', b'tokens":0'), (b'TokenCount":7', b'TokenCount":0'))),),
        text="",
        hits=(1, 2),
        upstreams=(CHAT, GEMINI),
    ),
)  # fmt: skip

SHAPES: Final = (
    _fine("F41", "every byte in its own packet", Head(), Say((*_START, *_END), drip=True), End()),
    _fine("F41", "a byte order mark", Head(), Data(b"\xef\xbb\xbf"), Say((*_START, *_END)), End()),
    _edited("F42", "lines that end in CR LF", (b"\r\n", b"\n"), (b"\n", b"\r\n")),
    _edited("F42", "lines that end in CR", (b"\r\n", b"\n"), (b"\n", b"\r")),
    _edited("F42", "lines that end in LF", (b"\r\n", b"\n")),
    _edited("F42", "no space after the colon", (b"data: ", b"data:"), (b"event: ", b"event:")),
    _edited("F42", "data over several lines", (b',"m', b',\ndata: "m')),
    _edited("F42", "ids, retry times and comments", (b"data: ", b"id: 7\nretry: 10\n: hello\ndata: ")),
    _fine("F43", "all events in one packet", Head(),
          Say(_MANY, joined=True), End()),
    _fine("F55", "an upstream that is slow", Head(), Say(("prelude",)), Sleep(0.1), Say(("content",)), Sleep(0.1),
          Say(("more",)), Sleep(0.1), Say(("finish", "done")), End()),
    _edited("F56", "unknown members", (b'"index":0', b'"index":0,"surprise":{"a":[1]}'), (b'"model":', b'"shape":7,"model":'),
            unary=True),
    _fine("F56", "unknown events", Head(), Say(("prelude",)),
          Data(b'event: brand.new\ndata: {"type":"brand.new","value":1}\n\n'), Say(("content", *_END)), End(),
          upstreams=(MESSAGES, RESPONSES)),
    _edited("F56", "a role that nobody knows", (b'"role":"assistant"', b'"role":"robot"'), upstreams=(CHAT,), unary=True),
)  # fmt: skip

FAULTS: Final = (*BEGINNINGS, *ENDINGS, *TERMINALS, *SHAPES)
