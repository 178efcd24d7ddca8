"""Accounts in the store: added and removed for all nodes by a command, sealed, and there again after any loss."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from aiclient2api.cli import main
from aiclient2api.store import keys
from tests.fakes.identity_server import CLIENT, identity_server
from tests.integration.test_shared_keys import ask
from tests.program import run, serving_program, simulating, write_config
from tests.store.servers import until
from tests.workers.nodes import KEY, Nodes, ask_many, sections, two_nodes

UPSTREAM_KEY = "upstream-added"
NAME = "added"


def command(nodes: Nodes, *arguments: str) -> str:
    """What a command of the program prints, beside the running nodes."""
    printed = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(printed, write_through=True)):
        assert main.run([*arguments, "--config", str(nodes.programs[0].config)]) == 0
        return printed.getvalue().decode()


def refused(nodes: Nodes, *arguments: str) -> str:
    """What a command that fails says."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        assert main.run([*arguments, "--config", str(nodes.programs[0].config)]) == 1
    return told.getvalue()


def options(base_url: str, folder: Path, key: str = UPSTREAM_KEY) -> tuple[str, ...]:
    (folder / "key").write_text(key)
    return (
        *("--provider", "openai_compatible", "--base-url", base_url, "--pool", "chat"),
        *("--api-key", f"file:{folder / 'key'}"),
    )


def base_url(nodes: Nodes) -> str:
    config = json.loads(nodes.programs[0].config.read_text())
    return config["accounts"]["a"]["base_url"]


def is_used(nodes: Nodes) -> bool:
    """Whether every node asks the added account when it has been asked often enough."""
    used: list[bool] = []
    for url in nodes.urls:
        before = nodes.upstream[NAME]
        assert asyncio.run(ask_many([url], 16, at_once=4)) == {200: 16}
        used.append(nodes.upstream[NAME] > before)
    return all(used)


def test_an_added_account_serves_on_all_nodes_until_it_is_removed(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        text = command(nodes, "accounts", "add", NAME, *options(base_url(nodes), tmp_path))
        assert text == "added: added in pool chat\n"
        until(lambda: is_used(nodes))
        listed = {
            row["name"]: row for row in json.loads(command(nodes, "accounts", "list", "--shared", "--json"))
        }
        assert {name: row["source"] for name, row in listed.items()} == {
            **dict.fromkeys(("a", "b", "c", "d"), "configuration"),
            NAME: "store",
        }
        for program in nodes.programs:
            program.process.send_signal(signal.SIGHUP)
            until(lambda program=program: program.events("reloaded"))
        assert is_used(nodes), "a reload of the file forgets no account of the store"
        assert command(nodes, "accounts", "disable", NAME) == "added: disabled\n"
        until(lambda: all("disabled" in nodes.state(NAME, url) for url in nodes.urls))

        for strange, why in (
            ("nobody", "is no account in the store"),
            ("a", "is an account of the configuration"),
        ):
            assert f"{strange!r} {why}" in refused(nodes, "accounts", "remove", NAME, strange)
        assert NAME in command(nodes, "accounts", "list", "--shared"), (
            "of several names all are removed or none"
        )
        assert command(nodes, "accounts", "remove", NAME) == "added: removed\n"
        until(lambda: all(nodes.state(NAME, url) == "" for url in nodes.urls))
        before = nodes.upstream[NAME]
        assert asyncio.run(ask_many(nodes.urls, 40)) == {200: 40}
        assert nodes.upstream[NAME] == before

        with nodes.server.admin() as client:
            in_store = repr(client.hgetall(keys.added_accounts())).encode()
        (tmp_path / "key").unlink()
        on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert UPSTREAM_KEY.encode() not in in_store + on_disk, "it is sealed wherever it is kept"


def test_a_key_that_is_replaced_is_used_from_then_on(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        command(nodes, "accounts", "add", NAME, *options(base_url(nodes), tmp_path, "upstream-first"))
        other = options(base_url(nodes), tmp_path)
        command(nodes, "accounts", "add", NAME, "--replace", *other)

        until(lambda: is_used(nodes))


def test_an_emptied_store_gets_its_accounts_back_from_the_nodes_and_from_their_disks(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        command(nodes, "accounts", "add", NAME, *options(base_url(nodes), tmp_path))
        until(lambda: is_used(nodes))
        with nodes.server.admin() as client:
            client.flushall()
            until(lambda: client.hexists(keys.added_accounts(), NAME))
            assert is_used(nodes)
            for program in nodes.programs:
                assert program.stop() == 0
            client.flushall()
            folder = tmp_path / "one"
            config = json.loads((folder / "gateway.yaml").read_text())
            with serving_program(folder, config) as program:
                until(lambda: client.hexists(keys.added_accounts(), NAME))
                nodes.programs[:] = [program]
                until(lambda: is_used(nodes))
                # and while the store is away it is used all the same
                nodes.server.pause()
                try:
                    assert is_used(nodes)
                finally:
                    nodes.server.resume()


def test_an_account_may_be_added_before_the_first_start_and_serves_on_every_worker(tmp_path: Path) -> None:
    with simulating() as (simulator, url):
        config: dict[str, Any] = {
            "accounts": sections(url, "")["accounts"],
            "server": {"workers": 2},
            "store": {"url": "embedded", "data_dir": str(tmp_path / "data")},
        }
        path = write_config(tmp_path, config)
        given = options(f"{url}/v1", tmp_path)
        added = run(tmp_path, "accounts", "add", NAME, *given, "--config", str(path))
        assert added.returncode == 0, added.stderr
        with serving_program(tmp_path, config) as program:
            assert program.printed_key is not None
        config["server"] = {"workers": 1}
        (tmp_path / "data" / "client_key_hash").unlink()
        with serving_program(tmp_path, config) as program:
            assert program.printed_key is not None, (
                "what a first start shows is shown although accounts were added"
            )
        config["keys"] = [{"name": "tests", "key": KEY}]
        config["server"] = {"workers": 2}
        with serving_program(tmp_path, config) as program:
            assert asyncio.run(ask_many([program.url], 60, at_once=10)) == {200: 60}
            until(lambda: {line["worker"] for line in program.events("accounts_changed")} == {1, 2})
            assert UPSTREAM_KEY in {request.key for request in simulator.requests}
            assert program.stop() == 0


def test_what_cannot_be_opened_or_read_is_told_and_left_alone(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        fields = {
            "foreign": b'{"name":"foreign","rev":1,"kid":"00000000","sealed":"AAAA"}',
            "torn": b'{"name":"torn","rev',
        }
        with nodes.server.admin() as client:
            client.hset(keys.added_accounts(), mapping=fields)  # type: ignore[arg-type]
            client.incr(keys.added_accounts_version())
            for program in nodes.programs:
                until(lambda program=program: program.events("added_account_unusable"))
                until(lambda program=program: program.events("added_account_unreadable"))
                (unusable,) = program.events("added_account_unusable")
                assert (unusable["level"], unusable["account"]) == ("error", "foreign")
                assert "unknown key 00000000" in unusable["problem"]
            assert asyncio.run(ask_many(nodes.urls, 10)) == {200: 10}
            assert client.hgetall(keys.added_accounts()) == {
                name.encode(): value for name, value in fields.items()
            }


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (("add", "a", "--provider", "openai"), "'a' is an account of the configuration", 2),
        (("add", "x y", "--provider", "openai", "--api-key", "none"), "a name has letters", 2),
        (("add", "x", "--provider", "nobody", "--api-key", "none"), "unknown provider 'nobody'", 2),
        (("add", "x", "--provider", "openai"), "accounts.x.api_key: is required", 2),
        (
            ("add", "x", "--provider", "openai", "--api-key", "sk-literal"),
            "others can read a command line",
            2,
        ),
        (("add", "x", "--provider", "openai", "--api-key", "env:NOT_SET"), "NOT_SET is not set", 2),
        (("add", "x", "--from", "nowhere.yaml"), "nowhere.yaml", 2),
        (("remove", "a"), "take it out there", 1),
        (("remove", "x"), "'x' is no account in the store", 1),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_config(
        tmp_path,
        {"accounts": {"a": {"provider": "openai", "api_key": "x"}}, "keys": [{"name": "tests", "key": KEY}]},
    )

    assert main.run(["accounts", *arguments, "--config", str(path)]) == status

    printed = capfd.readouterr()
    assert said in printed.err
    assert "sk-literal" not in printed.err
    assert printed.out == ""


def test_an_account_is_not_replaced_unasked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path, {"accounts": {"a": {"provider": "openai", "api_key": "x"}}})
    given = ["--provider", "openai", "--api-key", "none", "--config", str(path)]

    statuses = [main.run(["accounts", "add", "x", *more, *given]) for more in ([], [], ["--replace"])]

    printed = capfd.readouterr()
    assert statuses == [0, 1, 0]
    assert "there is an account 'x' in the store already; --replace changes it" in printed.err
    assert printed.out == "x: added in pool openai\nx: replaced in pool openai\n"


def test_an_account_whose_credential_expires_may_be_added_from_a_file(tmp_path: Path) -> None:
    with identity_server() as idp, two_nodes(tmp_path) as nodes:
        section = {
            "provider": "openai_compatible",
            "base_url": f"{idp.url}/v1",
            "pool": "sub",
            "oauth": {
                "grant": "refresh_token",
                "token_url": idp.token_url,
                "client_id": CLIENT,
                "refresh_token": f"file:{tmp_path / 'refresh'}",
            },
        }
        (tmp_path / "refresh").write_text(idp.identity.enrol())
        (tmp_path / "section.yaml").write_text(json.dumps(section))
        command(nodes, "accounts", "add", NAME, "--from", str(tmp_path / "section.yaml"))

        until(lambda: all(ask(url, KEY, model="sub/m") == 200 for url in nodes.urls))
        assert set(idp.identity.uses.values()) == {1}, "one token for both nodes"
