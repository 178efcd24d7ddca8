from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiclient2api.config.secrets import SecretSource
from aiclient2api.providers.credentials import Secret


@pytest.fixture
def source(tmp_path: Path) -> SecretSource:
    (tmp_path / "key").write_text("sk-file\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lines").write_text("a\nb\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return SecretSource({"KEY": " sk-env ", "EMPTY": ""}, tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("env:KEY", "sk-env"), ("file:key", "sk-file"), ("sk-inline", "sk-inline"), ("a:b", "a:b")],
)
def test_a_secret_comes_from_where_it_says(source: SecretSource, text: str, value: str) -> None:
    assert source.resolve(text) == Secret(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("env:MISSING", "environment variable MISSING is not set"),
        ("env:EMPTY", "environment variable EMPTY is not set"),
        ("file:missing", "file missing cannot be read: No such file or directory"),
        ("file:empty", "file empty is empty"),
        ("file:binary", "file binary is not text"),
        ("file:lines", "must be printable ASCII on one line"),
        ("schlüssel", "must be printable ASCII on one line"),
        ("", "must not be empty"),
        (12345, "must be text: put it in quotes, or use env:NAME or file:/path"),
    ],
)
def test_a_missing_secret_says_what_is_missing(source: SecretSource, text: object, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        source.resolve(text)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "text",
    [
        "${GATEWAY_KEY}",
        "$GATEWAY_KEY",
        "${GATEWAY_KEY:-none}",
        "%GATEWAY_KEY%",
        "{{ .Values.key }}",
        "${{ secrets.KEY }}",
        "ENV:KEY",
        "File:key",
    ],
)
def test_a_variable_in_another_programs_words_is_no_secret(source: SecretSource, text: str) -> None:
    with pytest.raises(ValueError, match="looks like a variable or a file: write env:NAME or file:/path"):
        source.resolve(text)


@pytest.mark.parametrize("text", ["$2b$12$abcdefg", "a$KEY", "pa%ss%word", "sk-{x}", "$9"])
def test_a_secret_may_hold_any_of_their_signs(source: SecretSource, text: str) -> None:
    assert source.resolve(text) == Secret(text)
