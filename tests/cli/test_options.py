from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.cli.options import load_config


def test_warnings_go_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("log: {prompts: true}\naccounts: {a: {provider: openai, api_key: k}}\n")

    config = load_config(path, {"server": {"port": 7}})

    assert config.server.port == 7
    assert capfd.readouterr().err == ("warning: log.prompts: has no effect in this version\n")
