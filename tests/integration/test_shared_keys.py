"""Client keys in the store: every node hears of them, limits hold for all, nothing depends on the store's answers."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiclient2api.cli import main
from aiclient2api.simulator.scenario import Fault, Match, Rule
from aiclient2api.store import keys
from tests.program import run, serving_program, simulating, write_config
from tests.store.servers import free_port, running, until
from tests.workers.nodes import KEY, Nodes, sections, two_nodes


def ask(url: str, key: str, model: str = "chat/m", prompt: str = "hi") -> int:
    """The status of one request."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            error.read()
            return error.code


def know_each_other(urls: Sequence[str]) -> None:
    """Wait until every node takes its half of an account's 64 places: then it knows that there are two."""
    until(lambda: all(metric(url, "account_limit", account="a") == 32 for url in urls))


def is_known(url: str, key: str) -> bool:
    """Whether a node lets a key in; model lists are not limited."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        error.close()
        return False


def command(nodes: Nodes, *arguments: str) -> str:
    """What a command of the program prints, beside the running nodes."""
    printed = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(printed, write_through=True)):
        status = main.run([*arguments, "--config", str(nodes.programs[0].config)])
        assert status == 0
        return printed.getvalue().decode()


def everywhere(nodes: Nodes, key: str, **members: Any) -> set[int]:
    return {ask(url, key, **members) for url in nodes.urls}


def soon(nodes: Nodes, key: str, status: int, **members: Any) -> None:
    """All nodes answer so before long; how long it takes is in `docs/reports/nodes.md`."""
    until(lambda: everywhere(nodes, key, **members) == {status})


def test_a_change_of_a_key_is_known_to_all_nodes(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        first = command(
            nodes, "keys", "create", "ci", "--models", "chat/m", "--label", "for the builds"
        ).strip()
        assert first.startswith("sk-a2-")
        soon(nodes, first, 200)
        assert everywhere(nodes, first, model="chat/other") == {403}

        command(nodes, "keys", "disable", "ci")
        soon(nodes, first, 401)
        command(nodes, "keys", "enable", "ci")
        soon(nodes, first, 200)

        second = command(nodes, "keys", "rotate", "ci").strip()
        soon(nodes, second, 200)
        assert everywhere(nodes, first) == {200}, "the old text works for a while"
        third = command(nodes, "keys", "rotate", "ci", "--overlap", "0s").strip()
        soon(nodes, third, 200)
        until(lambda: everywhere(nodes, first) == everywhere(nodes, second) == {401})

        command(nodes, "keys", "change", "ci", "--models", "chat/other")
        soon(nodes, third, 403)
        command(nodes, "keys", "expire", "ci")
        soon(nodes, third, 401)
        (listed,) = [
            row for row in json.loads(command(nodes, "keys", "list", "--json")) if row["name"] == "ci"
        ]
        assert (listed["state"], listed["label"], listed["models"]) == (
            "expired",
            "for the builds",
            ["chat/other"],
        )
        assert listed["keys"] == [{"ends_in": third[-4:]}]
        command(nodes, "keys", "remove", "ci")
        assert "ci" not in command(nodes, "keys", "list")

        with nodes.server.admin() as client:
            everything = repr(client.hgetall(keys.client_keys())).encode()
        on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        for key in (first, second, third):
            assert key.encode() not in everything + on_disk, "only keyed hashes are kept"


def test_a_limit_is_one_limit_for_all_nodes(tmp_path: Path) -> None:
    limit = 60
    with two_nodes(tmp_path) as nodes:
        key = command(nodes, "keys", "create", "ci", "--rpm", str(limit)).strip()
        soon(nodes, key, 200)
        know_each_other(nodes.urls)

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            statuses = Counter(pool.map(lambda number: ask(nodes.urls[number % 2], key), range(300)))
        assert set(statuses) == {200, 429}
        # what is refused because a node has not heard yet fits a moment later
        until(lambda: everywhere(nodes, key) and nodes.upstream.total() >= limit)

        assert nodes.upstream.total() <= at_most(limit, began)


def at_most(limit: int, began: float) -> int:
    """Requests that a limit a minute lets through since then: one share too many, and what the minute gives back."""
    return limit + ceil(limit / 2) + ceil(limit * (time.monotonic() - began) / 60)


def test_without_a_store_known_keys_work_unknown_ones_do_not_and_limits_are_shares(tmp_path: Path) -> None:
    limit = 20
    with two_nodes(tmp_path) as nodes:
        key = command(nodes, "keys", "create", "ci").strip()
        limited = command(nodes, "keys", "create", "small", "--rpm", str(limit)).strip()
        soon(nodes, key, 200)
        until(lambda: all(is_known(url, limited) for url in nodes.urls))
        know_each_other(nodes.urls)
        nodes.server.pause()
        try:
            until(lambda: everywhere(nodes, "sk-a2-unknown") == {503})
            assert everywhere(nodes, key) == everywhere(nodes, KEY) == {200}
            began = time.monotonic()
            statuses = Counter(ask(url, limited) for url in nodes.urls for _ in range(limit))
            assert set(statuses) == {200, 429}
            given_back = ceil(limit * (time.monotonic() - began) / 60)
            assert limit - 1 <= statuses[200] <= limit + 2 - 1 + given_back
        finally:
            nodes.server.resume()
        until(lambda: everywhere(nodes, "sk-a2-unknown") == {401})
        assert everywhere(nodes, key) == {200}


def test_a_store_that_was_emptied_gets_its_keys_back_and_a_change_stays(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        key = command(nodes, "keys", "create", "ci").strip()
        off = command(nodes, "keys", "create", "off").strip()
        soon(nodes, key, 200)
        soon(
            nodes, off, 200
        )  # both nodes hold it: a key that no node has heard of is answered 401 too, and cannot come back
        command(nodes, "keys", "disable", "off")
        soon(nodes, off, 401)
        with nodes.server.admin() as client:
            client.flushall()
            until(lambda: client.hlen(keys.client_keys()) == 2)

        assert everywhere(nodes, key) == {200}
        soon(nodes, off, 401)
        with nodes.server.admin() as client:
            client.set(keys.client_keys(), b"a value of another type")
            client.incr(keys.client_keys_version())
            until(lambda: client.type(keys.client_keys()) == b"hash")
            assert client.keys("a2:aside:*"), "what somebody wrote there is kept"
        assert everywhere(nodes, key) == {200}
        command(nodes, "keys", "disable", "ci")
        soon(nodes, key, 401)


def test_a_store_that_is_absent_at_start_is_joined_when_it_comes(tmp_path: Path) -> None:
    port = free_port()
    with simulating() as (_, url):
        config = sections(url, f"redis://127.0.0.1:{port}")
        with serving_program(tmp_path, config) as program:
            assert ask(program.url, KEY) == 200
            assert ask(program.url, "sk-a2-that-may-be-new") == 503
            with running(port=port):
                made = run(tmp_path, "keys", "create", "ci", "--config", str(program.config))
                assert made.returncode == 0, made.stderr
                until(lambda: ask(program.url, made.stdout.strip()) == 200)
                until(lambda: ask(program.url, "sk-a2-that-is-wrong") == 401)


def test_places_are_shared_and_those_of_a_killed_node_are_free_after_a_while(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        key = command(nodes, "keys", "create", "ci", "--concurrency", "1").strip()
        soon(nodes, key, 200)
        nodes.simulator.scenario.add(Rule(fault=Fault(delay=60), match=Match(prompt="wait")))

        def hang() -> None:
            with contextlib.suppress(OSError):
                while ask(nodes.urls[0], key, prompt="wait") == 429:
                    pass  # it has not heard yet that the other node's place is free

        client = threading.Thread(target=hang)
        client.start()
        try:
            until(lambda: ask(nodes.urls[1], key) == 429)
            nodes.programs[0].process.kill()
            until(lambda: ask(nodes.urls[1], key) == 200, 60.0)
        finally:
            client.join(20)


def test_commands_work_beside_a_running_embedded_store_and_without_one(tmp_path: Path) -> None:
    with simulating() as (_, url):
        config = {
            "accounts": {
                "a": {
                    "provider": "openai_compatible",
                    "base_url": f"{url}/v1",
                    "api_key": "x",
                    "pool": "chat",
                }
            },
            "keys": [{"name": "tests", "key": KEY}],
            "store": {"url": "embedded", "data_dir": str(tmp_path / "data")},
        }
        path = str(write_config(tmp_path, config))
        before = run(tmp_path, "keys", "create", "before", "--config", path)
        assert before.returncode == 0, before.stderr
        with serving_program(tmp_path, config) as program:
            assert ask(program.url, before.stdout.strip()) == 200
            beside = run(tmp_path, "keys", "create", "beside", "--config", path, "--json")
            assert beside.returncode == 0, beside.stderr
            until(lambda: ask(program.url, json.loads(beside.stdout)["key"]) == 200)
            listed = json.loads(run(tmp_path, "keys", "list", "--config", path, "--json").stdout)
            assert [row["name"] for row in listed] == ["tests", "before", "beside"]
            assert program.stop() == 0
        # without its store's files the next start knows the keys from the node's own
        for file in (tmp_path / "data").rglob("*"):
            if "aof" in file.name or file.suffix == ".rdb":
                file.unlink() if file.is_file() else None
        with serving_program(tmp_path, config) as program:
            assert ask(program.url, before.stdout.strip()) == 200


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("create", "tests"), "is the name of a key outside of the store", 2),
        (("create", "-x"), "No such option", 2),
        (("create", "a b"), "a name has letters", 2),
        (("create", "k", "--rpm", "0"), "--rpm", 2),
        (("create", "k", "--expires", "soon"), "neither a date", 2),
        (("create", "k", "--expires", "2020-01-01T00:00:00Z"), "lies in the past", 1),
        (("rotate", "nobody"), "there is no key 'nobody'", 1),
        (("change", "nobody"), "nothing to change", 2),
        (("rotate", "k", "--overlap", "1"), "not a time span", 2),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    config = {
        "accounts": {"a": {"provider": "openai", "api_key": "x"}},
        "keys": [{"name": "tests", "key": KEY}],
    }
    path = write_config(tmp_path, config)

    assert main.run(["keys", *arguments, "--config", str(path)]) == status

    printed = capfd.readouterr()
    assert said in printed.err
    assert printed.err.count("error: ") == 1
    assert printed.out == ""


def test_one_key_is_one_tenant_whichever_node_is_asked(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        key = command(nodes, "keys", "create", "ci", "--tpm", "100000").strip()
        soon(nodes, key, 200)

        assert everywhere(nodes, key) == {200}
        until(lambda: used(nodes.urls[0]) > 1 and abs(used(nodes.urls[0]) - used(nodes.urls[1])) < 0.5)


def used(url: str) -> float:
    """Requests of the last minute, as a node knows them; they fade as the minute goes on."""
    return metric(url, "key_used", key="ci", limit="requests")


def metric(url: str, name: str, **labels: str) -> float:
    """One sample of a node's metrics, 0 where there is none."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    wanted = f"aiclient2api_{name}"
    found = (each.value for each in samples if each.name == wanted and labels.items() <= each.labels.items())
    return next(found, 0.0)


def test_workers_of_one_node_share_keys_and_limits_like_nodes(tmp_path: Path) -> None:
    limit = 40
    with simulating() as (simulator, url):
        account = {"provider": "openai_compatible", "base_url": f"{url}/v1", "api_key": "x", "pool": "chat"}
        config = {
            "server": {"workers": 2},
            "accounts": {"a": account},
            "keys": [{"name": "tests", "key": KEY}],
            "store": {"url": "embedded", "data_dir": str(tmp_path / "data")},
        }
        with serving_program(tmp_path, config) as program:
            path = str(program.config)
            made = run(tmp_path, "keys", "create", "ci", "--rpm", str(limit), "--config", path)
            other = run(tmp_path, "keys", "create", "other", "--config", path)
            assert (made.returncode, other.returncode) == (0, 0), made.stderr + other.stderr
            until(lambda: metric(program.url, "account_limit", account="a") == 64)  # both know of the other
            # each request is a connection of its own, and either worker may take it
            until(lambda: {ask(program.url, other.stdout.strip()) for _ in range(20)} == {200})
            before = len(simulator.requests)

            began = time.monotonic()
            with ThreadPoolExecutor(8) as pool:
                statuses = Counter(pool.map(lambda _: ask(program.url, made.stdout.strip()), range(160)))
            assert set(statuses) == {200, 429}
            until(lambda: ask(program.url, made.stdout.strip()) and len(simulator.requests) - before >= limit)

            assert len(simulator.requests) - before <= at_most(limit, began)
