"""TLS and logins: a real server behind a real TLS socket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiclient2api.store.address import parse
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.redis import RedisStore
from tests import certificates
from tests.store.servers import VALKEY, Server, running


@contextlib.asynccontextmanager
async def tls_in_front(server: Server, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that speaks TLS and passes everything on."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with front:
        yield front.sockets[0].getsockname()[1]


async def test_a_server_behind_tls_with_a_login(tmp_path: Path) -> None:
    cert, key = certificates.self_signed(tmp_path)
    with running(VALKEY, "user gate on >p@ss:w/rd ~* +@all") as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        async with tls_in_front(server, context) as port:
            good = RedisStore(
                parse(f"rediss://gate:p%40ss%3Aw%2Frd@127.0.0.1:{port}/1?ca={cert}"), timeout=30.0
            )
            untrusted = RedisStore(parse(f"rediss://127.0.0.1:{port}"), timeout=30.0)
            try:
                await good.check()
                await good.put("a2:v1:x", b"1")
                assert await good.get("a2:v1:x") == b"1"
                with pytest.raises(StoreUnavailable):
                    await untrusted.get("a2:v1:x")
            finally:
                await good.close()
                await untrusted.close()
    assert "p@ss" not in repr(good) + repr(good.address)
