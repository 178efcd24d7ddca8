"""Every fault of the catalogue has its place: cells here, or a named test elsewhere, or a reason why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.faults.cells import ALL, FAULTS

ROOT: Final = Path(__file__).parent.parent
WANTED: Final = {*(f"F{n:02}" for n in (*range(1, 62), 77, 79, 81, 82, 83, 84, 85, 87, 88))}

ELSEWHERE: Final = {
    "F57": (
        "integration/test_client_gone.py::test_the_upstream_is_closed",
        "integration/test_client_gone.py::test_a_client_that_leaves_while_it_sends_its_body_reaches_nobody",
        "integration/test_limits.py::test_a_client_that_leaves_the_queue_takes_no_place",
    ),
    "F58": ("integration/test_slow_clients.py::test_a_client_that_reads_nothing_is_left_and_its_upstream_call_too",),
    "F59": (
        "integration/test_slow_clients.py::test_a_head_that_drips_is_closed_all_the_same",
        "integration/test_slow_clients.py::test_a_body_that_drips_has_its_total",
        "integration/test_slow_clients.py::test_five_hundred_slow_clients_are_closed_while_others_are_served",
    ),
    "F60": (
        "integration/test_http_guard.py::test_what_is_not_for_us_is_refused_and_closed",
        "integration/test_http_guard.py::test_pipelined_requests_are_answered_in_order",
        "server/test_smuggling.py::test_a_payload_is_read_as_written_or_refused",
    ),
    "F77": (
        "integration/test_drain.py::test_a_running_stream_finishes_after_the_signal",
        "integration/test_drain.py::test_a_stream_longer_than_the_drain_is_told_in_band",
    ),
    "F79": ("integration/test_overload.py::test_descriptors_that_run_out_stop_nothing_for_good",),
    "F81": (
        "server/test_pressure.py::test_memory_that_is_used_up_refuses",
        "integration/test_overload.py::test_only_the_largest_stream_is_given_up_when_memory_ends",
    ),
    "F82": ("server/test_pressure.py::test_a_lag_must_last",),
    "F83": ("integration/test_overload.py::test_it_is_over_when_it_is_over",),
    "F84": (
        "integration/test_reload_and_stop.py::test_an_invalid_file_keeps_the_old_and_says_so",
        "integration/test_reload_and_stop.py::test_a_stream_outlives_the_reload_and_the_signal_to_stop",
    ),
    "F85": ("integration/test_overload.py::test_a_full_worker_refuses_in_each_protocols_form",),
    "F87": ("accounts/test_health.py::test_every_bad_state_ends_by_itself",),
    "F88": ("faults/test_pools_under_load.py::test_all_out_is_told_at_once_and_ends_when_the_accounts_are_back",),
}  # fmt: skip
"""By path below `tests/`. Timed figures of F83 and F85 are in `bench/reliability.py`."""

LEFT_OUT: Final = {
    "F19": "no account of this version has a credential that can be refreshed",
    "F61": "idempotency keys are not offered",
}


def test_every_fault_of_the_catalogue_has_its_place() -> None:
    here = {fault.id for fault in FAULTS}

    assert here | ELSEWHERE.keys() | LEFT_OUT.keys() == WANTED
    assert not here & (ELSEWHERE.keys() | LEFT_OUT.keys())


def test_the_named_tests_exist() -> None:
    named = [name for names in ELSEWHERE.values() for name in names]
    missing = [
        name
        for name in named
        if f"def {name.partition('::')[2]}(" not in (ROOT / name.partition("::")[0]).read_text("utf-8")
    ]

    assert missing == []


def test_the_size_of_the_catalogue() -> None:
    """So that nobody makes it smaller without noticing."""
    assert len(FAULTS) >= 128
    assert len(ALL) >= 6_000
