"""The loss report as commands show it."""

from __future__ import annotations

from collections.abc import Iterable

from aiclient2api.cli.rules import rule_of
from aiclient2api.ir.loss import Loss


def describe(loss: Loss) -> str:
    """One line: what happened, to which feature, where, and why."""
    note = f" ({loss.note})" if loss.note else ""
    where = f" at {loss.path}" if loss.path else ""
    return f"{loss.act} {loss.feature}{where}{note}"


def describe_all(losses: Iterable[Loss], *, explain: bool = False) -> list[str]:
    """A line for each loss, and one for the rule that decided it; or a line that says there is none."""
    lines: list[str] = []
    for loss in losses:
        lines.append(describe(loss))
        if explain:
            lines.append(f"  rule: {rule_of(loss)}")
    return lines or ["nothing is lost"]
