"""The deep run: a hundred times the examples of CI, seeded, in shards, resumable.

`python -m tests.laws.deep` goes on where the last run with the same seed and the same converters and laws stopped
(`build/laws-deep.json`): other commits in between do not matter. It writes `docs/reports/laws.md` when everything is done.
`--estimate` measures the rate and tells how long it would take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.laws.fuzzing import KINDS
from tests.laws.native import PAIRS, SHORT
from tests.laws.registry import DEEP, LAWS
from tests.laws.words import Words

ROOT: Final = Path(__file__).resolve().parents[2]
STATE: Final = ROOT / "build" / "laws-deep.json"
REPORT: Final = ROOT / "docs" / "reports" / "laws.md"
DECIDING: Final = (
    "src/aiclient2api/protocols",
    "src/aiclient2api/ir",
    "src/aiclient2api/wire",
    "src/aiclient2api/errors.py",
    "tests/laws",
    "tests/fakes/sealing.py",
    "docs/conversion-matrix.json",
)
"""Whatever an example depends on."""
SHARD: Final = 1_250
"""Examples of one unit of work: what a stopped run may lose."""

Unit = tuple[str, str, str, int, int]
"""Law, client, upstream, first and last example."""


def units(laws: list[str], scale: float) -> Iterator[Unit]:
    """All the work, every law and pair in step with the others, so that early results cover everything."""
    sizes = {law: max(1, round(DEEP[law] * scale / len(PAIRS))) for law in laws}
    shards = (
        (start / each, law, start, each) for law, each in sizes.items() for start in range(0, each, SHARD)
    )
    for _, law, start, each in sorted(shards):
        for client, upstream in PAIRS:
            yield law, client, upstream, start, min(each, start + SHARD)


def key(unit: Unit) -> str:
    """The unit's name in the state file."""
    law, client, upstream, start, end = unit
    return f"{law} {SHORT[client]}>{SHORT[upstream]} {start}-{end}"


def run(unit: Unit, seed: int) -> dict[str, Any]:
    """The examples of one unit. A violation is told by its seed, so that it can be replayed."""
    law, client, upstream, start, end = unit
    began, broken = time.process_time(), list[dict[str, str]]()
    for number in range(start, end):
        name = f"{seed} {law} {client} {upstream} {number}"
        try:
            LAWS[law](Words(Random(name)), client, upstream)
        except Exception as error:  # whatever it is, it is a violation
            broken.append({"seed": name, "error": f"{type(error).__name__}: {error}"[:300]})
    return {"examples": end - start, "seconds": time.process_time() - began, "violations": broken}


def commit() -> str:
    """The commit of the checkout."""
    out = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return out.stdout.strip()


def content(root: Path = ROOT) -> str:
    """A digest of the converters and the laws as they are on disk, so that a result counts only for its own code."""
    state = hashlib.sha256()
    for place in DECIDING:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                state.update(
                    f"{file.relative_to(root)}\0".encode() + hashlib.sha256(file.read_bytes()).digest()
                )
    return state.hexdigest()[:16]


def _state(seed: int, scale: float) -> dict[str, Any]:
    """What is done already with this seed, size and code."""
    wanted = {"seed": seed, "scale": scale, "content": content()}
    if STATE.is_file():
        found = json.loads(STATE.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in wanted} == wanted:
            return found
    return wanted | {"done": {}}


def _save(state: dict[str, Any]) -> None:
    STATE.parent.mkdir(exist_ok=True)
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state), encoding="utf-8")
    new.replace(STATE)


def _by_law(done: dict[str, Any]) -> dict[str, tuple[int, float, list[dict[str, str]]]]:
    found: dict[str, tuple[int, float, list[dict[str, str]]]] = {}
    for name, one in done.items():
        law = name.split(" ")[0]
        count, seconds, broken = found.get(law, (0, 0.0, []))
        found[law] = (count + one["examples"], seconds + one["seconds"], [*broken, *one["violations"]])
    return found


def machine() -> str:
    """What it ran on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return (
        f"{os.cpu_count()} × {next(names, platform.processor() or platform.machine())}, {platform.system()}"
    )


def report(state: dict[str, Any], jobs: int, missing: int = 0) -> str:
    """The report as a page. `missing`: units of work that were not done."""
    found = _by_law(state["done"])
    total = sum(count for count, _, _ in found.values())
    broken = [one for _, _, violations in found.values() for one in violations]
    lines = [
        "# The laws of conversion, deep run",
        "",
        f"`make laws-deep` on {datetime.now(UTC):%Y-%m-%d}, commit {commit()}, content of converters and laws "
        f"`{state['content']}`, seed {state['seed']}, {jobs} processes.",
        f"Machine: {machine()}; Python {platform.python_version()}. What each law says: `tests/laws/laws.py`, "
        f"`silence.py`, `more_laws.py`. {len(PAIRS)} pairs of client and upstream: {', '.join(f'{SHORT[c]}>{SHORT[u]}' for c, u in PAIRS)}.",
        "",
        f"**{total:,} examples, {len(broken)} violations.**"
        + (
            f" Stopped early: {missing} of {missing + len(state['done'])} units are missing."
            if missing
            else ""
        ),
        "",
        "| Law | Examples | A pair | Violations | CPU seconds |",
        "|---|---|---|---|---|",
    ]
    for law in LAWS:
        if law in found:
            count, seconds, violations = found[law]
            what = (LAWS[law].__doc__ or "").split("\n")[0]
            lines.append(
                f"| {law} {what} | {count:,} | {count // len(PAIRS):,} | {len(violations)} | {seconds:,.0f} |"
            )
    if "L12" in found:
        lines += [
            "",
            f"L12 are {found['L12'][0]:,} hostile bodies: tokens in random order, random JSON, valid documents with bytes cut "
            "out, put in or doubled, valid documents with a member replaced, removed or doubled (half of them), and streams "
            f"with events lost, doubled, swapped or broken. Each goes to one of {', '.join(KINDS)}: a result, or the one typed "
            "error, with the path of what is wrong where the body is a JSON object.",
        ]
    lines += ["", "## Violations", ""] if broken else []
    lines += [f"- `{one['seed']}`: {one['error']}" for one in broken[:100]]
    return "\n".join(lines) + "\n"


def estimate(laws: list[str], seed: int, jobs: int) -> None:
    """Measure 20 examples a pair and tell how long everything would take, on cores that nobody else uses."""
    whole = 0.0
    for law in laws:
        for client, upstream in PAIRS:
            run((law, client, upstream, 20, 22), seed)  # imports and caches
        seconds = sum(run((law, client, upstream, 0, 20), seed)["seconds"] for client, upstream in PAIRS)
        each = seconds / (20 * len(PAIRS))
        whole += each * DEEP[law]
        sys.stdout.write(
            f"{law}: {each * 1000:.2f} ms an example, {each * DEEP[law] / 60:.1f} min for {DEEP[law]:,}\n"
        )
        sys.stdout.flush()
    sys.stdout.write(
        f"all: {whole / 60:.0f} min of CPU, about {whole / 60 / jobs:.0f} min with {jobs} jobs\n"
    )


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="laws-deep")
    parser.add_argument("--laws", default=",".join(LAWS), help="comma-separated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="1.0 is the full run; below it no report is written"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no more work after so long; the report says it"
    )
    parser.add_argument("--estimate", action="store_true")
    asked = parser.parse_args()
    laws = asked.laws.split(",")
    if asked.estimate:
        estimate(laws, asked.seed, asked.jobs)
        return 0
    state = _state(asked.seed, asked.scale)
    waiting = [unit for unit in units(laws, asked.scale) if key(unit) not in state["done"]]
    began, count = time.perf_counter(), 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        running = {pool.submit(run, unit, asked.seed): unit for unit in waiting}
        for number, finished in enumerate(as_completed(running), 1):
            if time.perf_counter() - began > asked.minutes * 60:
                for future in running:
                    future.cancel()
            if finished.cancelled():
                continue
            unit, one = running[finished], finished.result()
            state["done"][key(unit)] = one
            count += one["examples"]
            _save(state)
            rate = count / (time.perf_counter() - began)
            broken = len(one["violations"])
            sys.stdout.write(
                f"{number}/{len(waiting)} {key(unit)}: {broken} violations, {rate:.0f} examples/s\n"
            )
            sys.stdout.flush()
    missing = sum(key(unit) not in state["done"] for unit in waiting)
    text = report(state, asked.jobs, missing)
    if asked.scale >= 1 and laws == list(LAWS):
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if any(one["violations"] for one in state["done"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
