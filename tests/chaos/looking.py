"""How long `/healthz` takes, seen from a process of its own: what else the rig does is not in the figure."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

PAUSE: Final = 0.05
"""Seconds between two looks."""
_ASK: Final = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


async def looked(host: str, port: int, seconds: float) -> list[float]:
    """Seconds that each look took, over a connection of its own."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return await loop.run_in_executor(process, _look, host, port, seconds)


def _look(host: str, port: int, seconds: float) -> list[float]:
    taken: list[float] = []
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(_ASK)
            while connection.recv(4096):
                pass
        taken.append(time.monotonic() - began)
        time.sleep(PAUSE)
    return taken
