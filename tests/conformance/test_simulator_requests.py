"""What crossed the gateway in a pass over all cells, judged by the official types.

The simulator checks the requests that it gets with types of its own; here the tables and the SDKs are the judges, so
that converter and simulator cannot share a mistake unnoticed.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from tests.conformance.conversations import hold
from tests.conformance.expectations import PROTOCOLS, RUN
from tests.conformance.official import answer_problems, request_problems, sdk_problems
from tests.conformance.talk import Bench, Turn
from tests.wire_tables import needs_tables

_ECHOED = re.compile(r"\.annotations: unknown|\.tool_calls: not an array")
"""What a relay passes on: OpenAI's SDK gives back members of an answer that its own request type does not list."""
PAIRS = list(product(PROTOCOLS, PROTOCOLS))


def turns(bench: Bench, client: str, upstream: str) -> list[Turn]:
    """Every turn of every cell of a pair."""
    cells = [cell for cell in RUN if (cell.client, cell.upstream) == (client, upstream)]
    return [turn for cell in cells for turn in hold(bench, cell).turns]


@needs_tables
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_requests_and_answers_are_as_the_tables_list_them(bench: Bench, client: str, upstream: str) -> None:
    for turn in turns(bench, client, upstream):
        problems = request_problems(upstream, turn.received.body)
        assert [one for one in problems if client != upstream or not _ECHOED.search(one)] == []
        assert answer_problems(client, turn.recorded.body) == []


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_the_sdks_strict_types_take_every_answer(bench: Bench, client: str, upstream: str) -> None:
    for turn in turns(bench, client, upstream):
        assert sdk_problems(client, turn.recorded.body) == []
