"""From a script and a protocol to the operations on one connection."""

from __future__ import annotations

from functools import cache
from typing import assert_never

from tests.faults.refusals import REFUSALS
from tests.faults.script import (
    Again,
    AnyStep,
    Data,
    End,
    Fin,
    Gate,
    Gzip,
    Head,
    Op,
    Raw,
    Refuse,
    Rst,
    Say,
    Script,
    Sleep,
    Stall,
    Whole,
    chunk,
)
from tests.faults.voices import VOICES


def compile_once(script: Script, protocol: str) -> tuple[Op, ...]:
    """The operations; writes still have the placeholder of the nonce."""
    return tuple(op for step in script for op in _ops(step, protocol))


compiled = cache(compile_once)
"""The same for scripts that are played often."""


def _ops(step: AnyStep, protocol: str) -> list[Op]:
    match step:
        case Head():
            return [("write", _head(step))]
        case Say():
            said = _said(step, protocol)
            return [("drip", b"".join(said))] if step.drip else [("write", chunk(data)) for data in said]
        case Data(data=data):
            return [("write", chunk(data))]
        case Gzip(parts=parts, bomb=bomb):
            said = b"".join(event for part in parts for event in VOICES[protocol][part])
            return [("gzip", said + b" " * bomb)]
        case Raw(data=data):
            return [("write", data)]
        case Whole():
            return [("write", _whole(step, protocol)), ("next", None)]
        case Refuse(kind=kind, headers=headers):
            refusal = REFUSALS[kind][protocol]
            whole = Whole(
                status=step.status or refusal.status, body=refusal.body, headers=(*refusal.headers, *headers)
            )
            return [("write", _whole(whole, protocol)), ("next", None)]
        case Sleep(seconds=seconds):
            return [("sleep", seconds)]
        case Gate():
            return [("gate", None)]
        case Stall():
            return [("stall", None)]
        case Rst():
            return [("rst", None)]
        case Fin():
            return [("fin", None)]
        case End():
            return [("write", b"0\r\n\r\n"), ("next", None)]
        case Again(steps=steps, times=times):
            return [op for inner in steps for op in _ops(inner, protocol)] * times
        case _:
            assert_never(step)


def _head(head: Head) -> bytes:
    media = "text/event-stream" if head.media == "sse" else head.media
    lines = [f"HTTP/1.1 {head.status}", f"content-type: {media}", "transfer-encoding: chunked", *head.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _said(say: Say, protocol: str) -> list[bytes]:
    events = [event for part in say.parts for event in VOICES[protocol][part]]
    for edit in say.edits:
        events = [event.replace(*edit) for event in events]
    if say.cut:
        events[-1] = events[-1][: -say.cut]
    if say.joined:
        return [b"".join(events)]
    return events


def _whole(whole: Whole, protocol: str) -> bytes:
    body = b"".join(VOICES[protocol]["unary"]) if whole.body is None else whole.body
    for edit in whole.edits:
        body = body.replace(*edit)
    length = len(body) if whole.length is None else whole.length
    lines = [f"HTTP/1.1 {whole.status}", f"content-type: {whole.media}", f"content-length: {length}"]
    return ("\r\n".join([*lines, *whole.headers]) + "\r\n\r\n").encode("latin-1") + body
