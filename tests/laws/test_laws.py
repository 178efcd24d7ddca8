"""The laws L0 to L14 as properties, each over all 16 pairs of protocols. `make laws-deep` runs a hundred times as many."""

from __future__ import annotations

import math
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.native import PAIRS
from tests.laws.registry import IN_CI, LAWS
from tests.laws.words import Words

_CHECKS: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@pytest.mark.parametrize("law", LAWS)
def test_the_law_holds(law: str, client: str, upstream: str) -> None:
    count = math.ceil(IN_CI / len(PAIRS))

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=_CHECKS
    )
    @given(st.randoms(use_true_random=False))
    def holds(source: Random) -> None:
        LAWS[law](Words(source), client, upstream)

    holds()
