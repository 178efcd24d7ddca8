from __future__ import annotations

import pytest

from aiclient2api.cli.losses import describe, describe_all
from aiclient2api.ir.loss import Loss


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (Loss("sampling.seed", "sampling.seed", "dropped"), "dropped sampling.seed at sampling.seed"),
        (Loss("user", "", "dropped"), "dropped user"),
        (Loss("max_output", "max_output", "defaulted", note="8"), "defaulted max_output at max_output (8)"),
    ],
)
def test_a_loss_is_one_line(loss: Loss, line: str) -> None:
    assert describe(loss) == line


def test_no_loss_is_said_too() -> None:
    assert describe_all([]) == ["nothing is lost"]


def test_the_rule_of_a_loss_is_told_when_it_is_asked_for() -> None:
    assert describe_all([Loss("sampling.seed", "", "dropped")], explain=True) == [
        "dropped sampling.seed",
        "  rule: a setting that the protocol or the model refuses is left out, never guessed",
    ]


@pytest.mark.parametrize(
    ("feature", "beginning"),
    [
        ("reasoning.opaque", "a signature goes back"),
        ("reasoning.effort", "effort, budget and level"),
        ("cache_mark", "cache marks"),
        ("somebody.else", "no loss is silent"),
    ],
)
def test_the_most_specific_rule_is_told(feature: str, beginning: str) -> None:
    _, rule = describe_all([Loss(feature, "", "dropped")], explain=True)
    assert rule.startswith(f"  rule: {beginning}")
