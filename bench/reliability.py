"""`make bench-reliability`: the figures of `reliability_figures.py`, with a report; goes on where it was stopped.

python -m bench.reliability [--scale 1.0] [--only NAME …] [--again] [--report docs/reports/reliability.md]

A figure that was taken with the same code (`reports.source`) and the same scale is kept; the report has all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct
from tests.faults import reports

from bench.pick import pick
from bench.reliability_figures import FIGURES as PROCESSES
from bench.reliability_figures import Figure

ROOT = Path(__file__).parent.parent
FIGURES = PROCESSES | {"pick": pick}


class Taken(Struct, frozen=True):
    """One measurement, as it is kept."""

    figures: list[Figure]
    seconds: float
    made: str


def take(name: str, scale: float, kept: Path) -> Taken:
    """Measure and keep it."""
    gc.collect()
    gc.freeze()  # the pauses of a collector in the rig are not the gateway's
    gc.disable()
    began = time.monotonic()
    figures = asyncio.run(FIGURES[name](scale))
    taken = Taken(figures, time.monotonic() - began, reports.made(0))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(taken))
    return taken


def report(found: dict[str, Taken], scale: float, source: str) -> str:
    """The page."""
    rows: list[str] = []
    for name, taken in found.items():
        for figure in taken.figures:
            held = "yes" if figure.holds else "**no**"
            rows.append(
                f"| {figure.name} | {figure.measured} | {figure.goal} | {held} | `{name}` {taken.seconds:.0f} s |"
            )
    missing = [name for name in FIGURES if name not in found]
    absent = f"\nNot measured: {', '.join(missing)}.\n" if missing else ""
    small = "" if scale >= 1 else f"\n**Reduced to {scale:g} of the full sizes: no evidence.**\n"
    return f"""# Reliability in figures

{next(iter(found.values())).made} Code {source}. Command: `make bench-reliability ARGS='--scale {scale:g}'`
(bench/reliability.py). The gateway is one process; upstreams and clients are another one, so that times include their
share of the machine.
{small}{absent}
| Figure | Measured | Goal | Holds | Run |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def main() -> int:
    """Measure what is missing and write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="Figures of failover, cancels, overload and stopping.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--only", nargs="*", choices=list(FIGURES), default=list(FIGURES))
    parser.add_argument("--again", action="store_true", help="measure although there is a kept figure")
    parser.add_argument("--state", type=Path, default=ROOT / "build" / "bench-reliability")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "reports" / "reliability.md")
    asked = parser.parse_args()
    source = reports.source("bench/reliability_figures.py", "bench/pick.py")
    found: dict[str, Taken] = {}
    for name in FIGURES:
        kept = asked.state / f"{source}-{asked.scale:g}-{name}.json"
        if name in asked.only and (asked.again or not kept.exists()):
            taken = take(name, asked.scale, kept)
        elif kept.exists():
            taken = msgspec.json.decode(kept.read_bytes(), type=Taken)
        else:
            continue
        found[name] = taken
        for figure in taken.figures:
            print(
                f"{figure.name}: {figure.measured} (goal {figure.goal}, holds: {figure.holds}; {taken.seconds:.0f} s)",
                flush=True,
            )
        reports.write(asked.report, report(found, asked.scale, source))
    return 0 if all(figure.holds for taken in found.values() for figure in taken.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
