from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.cli.main import run

from .conftest import Golden


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("check", "check --config gateway.yaml"),
        ("check_json", "check --config gateway.yaml --json"),
        ("check_bad", "check --config bad.yaml"),
    ],
)
def test_check_says_what_a_configuration_makes_or_what_is_wrong(
    golden: Golden, name: str, command: str
) -> None:
    golden(name, command)


def test_check_live_asks_each_account(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        'accounts:\n  gone: {provider: openai_compatible, base_url: "http://127.0.0.1:9/v1", api_key: none}\n'
    )

    status = run(["check", "--config", str(path), "--live", "--json"])

    out, _ = capfd.readouterr()
    assert status == 1
    assert '"live": "no connection to the upstream"' in out


def test_check_live_shows_the_reason_in_the_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "accounts:\n"
        '  gone: {provider: openai_compatible, base_url: "http://127.0.0.1:9/v1", api_key: none, models: [m]}\n'
    )

    status = run(["check", "--config", str(path), "--live"])

    out, _ = capfd.readouterr()
    assert status == 1
    assert out.splitlines()[3].split() == ["name", "provider", "pool", "protocols", "models", "live"]
    assert out.splitlines()[5].endswith("no connection to the upstream")


def test_check_reads_the_environment_when_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")

    status = run(["check"])

    out, err = capfd.readouterr()
    assert status == 0
    assert out.startswith("configuration  environment\n")
    assert "sk-secret" not in out + err
