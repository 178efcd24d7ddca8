"""What public benchmarks of gateways catch them at, each as a test of its own, by bytes and by official SDKs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.cells import FAULTS, cells
from tests.faults.rig import Rig, rig

BENCHED = {
    "no first token": ("F34 headers, then silence", "F34 a prelude, then silence"),
    "silent upstream": ("F34 no answer at all",),
    "stall after content": ("F39 content, then silence",),
    "cut after content": ("F37 content, then a clean end", "F38 content, then a reset"),
    "truncated unary answer": ("F15 a length that is too long", "F45 a broken first event"),
    "retry after": ("F22 429 with seconds", "F26 429 with a wait of 1587827"),
}
BY_KEY = {fault.key: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    keys = [key for names in BENCHED.values() for key in names]
    with rig(
        [cell for key in keys for cell in cells(BY_KEY[key])], tmp_path_factory.mktemp("faults")
    ) as made:
        yield made


def complaints(running: Rig, name: str, *, stream: bool | None = None) -> list[str]:
    chosen = [
        cell
        for key in BENCHED[name]
        for cell in cells(BY_KEY[key])
        if stream is None or cell.stream is stream
    ]
    assert len(chosen) >= 16
    seen = running.observe(chosen)
    return [f"{cell.place} {cell.judge}: {found}" for cell, found in seen.items() if found]


def test_a_first_token_that_does_not_come_has_a_limit_and_another_account_answers(running: Rig) -> None:
    assert complaints(running, "no first token") == []


def test_a_silent_upstream_is_replaced_or_a_gateway_time_out(running: Rig) -> None:
    assert complaints(running, "silent upstream") == []


def test_a_stream_that_stalls_after_content_ends_with_a_loud_error(running: Rig) -> None:
    assert complaints(running, "stall after content", stream=True) == []


def test_a_stream_that_is_cut_after_content_ends_with_a_loud_error(running: Rig) -> None:
    assert complaints(running, "cut after content", stream=True) == []


def test_a_truncated_answer_is_never_delivered_as_a_success(running: Rig) -> None:
    assert complaints(running, "truncated unary answer", stream=False) == []


def test_a_retry_after_is_neither_ignored_nor_passed_on_beyond_reason(running: Rig) -> None:
    assert complaints(running, "retry after") == []
