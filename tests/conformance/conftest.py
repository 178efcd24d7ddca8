"""One gateway for all cells, in front of one simulator."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

# the comparisons live in modules of their own and explain themselves as test modules do
pytest.register_assert_rewrite(
    *(f"tests.conformance.{name}" for name in ("conversations", "native_answers", "talk"))
)

from tests.conformance.clients import Sdks  # noqa: E402
from tests.conformance.talk import Bench, pools  # noqa: E402
from tests.harness import simulated  # noqa: E402


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Shared: every conversation starts with empty records."""
    with simulated(pools) as (stack, simulator), httpx2.Client() as http:
        sdks = Sdks(stack.url, stack.key)
        yield Bench(stack, simulator, sdks, http)
        sdks.close()
