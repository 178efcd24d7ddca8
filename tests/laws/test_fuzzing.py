"""Hostile bytes in every decoder: a result or a refusal, in time and memory that grow with their size and no faster."""

from __future__ import annotations

import time
import tracemalloc
from random import Random

import pytest

from aiclient2api.errors import MalformedMessage
from tests.laws.exchange import CONVERTERS, client_wire
from tests.laws.fuzzing import KINDS, feed
from tests.laws.native import OC, OR, PAIRS, PROTOCOLS, Said, answer, request, say
from tests.laws.pieces import content, text
from tests.laws.plain import dump
from tests.laws.registry import LAWS
from tests.laws.streams import streamed
from tests.laws.words import Words


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_ten_thousand_hostile_bodies_are_taken_or_refused(client: str, upstream: str) -> None:
    for number in range(625):
        LAWS["L12"](Words(Random(f"{client} {upstream} {number}")), client, upstream)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"\\u0000" * 50_000, b"data: " * 50_000, b"\n" * 100_000, b"\xff" * 9_999],
    ids=["arrays", "objects", "escapes", "fields", "blank lines", "no text"],
)  # fmt: skip
def test_a_monstrous_body_is_taken_or_refused(protocol: str, kind: str, body: bytes) -> None:
    feed(protocol, kind, body, Words(Random(1)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_names_the_path_of_what_is_wrong(protocol: str) -> None:
    doc = request(protocol)
    say(protocol, doc, "x")
    holder = doc[{"openai_responses": "input", "gemini": "contents"}.get(protocol, "messages")]
    holder.append({"role": 7, "type": "message"} if protocol == OR else {"role": 7})
    with pytest.raises(MalformedMessage) as refused:
        CONVERTERS[protocol].decode_request(client_wire(protocol, doc, stream=False))
    assert "[1]" in refused.value.path


def _large(protocol: str, size: int) -> tuple[bytes, bytes]:
    """A request of `size` messages and a stream of `size` texts."""
    doc = request(protocol)
    for number in range(size):
        say(protocol, doc, f"message {number} ü", role="assistant" if number % 2 else "user")
    words = Words(Random(1))
    pieces = [text(protocol, f"text {number} ü", words) for number in range(size if protocol != OC else 1)]
    return dump(doc), streamed(protocol, answer(protocol, Said(content(protocol, pieces)), words), words)


def _spent(protocol: str, size: int) -> tuple[float, int]:
    """CPU seconds (the lesser of two) and peak memory of decoding."""
    body, stream = _large(protocol, size)
    least, peak = float("inf"), 0
    for _ in range(2):
        tracemalloc.start()
        began = time.process_time()
        feed(protocol, "request", body, Words(Random(1)))
        feed(protocol, "stream", stream, Words(Random(1)))
        least = min(least, time.process_time() - began)
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return least, peak


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_four_times_the_size_costs_about_four_times_the_time_and_memory(protocol: str) -> None:
    """A square law would cost sixteen times; the margin is for a busy machine."""
    _spent(protocol, 20)
    small, large = _spent(protocol, 100), _spent(protocol, 400)
    assert large[0] < small[0] * 10
    assert large[1] < small[1] * 8
