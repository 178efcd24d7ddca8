"""What cold caches cost: one converted unary exchange in this process, nothing sent, with memory touched in between.

python -m bench.cold [--rounds 60]

A Claude request becomes a Chat one and the streamed answer becomes Claude's. Between two of them so many MiB are read
as stand for the other work of a machine: what was in the caches makes room.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Final

from aiclient2api.protocols.base import AnswerStream
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder
from bench.upstream import sse

SIZES: Final = (0, 1, 2, 8, 40)
"""MiB: nothing, twice a first, four times a second-level cache, a share of the last, all of it."""
LINE: Final = 64
WARM: Final = 50
"""Times the rounds, where nothing is touched."""
BODY: Final = b'{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"Say hello."}]}'


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold")
    parser.add_argument("--rounds", type=int, default=60)
    rounds: int = parser.parse_args().rounds
    factory = ConverterFactory(BUILTIN, Carrier({1: b"k" * 32}, 1))
    answer = sse(4)
    memory = memoryview(bytearray(max(SIZES) << 20))
    for _ in range(WARM * 5):
        _exchange(factory, answer)
    print(f"Python {sys.version.split()[0]}, median µs of one converted exchange, by MiB touched before it")
    for size in SIZES:
        times: list[float] = []
        for _ in range(rounds if size else rounds * WARM):
            sum(memory[: size << 20 : LINE])
            began = time.perf_counter()
            _exchange(factory, answer)
            times.append(time.perf_counter() - began)
        print(f"{size:3} MiB: {statistics.median(times) * 1e6:.0f}")


def _exchange(factory: ConverterFactory, answer: bytes) -> None:
    inbound = Inbound(factory["anthropic"], WireRequest(path="/v1/messages", body=BODY), "tenant")
    conversion = factory.convert(inbound, "openai_chat", Target(model="m", profile=ModelProfile()))
    stream: AnswerStream = conversion.stream()
    assert isinstance(stream, FoldingStream)
    for frame in SseDecoder().feed(answer):
        stream.feed(frame)
    stream.answer()


if __name__ == "__main__":
    main()
