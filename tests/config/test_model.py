from __future__ import annotations

import msgspec
import pytest

from aiclient2api.config.model import Config, Limits, Server, SystemPromptOptions, Timeouts
from aiclient2api.protocols.base import SystemPrompt


def test_the_defaults_are_the_documented_ones() -> None:
    assert Server().host == "127.0.0.1"
    assert Server().port == 3000
    assert Server().drain == 120.0
    assert (Server().heartbeat.first, Server().heartbeat.every) == (20.0, 15.0)
    assert Limits().body == 32 * 1024 * 1024
    assert Limits().streams_per_worker == 1000
    assert msgspec.structs.asdict(Timeouts()) == {
        "pool": 2.0,
        "dns": 2.0,
        "connect": 3.0,
        "tls": 5.0,
        "write": 30.0,
        "headers": 30.0,
        "first_content": 60.0,
        "idle": 120.0,
        "total": 600.0,
        "total_stream": 3600.0,
        "semantic_idle": 300.0,
        "eof": 1.0,
        "reasoning_headers": 120.0,
        "reasoning_first_content": 300.0,
    }
    assert Config(accounts={}).policy.attempts == 5


@pytest.mark.parametrize(
    ("options", "prompt"),
    [
        (SystemPromptOptions(), None),
        (SystemPromptOptions(mode="append"), None),
        (SystemPromptOptions(mode="off", text="x"), None),
        (SystemPromptOptions(mode="append", text="x"), SystemPrompt(mode="append", text="x")),
        (SystemPromptOptions(mode="replace", text="x"), SystemPrompt(mode="replace", text="x")),
    ],
)
def test_a_system_prompt_needs_a_mode_and_a_text(
    options: SystemPromptOptions, prompt: SystemPrompt | None
) -> None:
    assert options.prompt() == prompt
