from __future__ import annotations

import pytest

from aiclient2api.cli.output import print_json, print_table


def test_a_table_in_a_pipe_is_wide_and_plain(capfd: pytest.CaptureFixture[str]) -> None:
    print_table("Things", ["name", "what"], [("a", "[b] " + "x" * 120), ("bb", "-")])

    out = capfd.readouterr().out
    assert out.splitlines()[0] == "Things"
    assert out.splitlines()[1] == "name   what"
    assert out.splitlines()[3] == "a      [b] " + "x" * 120
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_json_is_indented(capfd: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [1]})
    print_json({"b": 2}, err=True)

    out, err = capfd.readouterr()
    assert out == '{\n  "a": [\n    1\n  ]\n}\n'
    assert err == '{\n  "b": 2\n}\n'
