"""What several modules want."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.program import SERVER

SERVERS = ("lean", "uvicorn")


@pytest.fixture(params=SERVERS)
def each_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test on both HTTP servers."""
    SERVER["http"] = request.param
    yield request.param
    del SERVER["http"]


@pytest.fixture(scope="module", params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    """For a module's own gateway, which is to name it in its section `server`."""
    return request.param
