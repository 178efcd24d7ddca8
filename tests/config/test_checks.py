from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.config import checks
from aiclient2api.config.model import Document
from aiclient2api.config.reading import Reader
from aiclient2api.config.secrets import SecretSource
from aiclient2api.providers.openai import OPENAI
from aiclient2api.providers.registry import ProviderRegistry

LONG = "sk-gw-0123456789abcdef"
ACCOUNT = {"a": {"provider": "openai", "pool": "lab"}, "broken": "x"}


def _document(data: dict[str, object]) -> Document:
    reader = Reader(SecretSource({}, Path()))
    document = reader.section(Document, {"accounts": ACCOUNT, **data}, "")
    assert reader.problems == []
    return document


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({}, []),
        (
            {"server": {"workers": 2}, "store": {"url": "memory"}},
            ["server.workers: several workers need a store that they share, and store.url is memory"],
        ),
        ({"server": {"workers": 2}}, []),
        (
            {"server": {"host": "0.0.0.0"}},
            ["server.host: '0.0.0.0' is reachable from outside, so a client key under keys is required"],
        ),
        ({"server": {"host": "0.0.0.0"}, "keys": [{"name": "me", "key": LONG}]}, []),
        ({"server": {"host": "localhost"}}, []),
        (
            {"server": {"tls": {"cert": "/nowhere/c", "key": "/nowhere/k"}}},
            ["server.tls.cert: no such file: /nowhere/c", "server.tls.key: no such file: /nowhere/k"],
        ),
        ({"store": {"url": "embedded"}}, []),
        ({"store": {"url": "redis://127.0.0.1"}, "secrets": {"key": LONG}}, []),
        (
            {"store": {"url": "redis+sentinel://a,b/main"}},
            ["secrets.key: is required with a store that other nodes can share, the same for all of them"],
        ),
        (
            {"store": {"url": "redis://u:p/w@host"}},
            [
                "store.url: the port must be a number (and '@', ':' or '/' in a password written as %40, %3A, %2F)"
            ],
        ),
        ({"store": {"url": "redis://host?ca=/c.pem"}}, ["store.url: has a ca but no TLS: say rediss://"]),
        (
            {"store": {"url": "redis+cluster://host?tls=perhaps"}},
            ["store.url: tls must be true or false"],
        ),
        (
            {"store": {"url": "mysql://x"}},
            [
                "store.url: must be embedded, memory, or begin with one of redis://, rediss://, unix://, redis+sentinel://, redis+cluster://"
            ],
        ),
        (
            {"keys": [{"name": "me", "key": LONG}, {"name": "me", "key": LONG}]},
            [
                "keys[1].name: 'me' is the name of an earlier key",
                "keys[1].key: is the same as an earlier key's",
            ],
        ),
        (
            {"secrets": {"key": "short", "previous": [LONG, "old"]}},
            [
                "secrets.key: needs at least 16 characters",
                "secrets.previous[1]: needs at least 16 characters",
            ],
        ),
        ({"providers": {"nobody": {}}}, ["providers.nobody: unknown provider (known: openai)"]),
        (
            {"models": {"x": {"targets": ["nowhere/y"]}}},
            ["models.x.targets[0]: 'nowhere/y' leads nowhere: no account is in pool 'nowhere' (pools: lab)"],
        ),
        (
            {"accounts": {}},
            ["accounts: there is none; add one, set a well-known variable (OPENAI_API_KEY), or serve --demo"],
        ),
    ],
)
def test_rules_between_sections(data: dict[str, object], problems: list[str]) -> None:
    found = checks.problems(_document(data), ProviderRegistry([OPENAI]), has_keys="keys" in data)

    assert list(found) == problems


@pytest.mark.parametrize(
    ("data", "warnings"),
    [
        ({}, []),
        ({"policy": {"affinity": "off", "attempts": 2}, "log": {"prompts": False}}, []),
        (
            {
                "policy": {"affinity": "prompt_cache"},
                "log": {"prompts": True},
                "secrets": {"previous": [LONG]},
            },
            [
                "log.prompts: has no effect in this version",
            ],
        ),
        (
            {
                "keys": [
                    {
                        "name": "me",
                        "key": "short",
                        "rpm": 1,
                        "tpm": 2,
                        "concurrency": 3,
                        "expires": "2027-01-01T00:00:00Z",
                        "strict": True,
                    }
                ]
            },
            [
                "keys[0].key: is shorter than 16 characters and easily guessed",
            ],
        ),
    ],
    ids=["nothing", "harmless", "sections", "keys"],
)
def test_what_has_no_effect_is_said(data: dict[str, object], warnings: list[str]) -> None:
    assert list(checks.warnings(_document(data), data)) == warnings
