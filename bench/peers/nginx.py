"""nginx (Debian) copying bytes: the least that a proxy can cost."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from bench.contender import GATEWAY_CORE, Contender, free_port, start, wait_until_open

_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_max_body_size 64m; client_body_buffer_size 32m;
  upstream up {{ server {upstream}; keepalive 4096; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


def serve(upstream: str, folder: Path, bin_: Path) -> Contender:
    """Raises FileNotFoundError when it is not installed."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
    if binary is None:
        raise FileNotFoundError("nginx is not installed")
    port = free_port()
    config = folder / "nginx.conf"
    text = _CONFIG.format(folder=folder, upstream=urlsplit(upstream).netloc, port=port)
    config.write_text(text, encoding="ascii")
    process = start([binary, "-c", str(config), "-p", str(folder)], GATEWAY_CORE)
    wait_until_open(port, process, "nginx")
    return Contender("nginx", f"http://127.0.0.1:{port}", process)
