"""Every test of this folder that asks for a transport runs on both, and both run on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.pooled import PooledTransport
from aiclient2api.net.transport import Transport

Make = Callable[[dict[str, int]], Transport]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both event loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=[LeanTransport, PooledTransport], ids=["lean", "aiohttp"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes each of the transports; the argument limits connections by pool."""
    return request.param


@pytest.fixture
async def transport(make: Make) -> AsyncIterator[Transport]:
    """Ten connections."""
    one = make({"openai": 10})
    yield one
    await one.close()
