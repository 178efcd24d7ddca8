"""Several workers behind one socket: what they count together, who notices when one of them dies or is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import Anthropic

from aiclient2api.simulator.settings import SimulatorSettings
from tests.program import DEADLINE, run, simulating, until, write_config
from tests.workers.load import BODY, stream_many
from tests.workers.rig import KEY, Fleet, fleet, is_alive, sections

PACED = SimulatorSettings(events=40, interval=0.05)
STREAMS, FEW = 200, 24


def test_all_workers_serve_and_any_of_them_tells_the_numbers_of_all(tmp_path: Path, each_server: str) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: gateway.ask().status_code, range(120)))
        until(lambda: gateway.workers_of().total() == 120)
        pages = [gateway.samples("aiclient2api_requests_total") for _ in range(8)]
        attempts = gateway.samples("aiclient2api_attempts_total")
        inflight = gateway.samples("aiclient2api_inflight_requests")
        # each worker has half of an account's 64, as soon as it knows of the other
        until(lambda: sum(gateway.samples("aiclient2api_account_limit").values()) == 2 * 64)
        states = gateway.samples("aiclient2api_account_state")
        workers = gateway.samples("aiclient2api_workers")
        health = gateway.health()
        assert gateway.program.stop() == 0

    assert answers == [200] * 120
    assert set(gateway.workers_of()) == {1, 2}
    ok = '{operation="generate",outcome="ok",protocol="anthropic",status="200"}'
    assert pages == [{ok: 120.0}] * 8
    assert sum(attempts.values()) == 120
    assert inflight == {"": 0.0}
    assert sorted(states.values()) == [0.0] * 12 + [1.0] * 2
    assert workers == {'{state="wanted"}': 2, '{state="ready"}': 2, '{state="other"}': 0}
    assert health == {"status": "ok", "workers": {"1": "ok", "2": "ok"}}


def test_a_killed_worker_takes_only_its_own_streams_with_it(tmp_path: Path) -> None:
    with simulating(PACED) as (_, url), fleet(tmp_path, sections(url, 2 * STREAMS)) as gateway:

        def kill() -> None:
            os.kill(gateway.worker(1), signal.SIGKILL)

        complete = sum(asyncio.run(stream_many(gateway.url, KEY, STREAMS, kill)))
        until(lambda: gateway.workers_of().total() == complete)
        assert set(gateway.workers_of()) == {2}
        assert 0 < complete < STREAMS

        until(lambda: gateway.health() == {"status": "ok", "workers": {"1": "ok", "2": "ok"}})
        assert {gateway.ask().status_code for _ in range(10)} == {200}
        (died,) = gateway.program.events("worker_died")
        assert (died["worker"], died["status"], died["pause"]) == (1, -9, 0.1)
        requests = gateway.samples("aiclient2api_requests_total")
        assert sum(requests.values()) == complete + 10, "what a dead worker counted stays counted"
        until(lambda: sum(gateway.samples("aiclient2api_attempts_total").values()) == STREAMS + 10)
        attempts = gateway.samples("aiclient2api_attempts_total")
        aborted = sum(value for labels, value in attempts.items() if "aborted" in labels)
        assert aborted == STREAMS - complete
        assert gateway.samples("aiclient2api_worker_ends_total")['{how="died"}'] == 1
        assert gateway.program.stop() == 0


def test_while_no_worker_lives_clients_wait_and_are_answered(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        for number in (1, 2):
            os.kill(gateway.worker(number), signal.SIGKILL)
        until(lambda: len(gateway.program.events("worker_died")) == 2)

        assert gateway.ask().status_code == 200


def test_a_worker_that_answers_nothing_is_missed_and_the_others_answer(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        os.kill(gateway.worker(2), signal.SIGSTOP)
        try:
            until(lambda: gateway.health() == {"status": "degraded", "workers": {"1": "ok", "2": "missing"}})
            assert {gateway.ask().status_code for _ in range(5)} == {200}
            assert sum(gateway.samples("aiclient2api_requests_total").values()) == 5
        finally:
            os.kill(gateway.worker(2), signal.SIGCONT)
        until(lambda: gateway.health()["status"] == "ok")


def test_a_worker_that_hangs_is_replaced_while_the_others_serve(tmp_path: Path) -> None:
    given = sections("", server={"watchdog": "4s"})
    with simulating() as (_, url):
        given["accounts"] = sections(url)["accounts"]
        with fleet(tmp_path, given) as gateway:
            stuck = gateway.worker(2)
            os.kill(stuck, signal.SIGSTOP)
            with gateway.load().running() as load:
                until(lambda: gateway.worker(2) != stuck)
            until(lambda: not is_alive(stuck))
            until(lambda: gateway.health() == {"status": "ok", "workers": {"1": "ok", "2": "ok"}})
            hung = [line for line in gateway.program.events("worker_hung") if line["worker"] == 2]

            assert [(line["level"], line["worker_pid"], line["seconds"]) for line in hung] == [
                ("error", stuck, 4.0)
            ]
            # what the stuck process had accepted breaks when it is killed, nothing else does
            assert load.statuses[200] > 0
            assert set(load.statuses) <= {200, "cut", "ServerDisconnectedError", "ClientOSError"}
            assert load.done - load.statuses[200] <= 6, "one for each client"
            assert {gateway.ask().status_code for _ in range(5)} == {200}
            assert gateway.program.stop() == 0


def test_a_rolling_restart_fails_nobody(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        before = {gateway.worker(1), gateway.worker(2)}
        sdk = Anthropic(base_url=gateway.url, api_key=KEY)
        with sdk, gateway.load().running() as load:
            load.more(30)
            gateway.program.process.send_signal(signal.SIGUSR2)
            while not gateway.program.events("rolling_restart_done"):
                sdk.messages.create(model="claude/x", max_tokens=9, messages=BODY["messages"])
            until(lambda: not any(map(is_alive, before)))
            load.more(30)

        assert set(load.statuses) == {200}, load.statuses
        assert not before & {gateway.worker(1), gateway.worker(2)}
        left = gateway.program.events("worker_left")
        assert {line["worker_pid"]: line["status"] for line in left} == dict.fromkeys(before, 0)
        assert sum(gateway.samples("aiclient2api_requests_total").values()) >= load.done
        assert gateway.program.stop() == 0


def test_a_stream_outlives_the_rolling_restart(tmp_path: Path) -> None:
    slow = SimulatorSettings(events=200, interval=0.05)
    with simulating(slow) as (_, url), fleet(tmp_path, sections(url)) as gateway:

        def restart() -> None:
            gateway.program.process.send_signal(signal.SIGUSR2)

        assert asyncio.run(stream_many(gateway.url, KEY, FEW, restart)) == [True] * FEW
        until(lambda: gateway.program.events("rolling_restart_done"))
        assert gateway.program.stop() == 0


@pytest.mark.parametrize("times", [1, 2], ids=["once: finished", "twice: broken off"])
def test_a_stop_is_a_stop_of_all_workers(tmp_path: Path, times: int) -> None:
    paced = SimulatorSettings(events=60 if times == 1 else 3000, interval=0.02)
    with simulating(paced) as (_, url), fleet(tmp_path, sections(url)) as gateway:
        workers = {gateway.worker(1), gateway.worker(2)}

        def stop() -> None:
            gateway.program.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(gateway))
            if times == 2:
                gateway.program.process.send_signal(signal.SIGTERM)

        ends = asyncio.run(stream_many(gateway.url, KEY, FEW, stop))
        assert gateway.program.process.wait(DEADLINE) == 0
        assert ends == [times == 1] * FEW
        assert not any(map(is_alive, workers))


def refuses(gateway: Fleet) -> bool:
    try:
        httpx.get(f"{gateway.url}/healthz", verify=False)
    except httpx.TransportError:
        return True
    return False


def test_workers_end_with_a_killed_supervisor_and_the_port_is_free(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        assert gateway.ask().status_code == 200
        workers = [gateway.worker(1), gateway.worker(2)]
        port = int(gateway.url.rpartition(":")[2])
        gateway.program.process.kill()
        until(lambda: not any(map(is_alive, workers)))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            probe.listen()

    with simulating() as (_, url), fleet(tmp_path, sections(url)) as again:
        assert again.ask().status_code == 200
        assert again.program.stop() == 0


def test_a_reload_reaches_all_workers_and_a_bad_one_none(tmp_path: Path) -> None:
    other = "another-client-key-of-these-tests"
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:

        def statuses(key: str) -> set[int]:
            before = gateway.workers_of()
            with ThreadPoolExecutor(8) as pool:
                found = set(pool.map(lambda _: gateway.ask(key).status_code, range(40)))
            until(lambda: (gateway.workers_of() - before).total() == 40)
            assert set(gateway.workers_of() - before) == {1, 2}
            return found

        write_config(tmp_path, {**sections(url), "surprise": 1})
        gateway.program.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.program.events("reload_refused"))
        assert statuses(KEY) == {200}

        changed = sections(url, keys=[{"name": "me", "key": other}], server={"workers": 3})
        write_config(tmp_path, changed)
        gateway.program.process.send_signal(signal.SIGHUP)
        until(lambda: gateway.program.events("reloaded"))
        assert gateway.program.events("reloaded")[0]["needs_restart"] == ["server.workers"]
        assert (statuses(other), statuses(KEY)) == ({200}, {401})

        os.kill(gateway.worker(1), signal.SIGKILL)
        until(lambda: gateway.program.events("worker_died") and gateway.health()["status"] == "ok")
        assert (statuses(other), statuses(KEY)) == ({200}, {401}), "a successor has the new one too"

        write_config(tmp_path, sections(url))
        until(lambda: len(gateway.program.events("reloaded")) == 2)
        assert (statuses(other), statuses(KEY)) == ({401}, {200}), "a changed file needs no signal"
        assert gateway.program.stop() == 0


def test_a_file_that_went_bad_does_not_hinder_a_successor(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        gateway.program.config.write_text("{no yaml")
        until(lambda: gateway.program.events("reload_refused"))
        os.kill(gateway.worker(2), signal.SIGKILL)
        until(lambda: gateway.program.events("worker_died") and gateway.health()["status"] == "ok")
        assert gateway.ask().status_code == 200


def test_a_worker_that_keeps_dying_is_told_loudly(tmp_path: Path) -> None:
    with simulating() as (_, url), fleet(tmp_path, sections(url)) as gateway:
        for death in range(1, 6):
            pid = gateway.worker(1)
            os.kill(pid, signal.SIGKILL)
            until(lambda death=death: len(gateway.program.events("worker_died")) == death)
            until(lambda pid=pid: gateway.worker(1) != pid)
            assert gateway.ask().status_code == 200
        pauses = [line["pause"] for line in gateway.program.events("worker_died")]
        (loud,) = gateway.program.events("worker_keeps_dying")

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert (loud["level"], loud["worker"], loud["in_a_row"]) == ("error", 1, 5)


def test_one_clear_sentence_when_it_cannot_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        given = sections("http://127.0.0.1:1", server={"workers": 2, "port": port})
        config = write_config(tmp_path, given)
        done = run(tmp_path, "serve", "--config", str(config))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


def test_the_first_start_prints_one_key_that_all_workers_know(tmp_path: Path) -> None:
    given: dict[str, Any] = sections("http://127.0.0.1:1")
    del given["keys"]
    with simulating() as (_, url):
        given["accounts"] = sections(url)["accounts"]
        with fleet(tmp_path, given) as gateway:
            key = gateway.program.printed_key
            assert key is not None
            with ThreadPoolExecutor(4) as pool:
                assert set(pool.map(lambda _: gateway.ask(key).status_code, range(40))) == {200}
            until(lambda: set(gateway.workers_of()) == {1, 2})


def test_a_demo_with_workers(tmp_path: Path) -> None:
    with fleet(tmp_path, None, "--port", "0", "--workers", "2", "--drain", "1") as gateway:
        key = gateway.program.printed_key
        assert key is not None
        assert "demo mode" in gateway.program.stdout
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: gateway.ask(key, model="m").status_code, range(20))) == {200}
        assert gateway.program.stop() == 0
    assert not (tmp_path / "data").exists()
