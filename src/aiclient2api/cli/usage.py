"""`aiclient2api usage`: what was used, by whom and where, as the store has it."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from aiclient2api.cli.options import config_option, json_option, load_config
from aiclient2api.cli.output import print_json, print_table
from aiclient2api.cli.shared_store import NoStore, with_store
from aiclient2api.config.model import Config
from aiclient2api.config.units import Duration
from aiclient2api.ledger.recovery import local_totals
from aiclient2api.ledger.totals import COUNTS, HOUR, LABELS, TIMES, Line, report
from aiclient2api.store import keys
from aiclient2api.store.base import Store

DAY: Final = 86_400
KNOWN: Final = (*LABELS, *TIMES)
MAX_HOURS: Final = 35 * 24
"""Hours are kept for this long; longer spans are added up from days."""


@click.command(short_help="Show what was used.")
@config_option
@click.option(
    "--since",
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How far back, like 90m, 24h or 30d.",
)
@click.option(
    "--by",
    default="key,model",
    show_default=True,
    metavar="LABELS",
    help=f"What to add up by: {', '.join(KNOWN)} (UTC), separated by commas.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@json_option
def usage(path: Path | None, since: str, by: str, as_csv: bool, as_json: bool) -> int:
    """Show attempts and tokens, added up in whole hours (whole days for more than 35 days)."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json: choose one")
    labels = tuple(part.strip() for part in by.split(","))
    if unknown := [label for label in labels if label not in KNOWN]:
        raise click.UsageError(f"--by: unknown label {unknown[0]!r} (known: {', '.join(KNOWN)})")
    seconds = _seconds(since)
    if "hour" in labels and seconds > MAX_HOURS * HOUR:
        raise click.UsageError("--by: hours are kept for 35 days; ask for less than that, or by day")
    lines = asyncio.run(_lines(load_config(path), seconds, labels))
    if as_json:
        print_json([{**line.labels, **line.counts} for line in lines])
    elif as_csv:
        click.echo(_csv(labels, lines), nl=False)
    else:
        rows = [[*line.labels.values(), *(f"{line.counts[name]:,}" for name in COUNTS)] for line in lines]
        first = datetime.fromtimestamp(_first(time.time(), seconds), UTC)
        print_table(f"used since {first:%Y-%m-%d %H:%M} UTC", [*labels, *COUNTS], rows)
    return 0


def _seconds(text: str) -> float:
    unit = {"d": DAY, "w": 7 * DAY}.get(text[-1:], 0)
    try:
        return float(text[:-1]) * unit if unit else float(Duration.parse(text))
    except ValueError:
        raise click.UsageError(
            f"--since: must be a duration like 90m, 24h, 30d or 4w, not {text!r}"
        ) from None


async def _lines(config: Config, seconds: float, labels: Sequence[str]) -> list[Line]:
    now = time.time()
    try:
        return report(await with_store(config, lambda store: stored(store, now, seconds)), labels)
    except NoStore:  # another process's memory cannot be asked, its files can
        begin = int(now - seconds) // HOUR
        return report(await asyncio.to_thread(local_totals, config.store.data_dir / "ledger", begin), labels)


async def stored(store: Store, now: float, seconds: float) -> list[tuple[int, dict[str, int]]]:
    """The counts of each hour, or of each day, that the span touches, with the second at which it begins.
    Raises StoreUnavailable.
    """
    length, name = (HOUR, keys.usage_hour) if seconds <= MAX_HOURS * HOUR else (DAY, keys.usage_day)
    return [
        (begin, await _counts(store, name(begin // length)))
        for begin in range(_first(now, seconds), int(now) + 1, length)
    ]


def _first(now: float, seconds: float) -> int:
    """The second at which the first hour begins that the span touches, or the first day of a long one."""
    length = HOUR if seconds <= MAX_HOURS * HOUR else DAY
    return int(now - seconds) // length * length


async def _counts(store: Store, name: str) -> dict[str, int]:
    return {field: int(amount) for field, amount in (await store.fields(name)).items() if amount.isdigit()}


def _csv(labels: Sequence[str], lines: Sequence[Line]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*labels, *COUNTS])
    for line in lines:
        writer.writerow([*line.labels.values(), *line.counts.values()])
    return out.getvalue()
