from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aiclient2api.net.pooled import PooledTransport


@pytest.fixture
async def transport() -> AsyncIterator[PooledTransport]:
    """A transport with ten connections."""
    one = PooledTransport({"openai": 10})
    yield one
    await one.close()
