from __future__ import annotations

import pytest

from aiclient2api.store.memory import MemoryStore
from tests.accounts.nodes import EPOCH, Node
from tests.fakes.accounts import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(EPOCH)


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock, wall=clock)


@pytest.fixture
def nodes(store: MemoryStore, clock: Clock) -> tuple[Node, Node]:
    return Node("n1", store, clock, EPOCH - 500.0), Node("n2", store, clock, EPOCH - 90_000.0)
