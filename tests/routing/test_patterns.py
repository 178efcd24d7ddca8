from __future__ import annotations

import pytest

from aiclient2api.routing.patterns import compiled, is_pattern, length


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("gpt-*", "gpt-5.5", True),
        ("gpt-*", "GPT-5.5", False),
        ("o[0-9]*", "o3-mini", True),
        ("o[0-9]*", "openai", False),
        ("*", "meta-llama/Llama-4", True),
        ("gpt-?", "gpt-5", True),
        ("gpt-?", "gpt-55", False),
        ("a.b", "axb", False),
    ],
)
def test_a_pattern_is_about_the_whole_name(pattern: str, name: str, fits: bool) -> None:
    assert (compiled(pattern).match(name) is not None) is fits


@pytest.mark.parametrize(
    ("pattern", "characters"), [("gpt-*", 4), ("o[0-9]*", 2), ("o1*", 2), ("*", 0), ("gpt-5-mini", 10)]
)
def test_only_what_a_pattern_spells_out_counts(pattern: str, characters: int) -> None:
    assert length(pattern) == characters


@pytest.mark.parametrize(
    ("name", "answer"), [("gpt-5", False), ("gpt-*", True), ("o[1]", True), ("a?", True)]
)
def test_wildcards_make_a_pattern(name: str, answer: bool) -> None:
    assert is_pattern(name) is answer
