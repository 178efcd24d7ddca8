"""The loss report as commands show it."""

from __future__ import annotations

from collections.abc import Iterable

from aiclient2api.ir.loss import Loss


def describe(loss: Loss) -> str:
    """One line: what happened, to which feature, where, and why."""
    note = f" ({loss.note})" if loss.note else ""
    where = f" at {loss.path}" if loss.path else ""
    return f"{loss.act} {loss.feature}{where}{note}"


def describe_all(losses: Iterable[Loss]) -> list[str]:
    """A line for each loss, or one that says there is none."""
    return [describe(loss) for loss in losses] or ["nothing is lost"]
