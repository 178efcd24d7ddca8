from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.cli.main import run

from .conftest import Golden


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("explain_entry", "explain best --config gateway.yaml"),
        ("explain_pattern", "explain fast-x --config gateway.yaml"),
        ("explain_pool", "explain gpt-5.5 --config gateway.yaml --pool r"),
        ("explain_json", "explain claude-opus-5 --config gateway.yaml --json"),
        ("explain_request", "explain best --config gateway.yaml --request chat_request.json"),
        ("explain_unknown", "explain zzz --config gateway.yaml"),
        (
            "explain_bad_request",
            "explain best --config gateway.yaml --from gemini --request chat_request.json",
        ),
        ("explain_refused", "explain claude-opus-5 --config gateway.yaml --request chat_audio.json"),
    ],
)
def test_explain_says_where_a_model_leads_and_why(golden: Golden, name: str, command: str) -> None:
    golden(name, command)


def test_an_operators_system_prompt_makes_a_relay_a_patch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "accounts: {a: {provider: anthropic, api_key: k}}\nsystem_prompt: {mode: append, text: be kind}\n"
    )

    run(["explain", "claude-opus-5", "--config", str(path), "--json"])

    assert '"anthropic": "patch"' in capfd.readouterr().out
