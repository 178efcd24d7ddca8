from __future__ import annotations

import pytest

from aiclient2api.providers.credentials import Credentials, Secret


@pytest.mark.parametrize("shown", [repr, str, "{}".format], ids=["repr", "str", "format"])
def test_a_secret_never_shows_itself(shown: type[str]) -> None:
    text = shown(Secret("sk-very-secret"))

    assert "very" not in text


def test_credentials_do_not_show_their_secret() -> None:
    assert repr(Credentials(Secret("sk-very-secret"))) == "Credentials(secret=Secret('***'), generation=0)"


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
