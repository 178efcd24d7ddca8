"""Two nodes behind nginx as docs/operations.md sets it up: one of them is lost, both are restarted one after the other."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.program import DEADLINE, Program, serving_program, simulating, until
from tests.store.servers import free_port, running
from tests.workers.load import Load
from tests.workers.rig import KEY, sections

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

CLIENTS = 6
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateways {{
    server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;
    server 127.0.0.1:{two} max_fails=1 fail_timeout=1s;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateways; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_connect_timeout 1s; proxy_buffering off; proxy_request_buffering off;
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """The address that clients use."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx")
    port = free_port()
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, one=ports[0], two=ports[1]))
    with subprocess.Popen(
        [program, "-c", str(config), "-p", str(folder)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: process.poll() is not None or accepts(port))
            assert process.poll() is None, (folder / "error.log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Site:
    """Two nodes on ports that stay the same, one Redis, one nginx."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._url = stack.enter_context(simulating())[1]
        self._store = stack.enter_context(running()).url
        self.ports = [free_port(), free_port()]
        self.nodes = [self.start(0), self.start(1)]
        self.front = stack.enter_context(nginx(folder / "nginx", self.ports))
        self.load = Load(lambda: [self.front], KEY, CLIENTS)

    def start(self, number: int) -> Program:
        """A node in its place."""
        folder = self._folder / f"{number}-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        server: dict[str, Any] = {
            "workers": 2,
            "port": self.ports[number],
            "drain": "20s",
            "drain_notice": "500ms",
        }
        given = {
            **sections(self._url),
            "server": server,
            "store": {"url": self._store, "data_dir": str(self._folder / f"data-{number}")},
            "secrets": {"key": "a secret that both nodes have"},
        }
        return self._stack.enter_context(serving_program(folder, given))


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(folder, stack)


def test_a_lost_node_costs_what_ran_on_it_and_nothing_else(tmp_path: Path) -> None:
    with site(tmp_path) as found, found.load.running() as load:
        load.more(60)
        lost = found.nodes[0]
        for line in lost.events("worker_started"):
            os.kill(line["worker_pid"], signal.SIGKILL)
        lost.process.kill()
        load.more(2 * CLIENTS)
        failed = load.done - load.answers.total()
        assert failed <= CLIENTS, load.failures

        load.more(200)
        assert load.done - load.answers.total() == failed, load.failures

        found.nodes[0] = found.start(0)
        before = found.nodes[0].events("request")
        until(lambda: len(found.nodes[0].events("request")) > len(before) + 20)
        assert load.done - load.answers.total() == failed, load.failures


def test_a_rolling_restart_behind_nginx_fails_nobody(tmp_path: Path) -> None:
    with site(tmp_path) as found:
        with found.load.running() as load:
            for number in range(2):
                load.more(60)
                old = found.nodes[number]
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(DEADLINE) == 0
                found.nodes[number] = found.start(number)
            load.more(60)

        assert load.failures == []
        assert set(load.statuses) == {200}
