"""What the predecessor kept, as far as it means something here: accounts, their counters, pools. Pure.

Its files: `provider_pools.json` (provider type → accounts) and `config.json`; its Redis: `aiclient:config`,
`aiclient:pools:TYPE` (hash uuid → JSON), `aiclient:pool-types`. Credentials of logged-in desktop and web clients are
not taken: they belong to those programs. Nothing is guessed, and whatever is left out is named with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import Struct

KINDS: Final[Mapping[str, str]] = {
    "openai-custom": "openai_compatible",
    "openaiResponses-custom": "openai_compatible",
    "claude-custom": "anthropic_compatible",
    "gemini-custom": "gemini_compatible",
}
"""Its provider types that are API keys, as ours."""
RESPONSES_KINDS: Final = frozenset(("openaiResponses-custom",))
CLIENT_ONLY: Final = (
    "gemini-cli-oauth",
    "gemini-antigravity",
    "claude-kiro-oauth",
    "claude-orchids-oauth",
    "openai-qwen-oauth",
    "openai-iflow",
    "openai-codex-oauth",
)
"""Its provider types that use the login of a client program."""
_OFFICIAL: Final[Mapping[str, tuple[str, str]]] = {
    "openai_compatible": ("openai", "api.openai.com"),
    "anthropic_compatible": ("anthropic", "api.anthropic.com"),
}
_ACCOUNT_ENDINGS: Final = ("_API_KEY", "_BASE_URL")
_SERVER: Final[Mapping[str, str]] = {"HOST": "host", "SERVER_PORT": "port"}
_SETTINGS_ELSEWHERE: Final[Mapping[str, str]] = {
    "providerFallbackChain": "models.*.targets names the order of pools for each model",
    "modelFallbackMapping": "models.*.targets",
    "MODEL_PROVIDER": "every pool is served at once",
    "PROXY_URL": "accounts.*.proxy",
    "SYSTEM_PROMPT_FILE_PATH": "system_prompt.text",
    "REDIS_URL": "store.url",
    "PROVIDER_POOLS_FILE_PATH": "accounts",
    "REQUEST_MAX_RETRIES": "policy.attempts",
    "LOG_PROMPTS": "prompts are never logged",
    "PROMPT_LOG_MODE": "prompts are never logged",
}


class Left(Struct, frozen=True):
    """Something that was not taken, and why."""

    what: str
    why: str


class Account(Struct, frozen=True, kw_only=True):
    """An account to be configured. `secret` names the environment variable its key has to be in."""

    name: str
    section: dict[str, object]
    secret: str
    value: str
    is_disabled: bool = False
    attempts: int = 0
    errors: int = 0

    def __repr__(self) -> str:
        return f"Account({self.name!r})"


class Taken(Struct, kw_only=True):
    """What an import found."""

    accounts: list[Account] = []
    server: dict[str, object] = {}
    client_key: str | None = None
    left: list[Left] = []

    def __repr__(self) -> str:
        return f"Taken({[account.name for account in self.accounts]!r})"


def read_pools(pools: Mapping[str, object], taken: Taken) -> None:
    """`provider_pools.json`, or the same from Redis."""
    for kind, entries in pools.items():
        if not isinstance(entries, list):
            taken.left.append(Left(kind, "is not a list of accounts"))
            continue
        for index, entry in enumerate(cast(list[object], entries)):
            if isinstance(entry, dict):
                _account(kind, index, cast(dict[str, Any], entry), taken)
            else:
                taken.left.append(Left(f"{kind}[{index}]", "is not an account"))


def _account(kind: str, index: int, entry: dict[str, Any], taken: Taken) -> None:
    label = f"{kind} {entry.get('customName') or entry.get('uuid') or index}"
    if kind in CLIENT_ONLY or kind.endswith("-oauth"):
        taken.left.append(Left(label, "is the login of a client program; use an API key of the provider"))
        return
    provider = KINDS.get(kind)
    if provider is None:
        taken.left.append(Left(label, "is of a kind that is not known here"))
        return
    key = _first(entry, "_API_KEY")
    if not key:
        taken.left.append(Left(label, "has no API key"))
        return
    base = _first(entry, "_BASE_URL")
    name = _unique(_name(str(entry.get("customName") or f"{kind}-{index + 1}")), taken)
    secret = re.sub(r"[^A-Z0-9]", "_", f"{name}_API_KEY".upper())
    section: dict[str, object] = {"provider": provider, "api_key": f"env:{secret}", "pool": _name(kind)}
    official = _OFFICIAL.get(provider)
    if official is not None and (not base or official[1] in base):
        section["provider"] = official[0]
    elif base:
        section["base_url"] = base
    else:
        taken.left.append(Left(label, "has no base URL"))
        return
    if kind in RESPONSES_KINDS:
        section["protocol"] = "openai_responses"
    _models(entry, label, taken)
    taken.accounts.append(
        Account(
            name=name,
            section=section,
            secret=secret,
            value=key,
            is_disabled=bool(entry.get("isDisabled")),
            attempts=_number(entry.get("usageCount")),
            errors=_number(entry.get("errorCount")),
        )
    )


def _models(entry: dict[str, Any], label: str, taken: Taken) -> None:
    if entry.get("notSupportedModels"):
        taken.left.append(
            Left(f"{label} notSupportedModels", "accounts.*.models lists what an account serves")
        )


def _first(entry: Mapping[str, Any], suffix: str) -> str:
    """Its names for keys and addresses differ by provider: OPENAI_API_KEY, CLAUDE_BASE_URL."""
    return next((str(value) for name, value in entry.items() if name.endswith(suffix) and value), "")


def read_config(config: Mapping[str, Any], taken: Taken) -> None:
    """`config.json`, or the same from Redis. An API key at its top level is an account of its own."""
    for name, value in config.items():
        if name == "REQUIRED_API_KEY":
            taken.client_key = str(value) if value else None
        elif name in _SERVER:
            taken.server[_SERVER[name]] = value
        elif name in _SETTINGS_ELSEWHERE:
            taken.left.append(Left(name, f"see {_SETTINGS_ELSEWHERE[name]}"))
        elif not name.endswith(_ACCOUNT_ENDINGS):
            taken.left.append(Left(name, "has no counterpart"))
    for kind, prefix in (("openai-custom", "OPENAI"), ("claude-custom", "CLAUDE")):
        own = {name: value for name, value in config.items() if name.startswith(f"{prefix}_")}
        if own.get(f"{prefix}_API_KEY"):
            _account(kind, 0, own, taken)


def is_config(members: Mapping[str, Any]) -> bool:
    """Whether anything in it is the predecessor's."""
    known = _SERVER.keys() | _SETTINGS_ELSEWHERE.keys() | {"REQUIRED_API_KEY"}
    return any(name in known or name.endswith(_ACCOUNT_ENDINGS) for name in members)


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")
    return name or "account"


def _unique(name: str, taken: Taken) -> str:
    names = {account.name for account in taken.accounts}
    found, number = name, 2
    while found in names:
        found, number = f"{name}-{number}", number + 1
    return found


def _number(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0
