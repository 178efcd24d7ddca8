"""Every client protocol in front of every upstream protocol, through the official SDKs, whole and streamed.

Each of the 288 cells is a conversation of `conversations.py`. Every turn is compared with the raw bytes on both sides.
"""

from __future__ import annotations

from itertools import product

import pytest

from tests.conformance.conversations import CONVERSATIONS, WEATHER, hold
from tests.conformance.expectations import (
    ALL_CELLS,
    LEFT_OUT,
    PROTOCOLS,
    ROWS,
    RUN,
    SCENARIOS,
    Cell,
    Row,
    has_row,
    losses,
)
from tests.conformance.neutral import Wishes
from tests.conformance.talk import Bench, Talk
from tests.wire_tables import needs_tables


@pytest.mark.parametrize("cell", RUN, ids=lambda cell: cell.label)
def test_a_conversation_arrives_whole_on_both_sides(bench: Bench, cell: Cell) -> None:
    talk = hold(bench, cell)
    assert talk.lost == losses(cell)


def test_all_288_cells_are_run_or_listed() -> None:
    assert len(set(ALL_CELLS)) == len(PROTOCOLS) ** 2 * 2 * len(SCENARIOS) == 288
    assert set(RUN) | set(LEFT_OUT) == set(ALL_CELLS)
    assert set(RUN) & set(LEFT_OUT) == set()
    assert (len(RUN), len(LEFT_OUT)) == (280, 8)
    assert set(CONVERSATIONS) == set(SCENARIOS)


@needs_tables
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.concept} at {row.protocol}")
def test_what_is_left_out_or_lost_has_its_row_in_the_mapping(row: Row) -> None:
    assert has_row(row)


@pytest.mark.parametrize(("client", "upstream"), list(product(PROTOCOLS, PROTOCOLS)))
def test_ids_follow_from_the_upstreams_ids(bench: Bench, client: str, upstream: str) -> None:
    """The simulator's ids are the same for both modes, so ours must be."""
    shown = []
    for stream in (False, True):
        talk = Talk(bench, Cell(client, upstream, stream, "tool"), Wishes(tools=(WEATHER,)))
        talk.user("get_weather")
        shown.append(talk.ask().shown)
    assert shown[0].id == shown[1].id
    assert [call.id for call in shown[0].of("call")] == [call.id for call in shown[1].of("call")]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("client", PROTOCOLS)
def test_an_unsigned_thought_stays_behind_where_nobody_reads_it(
    bench: Bench, client: str, stream: bool
) -> None:
    """A chat server without `reasoning_content: true` gets none from other protocols, which the report says."""
    cell = Cell(client, "openai_chat", stream, "thinking")
    talk = Talk(bench, cell, Wishes(thinking=True), model="unsigned/gpt-simulated", keeps_thoughts=False)
    talk.user("Consider this")
    assert talk.ask().shown.reasoning == "Thinking about: Consider this"
    talk.user("Go on")
    second = talk.ask()
    assert ("reasoning.text" in second.lost.get("dropped", ())) == (client != "openai_chat")
    assert len(second.asked.of("thought")) == (client == "openai_chat")
