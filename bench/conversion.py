"""What converting costs in opcodes and calls of Python functions, in this process, nothing sent.

python -m bench.conversion [--rows 0]

A Claude client, a Chat upstream: one unary exchange (streamed and folded), an event of a burst of 203 that comes in two
reads, an event that comes alone; the last also relayed, and from a Claude upstream. Only `protocols/`, `wire/` and
`ir/` take part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any, Final

from aiclient2api.protocols.base import AnswerStream
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.pivot_streams import FoldingStream, PivotStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder
from bench.upstream import sse

FACTORY: Final = ConverterFactory(BUILTIN, Carrier({1: b"k" * 32}, 1))
PATHS: Final = {"anthropic": "/v1/messages", "openai_chat": "/v1/chat/completions"}
BODY: Final = b'{"model":"m","max_tokens":99,%b"messages":[{"role":"user","content":"Say hello."}]}'
VERSION: Final = (("anthropic-version", "2023-06-01"),)
BURST: Final = 203
READ: Final = 16_000
"""Bytes of the burst's first read."""
ALONE: Final = 100
"""Events that come one by one."""

CLAUDE_HEAD: Final = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"m","content":[],"usage":{"input_tokens":9}}}\n\nevent: content_block_start\ndata: {"type":'
    b'"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)
CLAUDE_PIECE: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":" word"}}\n\n'
)


def main() -> None:
    """Count, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m bench.conversion")
    parser.add_argument("--rows", type=int, default=0, help="functions that are printed")
    rows: int = parser.parse_args().rows
    for _ in range(3):
        _unary()
    _print("a unary exchange, converted", _counted(_unary), 1, rows)
    whole = sse(BURST - 3)
    cuts = _reads([whole[:READ], whole[READ:]])
    _print("an event of a burst, converted", _counted(cuts("anthropic")), BURST, rows)
    first, *more = [event + b"\n\n" for event in sse(ALONE + 3).split(b"\n\n")[: ALONE + 4]]
    for name, client in (("converted", "anthropic"), ("relayed", "openai_chat")):
        begun = _reads(more[3:], [first, *more[:3]])(client)
        _print(f"an event that comes alone, {name}", _counted(begun), ALONE, rows)
    for name, client in (("converted", "openai_chat"), ("relayed", "anthropic")):
        begun = _reads([CLAUDE_PIECE] * ALONE, [CLAUDE_HEAD, CLAUDE_PIECE], "anthropic")(client)
        _print(f"an event of Claude's that comes alone, {name}", _counted(begun), ALONE, rows)


def _asked(client: str, upstream: str = "openai_chat", *, stream: bool) -> AnswerStream:
    body = BODY % (b'"stream":true,' if stream else b"")
    inbound = Inbound(FACTORY[client], WireRequest(path=PATHS[client], body=body, headers=VERSION), "tenant")
    inbound.converter.output_bound(inbound.wire)
    target = Target(model="m", profile=ModelProfile(), remember=_forget)
    return FACTORY.convert(inbound, upstream, target).stream()


def _forget(call_id: str, record: bytes | None) -> None:
    """Nothing is kept of an answer."""


def _fed(stream: AnswerStream, frames: list[Frame]) -> None:
    """As `gateway/upstream.py` does it."""
    if len(frames) > 1 and isinstance(stream, PivotStream | FoldingStream):
        stream.feed_all(frames, [])
    else:
        for frame in frames:
            stream.feed(frame)


def _unary() -> None:
    stream = _asked("anthropic", stream=False)
    _fed(stream, SseDecoder().feed(sse(4)))
    assert isinstance(stream, FoldingStream)
    stream.answer()


def _reads(
    reads: Sequence[bytes], before: Sequence[bytes] = (), upstream: str = "openai_chat"
) -> Callable[[str], Callable[[], None]]:
    def begun(client: str) -> Callable[[], None]:
        stream, frames = _asked(client, upstream, stream=True), SseDecoder()
        for read in before:
            _fed(stream, frames.feed(read))

        def rest() -> None:
            for read in reads:
                _fed(stream, frames.feed(read))

        return rest

    return begun


def _counted(run: Callable[[], None]) -> dict[CodeType, list[int]]:
    counts: dict[CodeType, list[int]] = {}

    def tracer(frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event in ("call", "opcode"):
            counts.setdefault(frame.f_code, [0, 0])[event == "call"] += 1
        return tracer

    sys.settrace(tracer)
    try:
        run()
    finally:
        sys.settrace(None)
    return {code: count for code, count in counts.items() if code.co_filename != __file__}


def _print(name: str, counts: dict[CodeType, list[int]], events: int, rows: int) -> None:
    opcodes, calls = (sum(count[kind] for count in counts.values()) / events for kind in (0, 1))
    print(f"{name}: {opcodes:.0f} opcodes, {calls:.1f} calls")
    for code, count in sorted(counts.items(), key=lambda item: -item[1][0])[:rows]:
        print(f"{count[0] / events:8.1f} {count[1] / events:6.2f}  {code.co_qualname}")


if __name__ == "__main__":
    main()
