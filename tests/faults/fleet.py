"""The gateway as a program of its own, and requests by the hundred from this process."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.asking import Question, Seen, told
from tests.faults.many import call
from tests.faults.voices import PROTOCOLS, text_of
from tests.program import Program, serving_program

KEY = "client-key-of-the-fleet"
_numbers = itertools.count(0x1000000)


@asynccontextmanager
async def gateway(sections: Mapping[str, Any]) -> AsyncIterator[Program]:
    """`aiclient2api serve` with these sections and the client key KEY."""
    config = {
        "keys": [{"name": "fleet", "key": KEY}],
        "log": {"level": "error"},
        "limits": {"streams_per_worker": 5000},
        **sections,
    }
    with tempfile.TemporaryDirectory() as folder:
        program = serving_program(Path(folder), config)
        running = await asyncio.to_thread(program.__enter__)
        try:
            yield running
        finally:
            await asyncio.to_thread(program.__exit__, None, None, None)


def fresh_nonce() -> str:
    """A nonce that no other request of this process has."""
    return f"n-{next(_numbers):010x}"


def complaint(question: Question, seen: Seen) -> str | None:
    """What is wrong with an answer that should be complete; None when nothing is."""
    if seen.status != 200:
        return f"status {seen.status}: {seen.body[:200]!r}"
    answer = told(question.protocol, seen, stream=question.stream)
    if not seen.complete or answer.error or answer.ends != 1 or answer.text != text_of(question.nonce):
        return f"complete={seen.complete} {answer}"
    return None


async def many(
    url: str,
    model: str,
    count: int,
    at_once: int,
    *,
    before: Callable[[int], None] = lambda _: None,
    protocols: Sequence[str] = PROTOCOLS,
    released: Callable[[str], None] = lambda _: None,
) -> list[tuple[Question, Seen]]:
    """So many requests, of all protocols and both modes in turn. `before` is told the number of each."""
    done: list[tuple[Question, Seen]] = []
    left = iter(range(count))

    async def work() -> None:
        for number in left:
            before(number)
            protocol = protocols[number % len(protocols)]
            stream = number // len(protocols) % 2 == 0
            question = Question(protocol=protocol, model=model, nonce=fresh_nonce(), stream=stream)
            done.append((question, await call(question, url, KEY, released)))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return done
