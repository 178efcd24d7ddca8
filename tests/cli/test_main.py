from __future__ import annotations

from pathlib import Path

import click
import pytest

from aiclient2api import __version__
from aiclient2api.cli.main import COMMANDS, cli, run


def test_the_version_is_the_packages(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"aiclient2api {__version__}\n"


def test_help_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == list(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert capfd.readouterr().out.startswith(f"Usage: aiclient2api {name} [OPTIONS]")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
        (["nobody"], "No such command 'nobody'. There are serve, check, state,"),
        (["check", "--nonsense"], "No such option '--nonsense'."),
        (["convert", "--from", "openai_chat"], "Missing option '--to'."),
        (
            ["serve", "--drain", "5 min"],
            "Invalid value for '--drain': '5 min' is neither a number of seconds nor",
        ),
        (["simulate", "--port", "x"], "Invalid value for '--port': 'x' is not a valid integer range."),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(
    arguments: list[str], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run(arguments)

    out, err = capfd.readouterr()
    assert status == 2
    assert out == ""
    assert err.splitlines()[0].startswith(f"error: {sentence}")


@pytest.mark.parametrize("group", ["", "keys", "accounts", "state"])
def test_asked_for_nothing_a_group_shows_its_help_and_does_not_call_it_an_error(
    group: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status = run([group] if group else [])

    out, err = capfd.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith(f"Usage: aiclient2api {group}".rstrip())


def test_a_bad_configuration_lists_every_problem_and_is_status_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("server: {port: x}\nnonsense: 1\naccounts: {a: {provider: openai, api_key: k}}\n")

    status = run(["explain", "gpt-5", "--config", str(path)])

    assert status == 2
    assert capfd.readouterr().err.splitlines() == [
        "error: nonsense: unknown key (known: accounts, keys, ledger, limits, log, models, net, policy, providers, "
        "secrets, server, store, system_prompt)",
        "error: server.port: expected 'int', got 'str'",
    ]


def test_a_command_that_does_not_exist_is_none() -> None:
    assert cli.get_command(click.Context(cli), "nobody") is None
