from __future__ import annotations

import pytest

from aiclient2api.providers.profiles import (
    anthropic_profile,
    compatible_profile,
    gemini_profile,
    openai_profile,
)


@pytest.mark.parametrize(
    ("model", "thinking", "off", "sampling", "forced", "mid_system", "prefill", "max_output"),
    [
        ("claude-3-haiku-20240307", "none", True, True, True, False, True, 4_096),
        ("claude-3-5-sonnet-20241022", "none", True, True, True, False, True, 8_192),
        ("claude-3-7-sonnet-latest", "budget", True, True, True, False, True, 64_000),
        ("claude-opus-4-20250514", "budget", True, True, True, False, True, 32_000),
        ("claude-opus-4-1", "budget", True, True, True, False, True, 32_000),
        ("claude-sonnet-4-5-20250929", "budget", True, True, True, False, True, 64_000),
        ("claude-haiku-4-5", "budget", True, True, True, False, True, 64_000),
        ("claude-opus-4-6", "effort", True, True, True, False, False, 128_000),
        ("claude-opus-4-7", "effort", True, False, True, False, False, 128_000),
        ("claude-opus-4-8", "effort", True, False, True, True, False, 128_000),
        ("claude-opus-5", "effort", True, False, True, True, False, 128_000),
        ("claude-sonnet-5", "effort", True, False, True, False, False, 128_000),
        ("claude-sonnet-5-5", "effort", False, False, False, True, False, 128_000),
        ("claude-fable-5-1", "effort", False, False, False, True, False, 128_000),
        ("claude-mythos-1", "effort", True, False, False, True, False, 128_000),
        ("Claude-Opus-5-5", "effort", True, False, True, True, False, 128_000),
    ],
)
def test_what_a_claude_model_accepts(
    model: str,
    thinking: str,
    off: bool,
    sampling: bool,
    forced: bool,
    mid_system: bool,
    prefill: bool,
    max_output: int,
) -> None:
    profile = anthropic_profile(model, "anthropic")

    assert (profile.thinking, profile.thinking_off, profile.sampling) == (thinking, off, sampling)
    assert (profile.forced_tool_choice, profile.mid_system) == (forced, mid_system)
    assert (profile.prefill, profile.max_output) == (prefill, max_output)


@pytest.mark.parametrize(
    ("model", "thinking", "off", "call_ids", "json_schema", "media"),
    [
        ("gemini-1.5-pro", "none", True, False, False, False),
        ("gemini-2.0-flash", "none", True, False, True, False),
        ("gemini-2.5-flash", "budget", True, False, True, False),
        ("gemini-2.5-pro", "budget", False, False, True, False),
        ("gemini-3-flash-preview", "effort", True, True, True, True),
        ("gemini-3.1-pro-preview", "effort", False, True, True, True),
        ("models/gemini-3-pro", "effort", False, True, True, True),
        ("tunedModels/mine", "effort", True, True, True, True),
    ],
)
def test_what_a_gemini_model_accepts(
    model: str, thinking: str, off: bool, call_ids: bool, json_schema: bool, media: bool
) -> None:
    profile = gemini_profile(model, "gemini")

    assert (profile.thinking, profile.thinking_off) == (thinking, off)
    assert (profile.call_ids, profile.json_schema, profile.tool_result_media) == (
        call_ids,
        json_schema,
        media,
    )
    assert profile.stop_limit == 5


@pytest.mark.parametrize(
    ("model", "thinking", "off", "sampling", "stop"),
    [
        ("gpt-4o-mini", "none", True, True, True),
        ("gpt-4.1", "none", True, True, True),
        ("ft:gpt-4o-2024-08-06:org::id", "none", True, True, True),
        ("chatgpt-4o-latest", "none", True, True, True),
        ("gpt-5-chat-latest", "none", True, True, True),
        ("gpt-5.2-chat-latest", "none", True, True, True),
        ("o1", "effort", False, False, True),
        ("o3-mini", "effort", False, False, False),
        ("o4-mini", "effort", False, False, False),
        ("gpt-5", "effort", False, False, False),
        ("gpt-5-mini", "effort", False, False, False),
        ("gpt-5.5", "effort", True, False, False),
    ],
)
def test_what_an_openai_model_accepts(
    model: str, thinking: str, off: bool, sampling: bool, stop: bool
) -> None:
    profile = openai_profile(model, "openai_chat")

    assert (profile.thinking, profile.thinking_off) == (thinking, off)
    assert (profile.sampling, profile.stop, profile.stop_limit) == (sampling, stop, 4)
    assert profile.max_tokens_field == "max_completion_tokens"
    assert profile.developer_role is True


def test_a_compatible_chat_server_gets_the_older_names() -> None:
    profile = compatible_profile("qwen3", "openai_chat")

    assert (profile.max_tokens_field, profile.developer_role) == ("max_tokens", False)
    assert (profile.sampling, profile.stop) == (True, True)


@pytest.mark.parametrize(
    ("model", "protocol", "sampling", "thinking"),
    [
        ("claude-opus-5", "anthropic", False, "effort"),
        ("vendor/claude-sonnet-4-5", "anthropic", True, "budget"),
        ("kimi-k3", "anthropic", True, "budget"),
        ("gemini-2.5-flash", "gemini", True, "budget"),
        ("other", "gemini", True, "effort"),
        ("other", "somebody_elses", True, "effort"),
    ],
)
def test_a_compatible_server_has_the_vendors_facts_for_the_vendors_names(
    model: str, protocol: str, sampling: bool, thinking: str
) -> None:
    profile = compatible_profile(model, protocol)

    assert (profile.sampling, profile.thinking) == (sampling, thinking)
