from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.config.sources import find_file, merge, overlay, parse_yaml, read_file
from aiclient2api.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("mode: off", {"mode": "off"}),
        ("a: yes\nb: on\nc: no", {"a": "yes", "b": "on", "c": "no"}),
        ("a: true\nb: False", {"a": True, "b": False}),
        ("expires: 2027-01-01", {"expires": "2027-01-01"}),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("", None),
    ],
    ids=["off", "other words", "booleans", "dates", "merge keys", "empty"],
)
def test_plain_words_stay_words(text: str, data: object) -> None:
    assert parse_yaml(text, "f") == data


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f:4: key 'c' stands here twice"),
        ("a: 1\n1: 2\n", "f:2: keys must be text"),
        ("a: [1\nb: 2\n", "f:2: did not find expected ',' or ']'"),
        (
            "a: !!python/object:os.system x\n",
            "f:1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
    ],
    ids=["duplicate", "number as key", "syntax", "unsafe tag"],
)
def test_bad_yaml_is_reported_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")

    assert caught.value.problems == [problem]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "list").write_text("- a\n")
    (tmp_path / "empty").write_text("# nothing yet\n")

    for name, reason in [
        ("missing", "cannot be read: No such file or directory"),
        ("binary", "is not UTF-8 text"),
        ("list", "must hold sections with keys"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_file(tmp_path / name)
        assert caught.value.problems == [f"{tmp_path / name}: {reason}"]
    assert read_file(tmp_path / "empty") == {}


def test_the_file_is_searched_in_the_documented_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / "user" / "aiclient2api" / "aiclient2api.yaml"
    user.parent.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "user")}

    assert find_file(None, environ) is None
    user.touch()
    assert find_file(None, environ) == user
    Path("aiclient2api.yaml").touch()
    assert find_file(None, environ) == Path("aiclient2api.yaml")
    assert find_file(None, {**environ, "AICLIENT2API_CONFIG": "named.yaml"}) == Path("named.yaml")
    assert find_file(Path("given.yaml"), {"AICLIENT2API_CONFIG": "named.yaml"}) == Path("given.yaml")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SERVER__PORT", "4000", {"server": {"host": "h", "port": "4000"}}),
        ("SERVER__HOST", "x", {"server": {"host": "x"}}),
        ("LOG__LEVEL", "debug", {"log": {"level": "debug"}}),
        ("SERVER__CORS", "[https://a, b]", {"server": {"host": "h", "cors": ["https://a", "b"]}}),
        ("POLICY", "{attempts: 2}", {"policy": {"attempts": 2}}),
        (
            "ACCOUNTS__OPENAI_A__API_KEY",
            "k",
            {"accounts": {"openai-a": {"provider": "openai", "api_key": "k"}}},
        ),
        (
            "ACCOUNTS__NEW__API_KEY",
            "k",
            {"accounts": {"openai-a": {"provider": "openai"}, "new": {"api_key": "k"}}},
        ),
        ("KEYS__0__NAME", "me", {"keys": [{"name": "me"}]}),
    ],
)
def test_a_variable_finds_its_key(variable: str, value: str, expected: dict[str, object]) -> None:
    data: dict[str, object] = {"server": {"host": "h"}, "accounts": {"openai-a": {"provider": "openai"}}}

    overlay(data, {f"AICLIENT2API__{variable}": value, "AICLIENT2API_KEY": "not ours", "PATH": "/bin"})

    assert {key: data[key] for key in expected} == expected


def test_variables_can_extend_and_change_a_list() -> None:
    data: dict[str, object] = {"keys": [{"name": "a", "key": "1"}]}

    overlay(data, {"AICLIENT2API__KEYS__0__KEY": "2", "AICLIENT2API__KEYS__1__NAME": "b"})

    assert data == {"keys": [{"name": "a", "key": "2"}, {"name": "b"}]}


@pytest.mark.parametrize("variable", ["SERVER__HOST__X", "KEYS__7__NAME", "KEYS__X", "__"])
def test_a_variable_that_leads_nowhere_is_a_problem(variable: str) -> None:
    data: dict[str, object] = {"server": {"host": "h"}, "keys": []}

    with pytest.raises(ConfigError, match="does not lead to a key"):
        overlay(data, {f"AICLIENT2API__{variable}": "x"})


def test_flags_win_key_by_key() -> None:
    data: dict[str, object] = {"server": {"host": "h", "port": 1}, "log": None}

    merge(data, {"server": {"port": 2}, "log": {"level": "debug"}, "store": {}})

    assert data == {"server": {"host": "h", "port": 2}, "log": {"level": "debug"}, "store": {}}
