"""What a report needs: where and when it was made, percentiles, slopes and bounds."""

from __future__ import annotations

import datetime
import hashlib
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TESTED: Final = (
    *(f"src/aiclient2api/{name}" for name in ("accounts", "gateway", "ir", "net", "protocols", "providers")),
    *(f"src/aiclient2api/{name}" for name in ("routing", "server", "wire", "errors.py", "verdicts.py")),
    "tests/faults",
)
"""What decides how a faulted stream ends, and its judge."""


def source(*more: str) -> str:
    """The content of the code that is tested, in twelve digits: results of the same code need not be made again.

    `more`: further files or folders, from the checkout's root.
    """
    digest = hashlib.blake2b(digest_size=6)
    for name in (*TESTED, *more):
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def made(seed: int) -> str:
    """Seed, date, commit and machine, in one line."""
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"Seed {seed}, {when}, commit {commit()}, {machine()}."


def commit() -> str:
    """The commit of the checkout."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return asked.stdout.strip() or "unknown"


def machine() -> str:
    """Its size."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, CPython {platform.python_version()}"


def percentile(values: Sequence[float], share: float) -> float:
    """A value of the sorted list; 0 when it is empty."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def upper_bound(failures: int, trials: int, confidence: float = 0.95) -> float:
    """The share of failures that is not exceeded with this confidence (Poisson; Wilson and Hilferty's beyond 100)."""
    if failures > 100:
        n = failures + 1
        return n * (1 - 1 / (9 * n) + NormalDist().inv_cdf(confidence) / (3 * math.sqrt(n))) ** 3 / trials
    low, high = 0.0, float(failures) + 10 * math.sqrt(failures + 1) + 10
    for _ in range(200):
        mean = (low + high) / 2
        term = total = math.exp(-mean)
        for count in range(1, failures + 1):
            term *= mean / count
            total += term
        low, high = (mean, high) if total > 1 - confidence else (low, mean)
    return high / trials


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Theil and Sen's slope with its 95 % interval (Sen 1968, by Kendall's variance)."""
    slopes = sorted(
        (y2 - y1) / (x2 - x1)
        for number, (x1, y1) in enumerate(points)
        for x2, y2 in points[number + 1 :]
        if x2 != x1
    )
    if not slopes:
        return 0.0, 0.0, 0.0
    n, pairs = len(points), len(slopes)
    width = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    lower = max(0, math.floor((pairs - width) / 2))
    upper = min(pairs - 1, math.ceil((pairs + width) / 2))
    return slopes[pairs // 2], slopes[lower], slopes[upper]


def write(path: Path, text: str) -> None:
    """Put a report where it belongs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(pid: int) -> int:
    """Descriptors of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
