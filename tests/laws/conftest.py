"""One gateway in front of one simulator, for the conversations held through the official SDKs."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

pytest.register_assert_rewrite("tests.conformance.talk", "tests.laws.laws", "tests.laws.more_laws")

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
