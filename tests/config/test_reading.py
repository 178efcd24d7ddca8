from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aiclient2api.config.reading import Reader, Unreadable
from aiclient2api.config.secrets import SecretSource
from aiclient2api.config.units import Duration, Size
from aiclient2api.providers.credentials import Secret


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    wait: Duration = Duration(1)


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    port: int = 1
    flag: bool = False
    names: tuple[str, ...] = ()
    size: Size = Size(1)
    key: Secret | None = None
    path: Path | None = None
    anything: object = None
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


@pytest.fixture
def reader() -> Reader:
    return Reader(SecretSource({"KEY": "sk-1"}, Path()))


def test_a_whole_tree_is_read(reader: Reader) -> None:
    read = reader.section(
        Outer,
        {
            "port": 2,
            "flag": True,
            "names": ["a"],
            "size": "1KiB",
            "key": "env:KEY",
            "path": "/x",
            "anything": {"b": [1]},
            "inner": {"name": "i", "wait": "2s"},
            "several": [{"name": "s"}],
            "named": {"n": {"name": "x"}},
        },
        "",
    )

    assert reader.problems == []
    assert read == Outer(
        port=2,
        flag=True,
        names=("a",),
        size=Size(1024),
        key=Secret("sk-1"),
        path=Path("/x"),
        anything={"b": [1]},
        inner=Inner(name="i", wait=Duration(2)),
        several=(Inner(name="s"),),
        named={"n": Inner(name="x")},
    )


@pytest.mark.parametrize("data", [None, {}, {"port": None, "inner": None, "named": None}])
def test_null_counts_as_absent(reader: Reader, data: object) -> None:
    assert reader.section(Outer, data, "") == Outer()


def test_text_from_the_environment_becomes_what_is_asked_for(reader: Reader) -> None:
    read = reader.section(Outer, {"port": "7", "flag": "true"}, "")

    assert (read.port, read.flag) == (7, True)


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({"prot": 1}, ["x.prot: unknown key, did you mean 'port'?"]),
        ({"port": "many"}, ["x.port: expected 'int', got 'str'"]),
        ({"names": ["a", 1]}, ["x.names[1]: expected 'str', got 'int'"]),
        ({"names": "a"}, ["x.names: expected 'array', got 'str'"]),
        ({"size": 5}, ["x.size: must be a size like 256KiB or 32MiB, not 5"]),
        ({"key": "env:NONE"}, ["x.key: environment variable NONE is not set"]),
        ({"path": 5}, ["x.path: must be a path, not 5"]),
        ({"inner": {}}, ["x.inner.name: is required"]),
        ({"inner": 5}, ["x.inner: must be a section with keys"]),
        (
            {"inner": {"name": "a", "wait": "soon"}},
            ["x.inner.wait: must be a duration like 250ms, 30s or 5m, not 'soon'"],
        ),
        ({"several": {"name": "a"}}, ["x.several: must be a list"]),
        (
            {"several": [{}, {"name": "a"}, {"nam": "b"}]},
            [
                "x.several[0].name: is required",
                "x.several[2].nam: unknown key, did you mean 'name'?",
                "x.several[2].name: is required",
            ],
        ),
        ({"named": {"n": {"name": 1}}}, ["x.named.n.name: expected 'str', got 'int'"]),
        ({"named": [1]}, ["x.named: expected 'object', got 'array'"]),
        (
            {"port": "many", "flag": "perhaps", "size": "big"},
            [
                "x.port: expected 'int', got 'str'",
                "x.flag: expected 'bool', got 'str'",
                "x.size: must be a size like 256KiB or 32MiB, not 'big'",
            ],
        ),
    ],
)
def test_every_problem_has_its_key_path(reader: Reader, data: object, problems: list[str]) -> None:
    reader.section(Outer, data, "x")

    assert reader.problems == problems


def test_what_does_not_fit_leaves_its_default(reader: Reader) -> None:
    assert reader.section(Outer, {"port": "many", "names": ["a"]}, "") == Outer(names=("a",))


def test_a_section_without_its_required_key_cannot_be_read(reader: Reader) -> None:
    with pytest.raises(Unreadable):
        reader.section(Inner, {}, "x")

    assert reader.problems == ["x.name: is required"]


def test_a_sections_own_rule_is_a_problem_too(reader: Reader) -> None:
    with pytest.raises(Unreadable):
        reader.section(Checked, {"low": 2}, "x")

    assert reader.problems == ["x: low must not be above high"]


def test_keys_that_are_read_elsewhere_are_only_hints(reader: Reader) -> None:
    reader.section(Checked, {"poolx": 1}, "x", beside=["pool"])

    assert reader.problems == ["x.poolx: unknown key, did you mean 'pool'?"]
