"""The section of an account whose credential expires."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aiclient2api.config.load import build
from aiclient2api.config.model import Config
from aiclient2api.errors import ConfigError

URL = "https://idp.example/token"


def built(oauth: object, **account: object) -> Config:
    section = {"provider": "openai", "oauth": oauth, **account}
    return build({"accounts": {"a": section}}, environ={"RT": "rt-secret"})


def problems(oauth: object, **account: object) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        built(oauth, **account)
    return raised.value.problems


def test_a_refresh_token_stands_in_the_place_of_the_key() -> None:
    config = built(
        {
            "grant": "refresh_token",
            "token_url": URL,
            "client_id": "me",
            "refresh_token": "env:RT",
            "reuse": "30s",
        }
    )

    grant = config.accounts["a"].grant
    assert grant is not None
    assert grant.refresh_token is not None
    assert (grant.kind, grant.refresh_token.reveal(), grant.reuse) == ("refresh_token", "rt-secret", 30.0)
    assert "rt-secret" not in repr(config)


def test_a_service_account_reads_its_key_from_pem_or_json(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "key.json").write_text(
        json.dumps({"private_key": pem, "token_uri": "https://elsewhere.example"})
    )
    for name in ("key.pem", "key.json"):
        grant = (
            built(
                {
                    "grant": "jwt_bearer",
                    "token_url": URL,
                    "issuer": "svc",
                    "private_key": str(tmp_path / name),
                    "algorithm": "ES256",
                }
            )
            .accounts["a"]
            .grant
        )

        assert grant is not None and grant.private_key is not None
        assert grant.private_key.reveal() == pem
        assert grant.token_url == URL


BAD: list[tuple[dict[str, Any], str]] = [
    ({"grant": "password", "token_url": URL}, "accounts.a.oauth.grant: "),
    (
        {"grant": "refresh_token", "token_url": URL},
        "accounts.a.oauth: grant refresh_token needs refresh_token",
    ),
    (
        {"grant": "client_credentials", "token_url": URL, "client_id": "x"},
        "accounts.a.oauth: grant client_credentials needs client_secret",
    ),
    ({"grant": "refresh_token", "refresh_token": "r"}, "accounts.a.oauth.token_url: is required"),
    (
        {"grant": "refresh_token", "refresh_token": "r", "token_url": "http://idp.example/t"},
        "accounts.a.oauth: token_url must be https",
    ),
    (
        {"grant": "jwt_bearer", "token_url": URL, "issuer": "x", "private_key": "/nowhere/key.pem"},
        "accounts.a.oauth: private_key: /nowhere/key.pem cannot be read",
    ),
    (
        {"grant": "refresh_token", "token_url": URL, "refresh_token": "r", "resue": "1s"},
        "accounts.a.oauth.resue: unknown key",
    ),
]


@pytest.mark.parametrize(("oauth", "problem"), BAD, ids=lambda part: part if isinstance(part, str) else "")
def test_what_is_wrong_is_one_sentence_with_its_key(oauth: dict[str, Any], problem: str) -> None:
    found = problems(oauth)

    assert len(found) == 1
    assert found[0].startswith(problem)


def test_key_and_oauth_together_are_refused() -> None:
    oauth = {"grant": "refresh_token", "token_url": URL, "refresh_token": "r"}

    assert problems(oauth, api_key="k") == [
        "accounts.a.oauth: stands in the place of api_key: give one of the two"
    ]
