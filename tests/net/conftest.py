from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.pooled import PooledTransport
from aiclient2api.net.transport import Transport


@pytest.fixture(params=[LeanTransport, PooledTransport], ids=["lean", "aiohttp"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """Each of the transports, with ten connections."""
    one: Transport = request.param({"openai": 10})
    yield one
    await one.close()
