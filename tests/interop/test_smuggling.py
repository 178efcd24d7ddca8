"""The corpus against two servers that the world runs on: we read a payload as they do, or refuse it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.lean import END, Recorder, answers, lean

pytestmark = pytest.mark.interop

PAYLOADS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent.parent / "server" / "smuggling" / "payloads.toml").read_text("utf-8")
)["payload"]
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_body_timeout 1s; client_header_timeout 1s; lingering_timeout 1s; lingering_time 1s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1;
      proxy_set_header Host gateway; proxy_set_header Connection "";
    }}
  }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout client 1s
  timeout http-request 1s
  timeout connect 1s
  timeout server 2s
frontend front
  bind 127.0.0.1:{port}
  http-request set-header Host gateway
  default_backend back
backend back
  server one 127.0.0.1:{backend}
"""

STRICTER = {("nginx", "length: white space before"): "RFC 9110 5.5 allows a tab there, nginx does not"}
"""What another server refuses although it has one reading only."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.asynccontextmanager
async def proxy(name: str, backend: int, folder: Path) -> AsyncIterator[int]:
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    port = free_port()
    config = folder / "proxy.conf"
    text = NGINX if name == "nginx" else HAPROXY
    config.write_text(text.format(port=port, backend=backend, folder=folder))
    arguments = ["-c", str(config), "-p", str(folder)] if name == "nginx" else ["-db", "-f", str(config)]
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while True:
                assert process.returncode is None, f"{name} did not start"
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.01)
        yield port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def reading(port: int, recorder: Recorder, raw: bytes) -> list[str]:
    """The requests that reach the application behind a port."""
    recorder.seen.clear()
    with contextlib.suppress(TimeoutError):
        await answers(port, raw)
    return [line for line in recorder.seen if line != "GET /end"]


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_nothing_is_read_in_another_way(name: str, tmp_path: Path) -> None:
    ours, theirs = Recorder(), Recorder()
    differences: list[str] = []
    agreed = refused = 0
    async with lean(ours) as (_, port), lean(theirs) as (_, backend), proxy(name, backend, tmp_path) as other:
        for payload in PAYLOADS:
            raw = payload["raw"].encode("latin-1") + END
            mine, its = await reading(port, ours, raw), await reading(other, theirs, raw)
            is_refused = not payload["seen"] or payload["seen"][-1] == "!"
            if mine == its:
                agreed += 1
            elif is_refused and its[: len(mine)] == mine:
                refused += 1
            elif not its and (name, payload["name"]) in STRICTER:
                agreed += 1
            else:
                differences.append(f"{payload['name']}: we read {mine}, {name} reads {its}")

    assert differences == []
    assert agreed + refused == len(PAYLOADS)
    assert agreed > refused, "most of it is refused, or read in the same way, by everybody"
