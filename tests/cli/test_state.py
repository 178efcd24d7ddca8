"""`aiclient2api state` and `accounts` on the embedded store, alone and beside a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from aiclient2api.cli import main
from aiclient2api.store import keys, migrations
from tests.program import serving_program, write_config
from tests.store.servers import running

SECTIONS: dict[str, Any] = {
    "accounts": {"a": {"provider": "openai", "api_key": "k", "pool": "chat"}},
    "keys": [{"name": "tests", "key": "client-key-of-the-tests"}],
}
POOLS = {
    "openai-custom": [
        {
            "customName": "a",
            "OPENAI_API_KEY": "sk-secret-value",
            "isDisabled": True,
            "usageCount": 5,
            "errorCount": 1,
        }
    ],
    "gemini-cli-oauth": [{"customName": "mine"}],
}


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command of the program in this process."""

    def run_(*arguments: str) -> Done:
        status = main.run(arguments)
        said = capfd.readouterr()
        return Done(status, str(said.out), str(said.err))

    return run_


def test_state_is_saved_and_loaded_and_nothing_is_overwritten_unasked(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    saved = tmp_path / "state.json"

    first = run("state", "init", "--config", config)
    disabled = run("accounts", "disable", "a", "--config", config)
    exported = run("state", "export", str(saved), "--config", config)
    refused = run("state", "export", str(saved), "--config", config)
    tried = run("state", "init", "--force", "--dry-run", "--config", config)
    kept = run("state", "init", "--config", config)
    emptied = run("state", "init", "--force", "--config", config)
    listed = run("accounts", "list", "--shared", "--json", "--config", config)
    loaded = run("state", "import", str(saved), "--config", config)
    again = run("state", "import", str(saved), "--config", config)
    back = run("accounts", "list", "--shared", "--json", "--config", config)
    migrated = run("state", "migrate", "--dry-run", "--config", config)

    assert first.stdout == "schema version 1\n", first.stderr
    assert disabled.stdout == "a: disabled\n", disabled.stderr
    assert exported.returncode == 0 and saved.stat().st_mode & 0o777 == 0o600
    assert (refused.returncode, refused.stderr) == (1, f"error: {saved} exists; --force replaces it\n")
    assert tried.stdout.startswith("would remove 2 keys")
    assert kept.stdout == "there is state already (2 keys): nothing changed\n"
    assert emptied.stdout == "removed 2 keys; schema version 1\n"
    assert json.loads(listed.stdout)[0]["admin"] == "enabled"
    assert loaded.stdout.startswith("2 keys written, 1 there already, 0 kept\n"), (
        loaded.stdout + loaded.stderr
    )
    assert again.stdout.startswith("0 keys written")
    assert json.loads(back.stdout)[0]["admin"] == "disabled"
    assert migrated.stdout == "schema version 1: nothing to migrate\n"


def test_the_predecessors_files_are_taken_over(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    (tmp_path / "provider_pools.json").write_text(json.dumps(POOLS))
    (tmp_path / "config.json").write_text(
        json.dumps({"REQUIRED_API_KEY": "old-client-key", "PROXY_URL": None})
    )
    made = tmp_path / "accounts.yaml"
    sources = [str(tmp_path / "provider_pools.json"), str(tmp_path / "config.json")]

    made.write_text("somebody's")
    refused = run("state", "import", *sources, "--accounts-file", str(made), "--config", config)
    untouched = run("accounts", "list", "--shared", "--json", "--config", config)
    assert (refused.returncode, refused.stderr) == (1, f"error: {made} exists; --force replaces it\n")
    assert (json.loads(untouched.stdout)[0]["admin"], made.read_text()) == ("enabled", "somebody's")

    done = run("state", "import", *sources, "--accounts-file", str(made), "--force", "--config", config)
    listed = run("accounts", "list", "--shared", "--json", "--config", config)

    assert done.returncode == 0, done.stderr
    assert "gemini-cli-oauth mine" in done.stdout and "client program" in done.stdout
    row = json.loads(listed.stdout)[0]
    assert (row["admin"], row["attempts"]) == ("disabled", 5)
    assert yaml.safe_load(made.read_text())["accounts"]["a"] == {
        "provider": "openai",
        "api_key": "env:A_API_KEY",
        "pool": "openai-custom",
    }
    assert "sk-secret-value" not in made.read_text() + done.stdout
    assert "old-client-key" not in made.read_text() + done.stdout


def test_the_predecessors_redis_is_taken_over(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    with running() as old:
        with old.admin() as client:
            client.sadd("aiclient:pool-types", "openai-custom")
            client.hset("aiclient:pools:openai-custom", "u-1", json.dumps(POOLS["openai-custom"][0]))
            client.set("aiclient:config", json.dumps({"REQUIRED_API_KEY": "x", "SERVER_PORT": 3001}))

        done = run("state", "import", old.url, "--config", config)

        assert done.returncode == 0, done.stderr
        assert "port: 3001" in done.stdout
        with old.admin() as client:
            assert client.dbsize() == 3


def test_commands_join_a_running_gateway(tmp_path: Path, run: Run) -> None:
    with serving_program(tmp_path, SECTIONS) as program:
        listed = run("accounts", "list", "--shared", "--config", str(program.config))
        unknown = run("accounts", "disable", "nobody", "--config", str(program.config))
        assert ["a", "chat", "openai", "configuration", "enabled", "healthy"] in [
            line.split()[:6] for line in listed.stdout.splitlines()
        ]
        assert unknown.returncode == 1 and unknown.stderr.startswith(
            "error: there is no account 'nobody' (known: "
        )
        assert program.stop() == 0


def test_with_memory_there_is_nothing_to_speak_to(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, {**SECTIONS, "store": {"url": "memory"}}))

    done = run("accounts", "list", "--shared", "--config", config)

    assert (done.returncode, done.stderr) == (
        1,
        "error: store.url is memory: there is no state beside that of a running gateway\n",
    )


@pytest.mark.parametrize("text", ["[1]", "{}", '{"a": 1}'])
def test_a_file_that_is_nothing_is_refused_in_one_sentence(tmp_path: Path, run: Run, text: str) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    (tmp_path / "x.json").write_text(text)

    done = run("state", "import", str(tmp_path / "x.json"), "--config", config)

    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'x.json'}: is neither a dump nor a file of the predecessor\n"


def test_a_command_never_speaks_to_a_memory_of_its_own(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiclient2api.store.embedded.program", lambda: None)
    config = str(write_config(tmp_path, SECTIONS))

    made = run("keys", "create", "ci", "--config", config)
    used = run("usage", "--json", "--config", config)
    both = run("usage", "--json", "--csv", "--config", config)

    assert (made.returncode, made.stdout) == (1, "")
    assert made.stderr == (
        "error: no valkey-server or redis-server was found for the embedded store: "
        "there is no state beside that of a running gateway\n"
    )
    assert (used.returncode, used.stdout) == (0, "[]\n")
    assert (both.returncode, both.stderr) == (2, "error: --csv and --json: choose one\n")


@pytest.mark.parametrize("arguments", [("state", "export", "x"), ("usage",), ("accounts", "disable", "a")])
def test_a_store_that_does_not_answer_is_told_in_one_sentence(
    tmp_path: Path, run: Run, arguments: tuple[str, ...]
) -> None:
    store = {"url": "redis://127.0.0.1:1", "data_dir": str(tmp_path / "data")}
    secrets = {"key": "a secret that all nodes have"}
    config = str(write_config(tmp_path, {**SECTIONS, "store": store, "secrets": secrets}))

    done = run(*arguments, "--config", config)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: the store does not answer (ConnectionError: ")
    assert done.stderr.count("\n") == 1


def test_files_and_addresses_that_lead_nowhere_are_told_in_one_sentence(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    nowhere = tmp_path / "no" / "state.json"

    saved = run("state", "export", str(nowhere), "--config", config)
    taken = run("state", "import", "redis://127.0.0.1:1/0", "--config", config)
    wrong = run("state", "import", "redis://127.0.0.1:port", "--config", config)

    assert (saved.returncode, saved.stderr) == (
        1,
        f"error: {nowhere}: cannot be written: No such file or directory\n",
    )
    assert taken.returncode == 1 and taken.stderr.startswith("error: redis://127.0.0.1:1: the store does not")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: the predecessor's Redis: the port must")
    assert (taken.stderr + wrong.stderr).count("\n") == 2


def test_nothing_is_changed_in_the_predecessors_redis(tmp_path: Path, run: Run) -> None:
    config = str(write_config(tmp_path, SECTIONS))
    with running() as old, old.admin() as client:
        client.hset("aiclient:config", "PORT", "3001")
        client.set("aiclient:pools:openai-custom", "not a hash")
        before = sorted(client.keys("*"))

        done = run("state", "import", old.url, "--config", config)

        assert done.returncode == 0, done.stderr
        assert sorted(client.keys("*")) == before


def test_a_migration_waits_for_the_last_gateway(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as server, server.admin() as client:
        store = {"url": server.url, "data_dir": str(tmp_path / "data")}
        secrets = {"key": "a secret that all nodes have"}
        config = str(write_config(tmp_path, {**SECTIONS, "store": store, "secrets": secrets}))
        assert run("state", "init", "--config", config).returncode == 0
        monkeypatch.setattr(keys, "SCHEMA_VERSION", 2)
        monkeypatch.setitem(migrations.STEPS, 1, list)
        client.zadd(keys.nodes(), {"node-7": client.time()[0], "by a wrong clock": client.time()[0] + 9_999})

        refused = run("state", "migrate", "--config", config)
        forced = run("state", "migrate", "--force", "--config", config)

    assert (refused.returncode, refused.stderr) == (
        1,
        "error: gateways still use this store (node-7): stop them, or say --force\n",
    )
    assert (forced.returncode, forced.stdout) == (
        0,
        "schema version 1 to 2: 0 keys written, 0 removed\n",
    )


def test_an_account_that_is_disabled_is_not_retried_and_counts_that_are_none_are_passed_over(
    tmp_path: Path, run: Run
) -> None:
    with running() as server, server.admin() as client:
        store = {"url": server.url, "data_dir": str(tmp_path / "data")}
        secrets = {"key": "a secret that all nodes have"}
        config = str(write_config(tmp_path, {**SECTIONS, "store": store, "secrets": secrets}))
        client.hset(keys.account_counters("a"), mapping={"x ok": "3", "y ok": "many"})

        disabled = run("accounts", "disable", "a", "--config", config)
        retried = run("accounts", "retry", "a", "--config", config)
        listed = run("accounts", "list", "--shared", "--json", "--config", config)

    assert disabled.returncode == 0
    assert (retried.returncode, retried.stderr) == (
        1,
        "error: a is disabled: `accounts enable a` lets it serve again\n",
    )
    row = json.loads(listed.stdout)[0]
    assert (row["admin"], row["attempts"]) == ("disabled", 3)
