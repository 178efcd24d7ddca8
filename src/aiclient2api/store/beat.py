"""When work in the background is done: at the beats of one clock, so that a process wakes once for all of it.

Waking up is what most of it costs: caches are cold, and a read takes ten times what it takes under load.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

_GOLDEN: Final = 0.6180339887498949
PHASE: Final = os.getpid() * _GOLDEN % 1
"""Processes on one machine have one clock; they need not all speak to the store at once."""


def until_beat(every: float) -> float:
    """Seconds until the next multiple of `every`; a beat that is just now is not the next one."""
    left = every - (asyncio.get_running_loop().time() + PHASE) % every
    return left if left > every / 16 else left + every


async def beat(every: float) -> None:
    """Wait for it."""
    await asyncio.sleep(until_beat(every))
