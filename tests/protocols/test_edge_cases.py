"""The edge cases of the conversions, each with its exact outputs as files (`golden/edge_cases`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.protocols.edge_cases import GOLDEN, Case

FOLDERS = sorted(GOLDEN.iterdir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_step_of_an_edge_case_gives_exactly_its_file(folder: Path) -> None:
    case = Case(folder)
    assert case.steps
    for step in case.steps:
        text, losses = case.run(step)
        assert text == (folder / step["out"]).read_text(encoding="utf-8"), step["out"]
        assert losses == step.get("losses"), step["out"]


def test_all_of_them_are_there() -> None:
    assert [int(folder.name[:2]) for folder in FOLDERS] == list(range(1, 26))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_of_an_edge_case_takes_part(folder: Path) -> None:
    named = {step[end] for step in Case(folder).steps for end in ("in", "out")}
    assert {path.name for path in folder.iterdir()} == named | {"steps.json"}
