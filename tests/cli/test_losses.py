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
