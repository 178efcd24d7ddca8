"""The deep run's results belong to the code they were made with, and to nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.laws.deep import DECIDING, content, key, run, units
from tests.laws.native import PAIRS


def checkout(folder: Path) -> Path:
    """A checkout in small."""
    for place in DECIDING:
        file = folder / place if "." in Path(place).name else folder / place / "one.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(place)
    return folder


def test_a_change_of_a_converter_or_a_law_makes_the_results_void_another_does_not(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    before = content(root)
    for other in ("README.md", "src/aiclient2api/protocols/__pycache__/x.pyc"):
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        (root / other).write_text("new")
    assert content(root) == before

    seen = {before}
    for place in DECIDING:
        file = root / place if (root / place).is_file() else root / place / "one.py"
        file.write_text("changed")
        seen.add(content(root))
    (root / "src/aiclient2api/ir/one.py").rename(root / "src/aiclient2api/ir/two.py")
    seen.add(content(root))
    assert len(seen) == len(DECIDING) + 2


def test_every_example_is_in_one_unit_and_the_same_in_every_run() -> None:
    work = list(units(["L1"], 1.0))
    assert len({key(unit) for unit in work}) == len(work)
    by_pair = dict.fromkeys(PAIRS, 0)
    for _, client, upstream, start, end in work:
        by_pair[client, upstream] += end - start
    assert set(by_pair.values()) == {6_250}
    unit = ("L1", *PAIRS[1], 5, 8)
    first, again = run(unit, 1), run(unit, 1)
    assert (first["examples"], first["violations"]) == (again["examples"], again["violations"]) == (3, [])


def test_all_laws_go_forward_in_step() -> None:
    work = list(units(["L1", "L12"], 1.0))
    first = work[: len(work) // 2]
    done = {law: sum(end - start for name, _, _, start, end in first if name == law) for law in ("L1", "L12")}
    assert 0.4 < done["L1"] / 100_000 < 0.7
    assert 0.4 < done["L12"] / 1_000_000 < 0.6
