"""One server of each kind for the whole session, emptied before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from aiclient2api.store.address import parse
from aiclient2api.store.redis import RedisStore
from tests.store.servers import VALKEY, Server


@pytest.fixture(scope="session")
def valkey_session() -> Iterator[Server]:
    server = Server(VALKEY)
    yield server
    server.close()


@pytest.fixture
def valkey(valkey_session: Server) -> Server:
    """An empty Valkey."""
    with valkey_session.admin() as client:
        client.flushall()
        client.config_resetstat()
    return valkey_session


@pytest.fixture
async def store(valkey: Server) -> AsyncIterator[RedisStore]:
    """A store on an empty Valkey."""
    store = RedisStore(parse(valkey.url), timeout=30.0)
    yield store
    await store.close()
