from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.config.accounts import AccountReader
from aiclient2api.config.model import AccountConfig, ProviderOptions, TimeoutChanges, Timeouts
from aiclient2api.config.reading import Reader
from aiclient2api.config.secrets import SecretSource
from aiclient2api.config.units import Duration
from aiclient2api.providers.credentials import Secret
from aiclient2api.providers.openai import OpenAISettings
from aiclient2api.providers.registry import ProviderRegistry

PROTOCOLS = ("openai_chat", "openai_responses", "anthropic", "gemini")


def _read(
    data: object, name: str = "a", providers: dict[str, ProviderOptions] | None = None
) -> tuple[AccountConfig | None, list[str]]:
    reader = Reader(SecretSource({}, Path()))
    account = AccountReader(reader, ProviderRegistry.installed(), PROTOCOLS, providers or {}).read(name, data)
    return account, reader.problems


def test_common_keys_and_the_providers_own_stand_together(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()

    account, problems = _read(
        {
            "provider": "openai",
            "api_key": "sk-1",
            "organization": "org-1",
            "pool": "team",
            "models": ["gpt-*"],
            "weight": 3,
            "concurrency": 32,
            "proxy": "http://proxy:8080",
            "ca": str(ca),
            "headers": {"X-Team": "t"},
        }
    )

    assert problems == []
    assert account is not None
    assert account.settings == OpenAISettings(api_key=Secret("sk-1"), organization="org-1")
    assert (account.name, account.provider, account.pool) == ("a", "openai", "team")
    assert account.protocols == ("openai_chat", "openai_responses")
    assert (account.models, account.weight, account.concurrency) == (("gpt-*",), 3, 32)
    assert (account.proxy, account.ca) == (Secret("http://proxy:8080"), ca)
    assert account.headers == {"x-team": Secret("t")}


def test_its_settings_are_ready_to_be_built() -> None:
    account, _ = _read({"provider": "openai", "api_key": "sk-1"})

    assert account is not None
    assert account.spec.build(account.settings).credentials.secret == Secret("sk-1")


def test_the_pool_is_the_providers_unless_named() -> None:
    account, _ = _read({"provider": "anthropic", "api_key": "sk-1"})

    assert account is not None
    assert account.pool == "anthropic"


def test_a_protocol_can_be_pinned() -> None:
    account, problems = _read({"provider": "openai", "api_key": "sk-1", "protocol": "openai_responses"})

    assert problems == []
    assert account is not None
    assert account.protocols == ("openai_responses",)


def test_an_accounts_time_outs_win_over_its_providers() -> None:
    shared = ProviderOptions(timeouts=TimeoutChanges(idle=Duration(9), total=Duration(8)))

    account, _ = _read(
        {"provider": "openai", "api_key": "sk-1", "timeouts": {"idle": "7s"}}, providers={"openai": shared}
    )

    assert account is not None
    assert account.timeouts == Timeouts(idle=Duration(7), total=Duration(8))


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ("openai", ["accounts.a: must be a section with keys"]),
        ({}, ["accounts.a.provider: is required"]),
        ({"provider": "openai"}, ["accounts.a.api_key: is required"]),
        (
            {"provider": "openai", "api_key": "k", "protocol": "gemini"},
            ["accounts.a.protocol: openai speaks openai_chat, openai_responses, not 'gemini'"],
        ),
        (
            {"provider": "openai", "api_key": "k", "pool": "v1"},
            ["accounts.a.pool: 'v1' is part of the gateway's own paths"],
        ),
        (
            {"provider": "openai", "api_key": "k", "pool": "a/b"},
            [r"accounts.a.pool: expected 'str' matching regex '\\A[A-Za-z0-9][A-Za-z0-9._-]*\\Z'"],
        ),
        (
            {"provider": "openai", "api_key": "k", "headers": {"Host": "x", "a b": "y", "x-ok": "z"}},
            ["accounts.a.headers.Host: cannot be set", "accounts.a.headers.a b: cannot be set"],
        ),
        (
            {"provider": "openai", "api_key": "k", "ca": "/nowhere.pem", "proxy": "socks5://x"},
            [
                "accounts.a.ca: no such file: /nowhere.pem",
                "accounts.a.proxy: must look like http://host:port (and '@', ':', '/', '#' or '?' in a password "
                "written as %40, %3A, %2F, %23, %3F)",
            ],
        ),
        (
            {"provider": "openai", "api_key": "k", "weight": 0},
            ["accounts.a.weight: expected 'int' >= 1"],
        ),
        (
            {"provider": "openai", "api_key": "k", "base_url": "http://example.org"},
            ["accounts.a: base_url must be https; http is for loopback and private addresses only"],
        ),
        (
            {"provider": "openai", "api_kye": "k"},
            ["accounts.a.api_kye: unknown key, did you mean 'api_key'?", "accounts.a.api_key: is required"],
        ),
    ],
)
def test_every_problem_of_an_account_is_told(data: object, problems: list[str]) -> None:
    assert _read(data)[1] == problems


def test_an_unknown_provider_lists_the_known_ones() -> None:
    _, problems = _read({"provider": "opnai", "pool": "admin"})

    assert problems == [
        "accounts.a.provider: unknown provider 'opnai' (known: anthropic, anthropic_compatible, deepseek, gemini, "
        "gemini_compatible, groq, mistral, openai, openai_compatible, openrouter, simulator, xai)",
        "accounts.a.pool: 'admin' is part of the gateway's own paths",
    ]


@pytest.mark.parametrize("name", ["a b", "", "-a", "a/b"])
def test_an_accounts_name_is_plain(name: str) -> None:
    _, problems = _read({"provider": "openai", "api_key": "k"}, name)

    assert problems == [f"accounts.{name}: a name has letters, digits, '.', '_' and '-' only"]
