from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from aiclient2api.telemetry.counting import Counter, Histogram, Kind, families
from aiclient2api.telemetry.report import page
from aiclient2api.telemetry.tally import (
    CELLS,
    LONGEST_LABEL,
    MAX_SERIES,
    SHARED_BYTES,
    LocalTally,
    SharedTally,
    Sums,
    Tally,
)

HITS = Kind("hits", "Hits.", ("who", "how"))
TIMES = Kind("times", "Times.", ("who",), is_histogram=True)


@pytest.fixture
def memory() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), SHARED_BYTES)
        yield file.fileno()


def count(tally: Tally) -> None:
    hits, times = Counter(HITS, tally), Histogram(TIMES, tally)
    hits.add(("a", "x"))
    hits.add(("b", "x"), 5)
    hits.add(("a", "x"), 2)
    times.observe("a", 0.07)
    times.observe("a", 1000.0)


def shown(*tallies: Tally) -> list[str]:
    sums = Sums()
    for tally in tallies:
        sums.add(tally)
    lines = page(families((HITS, TIMES), sums.items())).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_shared_and_local_integers_are_the_same(memory: int) -> None:
    local = LocalTally()
    count(local)
    count(SharedTally(memory))

    assert dict(SharedTally(memory).items()) == dict(local.items())
    assert shown(local)[:2] == ['hits_total{how="x",who="a"} 3.0', 'hits_total{how="x",who="b"} 5.0']


def test_processes_are_added_up(memory: int) -> None:
    local, shared = LocalTally(), SharedTally(memory)
    count(local)
    count(shared)
    Counter(HITS, shared).add(("only", "shared"))

    lines = shown(local, shared)

    assert 'hits_total{how="x",who="b"} 10.0' in lines
    assert 'hits_total{how="shared",who="only"} 1.0' in lines
    assert 'times_bucket{le="0.05",who="a"} 0.0' in lines
    assert 'times_bucket{le="0.1",who="a"} 2.0' in lines
    assert 'times_bucket{le="+Inf",who="a"} 4.0' in lines
    assert 'times_sum{who="a"} 2000.14' in lines


def test_a_killed_process_leaves_what_it_has_counted(memory: int) -> None:
    program = """
import os, signal, sys
from aiclient2api.telemetry.counting import Counter, Kind
from aiclient2api.telemetry.tally import SharedTally
counter = Counter(Kind("hits", "Hits.", ("who", "how")), SharedTally(int(sys.argv[1])))
for number in range(1000):
    counter.add((str(number % 10), "x"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, str(memory)], pass_fds=(memory,), check=False)

    assert done.returncode == -9
    assert [cells for _, cells in SharedTally(memory).items()] == [[100]] * 10


def test_a_full_memory_fails_nobody(memory: int) -> None:
    tally = SharedTally(memory)
    first = tally.place(("wide", ()), CELLS - 2)

    assert first == 0
    assert tally.place(("hits", ("a", "x")), 5) == CELLS - 5
    assert [series for series, _ in tally.items()] == [("wide", ())]


def test_long_labels_are_cut_and_sums_are_bounded() -> None:
    sums = Sums()
    for part in range(2):
        tally = LocalTally()
        hits = Counter(HITS, tally)
        for number in range(MAX_SERIES - 1):
            hits.add((f"{part} {number}", "x" * 1000))
        sums.add(tally)

    others = sums.values["hits", ("other", "other")]
    assert others == [MAX_SERIES - 2]
    assert len(sums.values) == MAX_SERIES + 1
    assert all(len(labels[1]) <= LONGEST_LABEL for _, labels in sums.values)
