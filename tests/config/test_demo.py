from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.config.demo import demo_config, wants_demo, with_simulator
from aiclient2api.config.load import route_table
from aiclient2api.errors import ConfigError
from aiclient2api.providers.simulator import SimulatorSettings
from aiclient2api.routing.targets import Target


@pytest.mark.parametrize(
    ("environ", "answer"),
    [
        ({}, True),
        ({"AICLIENT2API__SERVER__PORT": "1"}, True),
        ({"OPENAI_API_KEY": "k"}, False),
        ({"GROQ_API_KEY": "k"}, False),
        ({"AICLIENT2API_CONFIG": "some.yaml"}, False),
        ({"AICLIENT2API__ACCOUNTS__A__PROVIDER": "openai"}, False),
    ],
)
def test_the_demo_is_for_those_who_configured_nothing(
    environ: dict[str, str], answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert wants_demo(None, {"XDG_CONFIG_HOME": str(tmp_path), **environ}) is answer


def test_a_file_is_no_demo(tmp_path: Path) -> None:
    assert wants_demo(tmp_path / "aiclient2api.yaml", {}) is False


def test_every_model_leads_to_the_simulator() -> None:
    config = demo_config("http://127.0.0.1:9", overrides={"server": {"port": 4000}})

    assert list(config.accounts) == ["simulator"]
    assert config.server.port == 4000
    assert route_table(config).resolve("claude-x").targets == (Target("simulator", "claude-x"),)


def test_variables_can_change_the_server_of_a_demo_but_not_its_upstream() -> None:
    environ = {"AICLIENT2API__SERVER__PORT": "4000", "AICLIENT2API__MODELS": "{x: {targets: [a/b]}}"}

    config = demo_config("http://127.0.0.1:9", environ=environ)

    assert config.server.port == 4000
    assert list(config.models) == ["*"]


def test_the_simulators_address_can_be_filled_in_later() -> None:
    config = with_simulator(demo_config(), "http://127.0.0.1:7777")

    assert config.accounts["simulator"].settings == SimulatorSettings(base_url="http://127.0.0.1:7777")


def test_a_demo_is_not_opened_to_the_outside() -> None:
    with pytest.raises(ConfigError, match="reachable from outside"):
        demo_config(overrides={"server": {"host": "0.0.0.0"}})
