"""The table of a run: medians, ratios to the others, and what stands between the reader and the figures."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.scenarios import Scenario

if TYPE_CHECKING:
    from bench.__main__ import Figures

_COLUMNS: Final = (
    "gateway",
    "CPU µs/request",
    "CPU µs/event",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "first p50",
    "first p99",
    "gaps",
    "lost",
    "errors",
    "KiB/stream",
    "notes",
)


def report(
    scenarios: Sequence[Scenario],
    names: Sequence[str],
    runs: Mapping[tuple[str, str], list[Figures]],
    arguments: Sequence[str],
    python: str,
) -> str:
    """Markdown. `python` is the interpreter of our gateway."""
    rounds = max((len(figures) for figures in runs.values()), default=0)
    lines = [
        "# Bench",
        "",
        f"`python -m bench {shlex.join(arguments)}`, {datetime.date.today().isoformat()}, medians of {rounds} runs.",
        f"{os.cpu_count()} cores, {_processor()}, {platform.platform()}, {python}.",
        "p50 and p99: of unary requests the whole time, of paced streams the delay per event, both as the client sees",
        "them; `direct` is the upstream without a gateway: the difference to it is what a gateway adds.",
        "CPU: all processes of the gateway without its store. KiB/stream: resident memory above what was there before,",
        "per connection; of the rounds the one that took most, as what one leaves behind hides what the next takes.",
    ]
    for scenario in scenarios:
        lines += ["", f"## {scenario.name}", "", _line(_COLUMNS), _line(["---", *["--:"] * 11, "---"])]
        for name in names:
            figures = runs.get((scenario.name, name))
            lines.append(
                _line(_row(scenario, name, figures) if figures else [name, *[""] * 11, "cannot do this"])
            )
        lines += _ratios(scenario, names, runs)
    return "\n".join(lines) + "\n"


def _row(scenario: Scenario, name: str, figures: list[Figures]) -> list[str]:
    def middle(key: str) -> float:
        return median(one.load[key] for one in figures)

    cpu = cost(figures)
    requests = median(one.load["requests"] / one.seconds for one in figures)
    p50, p99 = ("event_p50", "event_p99") if scenario.is_paced else ("latency_p50", "latency_p99")
    lost = median(one.load["requests"] * scenario.events - one.load["events"] for one in figures)
    notes = ["SATURATED rig: missed"] if any(one.is_saturated for one in figures) else []
    return [
        name,
        f"{cpu:.0f}",
        f"{cpu / scenario.events:.1f}" if scenario.events else "",
        f"{requests:.0f}",
        f"{middle(p50) * 1000:.2f}",
        f"{middle(p99) * 1000:.2f}",
        f"{middle('first_p50') * 1000:.1f}" if scenario.is_paced else "",
        f"{middle('first_p99') * 1000:.1f}" if scenario.is_paced else "",
        f"{middle('gaps'):.0f}" if scenario.is_paced else "",
        f"{lost:.0f}" if scenario.is_paced else "",
        f"{middle('errors'):.0f}",
        f"{max(one.rss for one in figures) / 1024 / scenario.connections:.0f}" if scenario.events else "",
        ", ".join(notes),
    ]


def cost(figures: list[Figures]) -> float:
    """Microseconds of CPU per request."""
    return median(one.cpu / max(1.0, one.load["requests"]) for one in figures)


def _ratios(
    scenario: Scenario, names: Sequence[str], runs: Mapping[tuple[str, str], list[Figures]]
) -> list[str]:
    """Our CPU per request over each other's; for what others cannot convert, over their relay of the same load."""
    ours = runs.get((scenario.name, "ours"))
    if ours is None:
        return []
    relay = scenario.name.replace("converted", "relay")
    said: list[str] = []
    for name in names:
        other, what = runs.get((scenario.name, name)), ""
        if other is None and relay != scenario.name:
            other, what = runs.get((relay, name)), " (its relay)"
        if other is not None and name not in ("ours", "direct") and cost(other):
            said.append(f"{name}{what} {cost(ours) / cost(other):.2f}")
    return ["", f"CPU of ours over: {', '.join(said)}."] if said else []


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return models[0] if models else platform.machine()
