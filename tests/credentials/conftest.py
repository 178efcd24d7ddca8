"""The clock of the stories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.credentials.virtual import VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()
