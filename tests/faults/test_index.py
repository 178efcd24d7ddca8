"""Every fault of the catalogue has its place: cells here, or a named test elsewhere, or a reason why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.faults.cells import ALL, FAULTS

ROOT: Final = Path(__file__).parent.parent
WANTED: Final = {f"F{n:02}" for n in range(1, 89)}

ELSEWHERE: Final = {
    "F19": ("integration/test_tokens.py::test_a_token_that_the_upstream_refuses_is_renewed_once_and_the_client_gets_its_answer",),
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
    "F62": (
        "integration/test_tokens.py::test_a_hundred_requests_at_a_tokens_end_fetch_one_token",
        "credentials/test_keeper.py::test_however_many_refusals_of_one_token_fetch_one_other",
    ),
    "F63": (
        "integration/test_tokens.py::test_a_hundred_requests_at_a_tokens_end_fetch_one_token",
        "integration/test_tokens.py::test_two_nodes_fetch_one_token_per_generation_and_requests_never_notice",
    ),
    "F64": (
        "integration/test_tokens.py::test_a_node_that_is_killed_while_it_asks_costs_no_account",
        "credentials/test_schedules.py::test_no_schedule_sends_a_refresh_token_twice_to_a_strict_provider",
        "credentials/test_schedules.py::test_a_provider_with_a_period_of_grace_loses_no_account_whose_answer_comes_through",
    ),
    "F65": (
        "integration/test_tokens.py::test_while_no_token_can_be_had_requests_go_to_others",
        "integration/test_tokens.py::test_the_only_account_without_a_token_is_an_answer_of_503",
        "credentials/test_keeper.py::test_an_endpoint_that_fails_is_asked_ever_more_seldom_and_heals",
    ),
    "F66": (
        "integration/test_tokens.py::test_a_revoked_refresh_token_is_told_once_and_never_sent_again",
        "credentials/test_keeper.py::test_generation_after_generation_that_is_refused_ends_the_storm",
        "credentials/test_keeper.py::test_a_wall_clock_that_jumps_renews_nothing",
    ),
    "F61": (
        "integration/test_idempotency.py::test_the_upstream_is_called_once_and_everybody_is_answered",
        "gateway/test_idempotency.py::test_who_began_it_may_leave_but_is_not_over_before_it",
    ),
    "F67": (
        "store/test_outage.py::test_killed_and_back",
        "integration/test_store_outages.py::test_two_hundred_streams_notice_nothing_and_counts_are_exact",
    ),
    "F68": (
        "store/test_outage.py::test_paused",
        "integration/test_two_nodes.py::test_no_request_waits_for_the_store_and_no_forbidden_command_is_used",
    ),
    "F69": (
        "store/test_weather.py::test_a_store_that_is_too_late_is_left_alone",
        "store/test_weather.py::test_a_store_that_is_slow_but_in_time_is_used",
    ),
    "F70": ("store/test_weather.py::test_a_tenth_of_all_packets_lost_counts_everything_once",),
    "F71": (
        "store/test_outage.py::test_failover_by_sentinels",
        "integration/test_store_outages.py::test_two_hundred_streams_notice_nothing_and_counts_are_exact",
    ),
    "F72": (
        "store/test_weather.py::test_an_old_master_that_returns_is_not_believed",
        "store/test_sentinels.py::test_what_new_connections_write_while_an_old_master_is_back_is_not_lost",
        "store/test_sentinels.py::test_nobody_connects_to_a_master_that_is_being_replaced",
        "store/test_sentinels.py::test_the_latest_configuration_is_believed_wherever_it_stands_in_the_address",
    ),
    "F73": ("store/test_weather.py::test_a_node_that_is_cut_off_serves_by_itself_and_converges",),
    "F74": (
        "store/test_weather.py::test_a_store_that_says_no_is_an_outage",
        "store/test_outage.py::test_read_only",
        "store/test_outage.py::test_out_of_memory",
        "store/test_outage.py::test_no_room_for_clients",
        "store/test_outage.py::test_a_password_that_is_not_accepted_any_more",
    ),
    "F75": (
        "store/test_outage.py::test_emptied_under_way",
        "store/test_outage.py::test_a_foreign_type_in_a_key_is_moved_out_of_the_way",
        "store/test_refusals.py::test_keys_of_another_version_are_left_alone",
    ),
    "F76": ("store/test_outage.py::test_absent_at_start_and_there_later",),
    "F77": (
        "integration/test_drain.py::test_a_running_stream_finishes_after_the_signal",
        "integration/test_drain.py::test_a_stream_longer_than_the_drain_is_told_in_band",
    ),
    "F78": (
        "integration/test_workers.py::test_a_killed_worker_takes_only_its_own_streams_with_it",
        "integration/test_nodes_of_workers.py::test_killed_workers_lose_no_row_and_double_none",
        "accounts/test_sync.py::test_what_a_node_has_under_way_is_forgotten_with_it",
    ),
    "F79": ("integration/test_overload.py::test_descriptors_that_run_out_stop_nothing_for_good",),
    "F80": (
        "integration/test_usage_ledger.py::test_a_disk_that_takes_nothing_is_told_and_answered_by_policy",
        "ledger/test_ledger.py::test_a_full_disk_is_told_and_recovered_from",
        "credentials/test_keeper.py::test_a_token_that_is_safe_nowhere_is_not_used",
        "telemetry/test_log.py::test_a_closed_terminal_does_not_matter",
    ),
    "F81": (
        "server/test_pressure.py::test_memory_that_is_used_up_refuses",
        "integration/test_overload.py::test_only_the_largest_stream_is_given_up_when_memory_ends",
    ),
    "F82": (
        "workers/test_supervisor.py::test_a_worker_whose_event_loop_stands_still_is_replaced_and_says_where_it_stood",
        "integration/test_workers.py::test_a_worker_that_hangs_is_replaced_while_the_others_serve",
        "server/test_pressure.py::test_a_lag_must_last",),
    "F83": ("integration/test_overload.py::test_it_is_over_when_it_is_over",),
    "F84": (
        "integration/test_reload_and_stop.py::test_an_invalid_file_keeps_the_old_and_says_so",
        "integration/test_reload_and_stop.py::test_a_stream_outlives_the_reload_and_the_signal_to_stop",
    ),
    "F85": ("integration/test_overload.py::test_a_full_worker_refuses_in_each_protocols_form",),
    "F86": (
        "integration/test_nodes_of_workers.py::test_a_rolling_restart_of_two_nodes_fails_nobody",
        "integration/test_workers.py::test_a_rolling_restart_fails_nobody",
        "interop/test_nodes_behind_nginx.py::test_a_rolling_restart_behind_nginx_fails_nobody",
    ),
    "F87": ("accounts/test_health.py::test_every_bad_state_ends_by_itself",),
    "F88": (
        "gateway/test_long_outages.py::test_an_outage_costs_few_calls_and_is_over_soon_after_its_end",
        "faults/test_pools_under_load.py::test_all_out_is_told_at_once_and_ends_when_the_accounts_are_back",
    ),
}  # fmt: skip
"""By path below `tests/`. Timed figures of F83 and F85 are in `bench/reliability.py`."""

LEFT_OUT: Final[dict[str, str]] = {}
"""By fault: why there is no test."""


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
