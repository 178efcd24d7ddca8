"""What the predecessor kept, as far as it means something here; the rest is named with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from aiclient2api.store.predecessor import CLIENT_ONLY, Taken, read_config, read_pools

POOLS: dict[str, Any] = {
    "openai-custom": [
        {
            "customName": "Main key",
            "uuid": "u-1",
            "OPENAI_API_KEY": "sk-secret-1",
            "OPENAI_BASE_URL": "https://api.openai.com/v1",
            "isHealthy": True,
            "isDisabled": False,
            "usageCount": 120,
            "errorCount": 3,
        },
        {
            "uuid": "u-2",
            "OPENAI_API_KEY": "sk-secret-2",
            "OPENAI_BASE_URL": "https://llm.example/v1",
            "isDisabled": True,
            "notSupportedModels": ["gpt-4"],
        },
        {"uuid": "u-3"},
        "garbage",
    ],
    "openaiResponses-custom": [
        {"customName": "Main key", "OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://r.example/v1"}
    ],
    "claude-custom": [{"CLAUDE_API_KEY": "c", "CLAUDE_BASE_URL": "https://api.anthropic.com"}],
    "claude-kiro-oauth": [{"uuid": "u-9", "KIRO_OAUTH_CREDS_FILE_PATH": "creds.json"}],
    "something-new": [{"X_API_KEY": "x"}],
    "broken": 7,
}


def test_accounts_with_keys_are_taken() -> None:
    taken = Taken()
    read_pools(POOLS, taken)

    assert [(account.name, account.section) for account in taken.accounts] == [
        ("Main-key", {"provider": "openai", "api_key": "env:MAIN_KEY_API_KEY", "pool": "openai-custom"}),
        (
            "openai-custom-2",
            {
                "provider": "openai_compatible",
                "api_key": "env:OPENAI_CUSTOM_2_API_KEY",
                "pool": "openai-custom",
                "base_url": "https://llm.example/v1",
            },
        ),
        (
            "Main-key-2",
            {
                "provider": "openai_compatible",
                "api_key": "env:MAIN_KEY_2_API_KEY",
                "pool": "openaiResponses-custom",
                "base_url": "https://r.example/v1",
                "protocol": "openai_responses",
            },
        ),
        (
            "claude-custom-1",
            {"provider": "anthropic", "api_key": "env:CLAUDE_CUSTOM_1_API_KEY", "pool": "claude-custom"},
        ),
    ]
    first, second = taken.accounts[:2]
    assert (first.attempts, first.errors, first.is_disabled) == (120, 3, False)
    assert second.is_disabled


def test_what_is_left_out_is_named() -> None:
    taken = Taken()
    read_pools(POOLS, taken)

    assert [(left.what, left.why) for left in taken.left] == [
        ("openai-custom u-2 notSupportedModels", "accounts.*.models lists what an account serves"),
        ("openai-custom u-3", "has no API key"),
        ("openai-custom[3]", "is not an account"),
        ("claude-kiro-oauth u-9", "is the login of a client program; use an API key of the provider"),
        ("something-new 0", "is of a kind that is not known here"),
        ("broken", "is not a list of accounts"),
    ]


@pytest.mark.parametrize("kind", CLIENT_ONLY)
def test_logins_of_client_programs_are_never_taken(kind: str) -> None:
    taken = Taken()
    read_pools({kind: [{"OPENAI_API_KEY": "k", "access_token": "t"}]}, taken)

    assert taken.accounts == []
    assert "client program" in taken.left[0].why


def test_settings_are_taken_or_pointed_at() -> None:
    taken = Taken()
    read_config(
        {
            "REQUIRED_API_KEY": "123456",
            "HOST": "127.0.0.1",
            "SERVER_PORT": 3000,
            "MODEL_PROVIDER": "openai-custom",
            "OPENAI_API_KEY": "sk-top",
            "OPENAI_BASE_URL": "https://api.openai.com/v1",
            "SYSTEM_PROMPT_MODE": "overwrite",
        },
        taken,
    )

    assert (taken.client_key, taken.server) == ("123456", {"host": "127.0.0.1", "port": 3000})
    assert [account.section["provider"] for account in taken.accounts] == ["openai"]
    assert [(left.what, left.why) for left in taken.left] == [
        ("MODEL_PROVIDER", "see every pool is served at once"),
        ("SYSTEM_PROMPT_MODE", "has no counterpart"),
    ]


def test_no_key_shows() -> None:
    taken = Taken()
    read_pools(POOLS, taken)

    assert "secret" not in repr(taken) + repr(taken.accounts)
