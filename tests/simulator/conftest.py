from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from aiclient2api.simulator import Simulator, running

from .rig import simulator


class Served(NamedTuple):
    """A simulator and where it listens."""

    app: Simulator
    url: str


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    app = simulator()
    async with running(app) as url:
        yield Served(app, url)
