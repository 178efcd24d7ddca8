"""What an account may have of its own on the way to its upstream: proxy, certificates, headers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import self_signed
from tests.harness import KEY, Stack, serving
from tests.integration.test_relay import Upstream

ANSWER = b'{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":1,"output_tokens":2}}'


def upstream() -> Upstream:
    return Upstream([ANSWER], "application/json")


class TlsUpstream(Upstream):
    """The same behind TLS."""

    def __init__(self, cert: Path, key: Path) -> None:
        super().__init__([ANSWER], "application/json")
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(cert, key)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self._context)
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


def account(url: str, **own: Any) -> dict[str, Any]:
    settings = {
        "provider": "anthropic_compatible",
        "base_url": url,
        "api_key": "upstream-key",
        "pool": "claude",
    }
    return {"accounts": {"a": {**settings, **own}}}


def post(stack: Stack, **headers: str) -> httpx.Response:
    body = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{stack.url}/v1/messages", json=body, headers={"x-api-key": KEY, **given})


def header_lines(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


def test_a_request_goes_through_the_accounts_proxy() -> None:
    proxy = upstream()
    with serving(proxy.running(), lambda url: account("http://elsewhere:81/sub", proxy=url)) as stack:
        answer = post(stack)

    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert proxy.heads[0].startswith(b"POST http://elsewhere:81/sub/v1/messages HTTP/1.1\r\n")
    assert header_lines(proxy.heads[0])["host"] == "elsewhere:81"


def test_the_proxys_credentials_are_for_the_proxy() -> None:
    proxy = upstream()

    def sections(url: str) -> dict[str, Any]:
        return account("http://elsewhere:81", proxy=url.replace("http://", "http://user:proxy-password@"))

    with serving(proxy.running(), sections) as stack:
        assert post(stack).status_code == 200

    assert header_lines(proxy.heads[0])["proxy-authorization"] == "Basic dXNlcjpwcm94eS1wYXNzd29yZA=="
    assert b"proxy-password" not in proxy.heads[0]


def test_a_proxy_that_is_gone_is_the_accounts_failure() -> None:
    with serving(
        upstream().running(), lambda url: account(url, proxy="http://user:proxy-password@127.0.0.1:1")
    ) as stack:
        answer = post(stack, x_a2_explain="1")

    assert answer.status_code == 502
    assert "proxy-password" not in answer.text + repr(answer.headers)


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    real = upstream()
    with serving(real.running(), account) as stack, httpx.Client(trust_env=False) as client:
        body = {"model": "claude/x", "max_tokens": 9, "messages": []}
        answer = client.post(f"{stack.url}/v1/messages", json=body, headers={"x-api-key": KEY})

    assert answer.status_code == 200
    assert real.heads[0].startswith(b"POST /v1/messages ")


def test_an_upstreams_own_authority_is_trusted_only_where_it_is_named(tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path)
    real = TlsUpstream(cert, key)
    with serving(real.running(), lambda url: account(url, ca=str(cert))) as stack:
        assert (post(stack).status_code, post(stack).content) == (200, ANSWER)
    assert real.connections == 1

    with serving(TlsUpstream(cert, key).running(), account) as stack:
        answer = post(stack)
        refused = stack.runtime.pools["claude"].accounts[0]
        assert (refused.state.status.value, refused.host.state.failures) == ("healthy", 1)

    assert answer.status_code == 502
    assert "certificate" not in answer.text.lower(), (
        "how the upstream is reached is no business of the client"
    )


def test_an_accounts_headers_are_sent_and_stand_over_the_clients() -> None:
    real = upstream()

    def sections(url: str) -> dict[str, Any]:
        return account(url, headers={"X-Tenant": "t-7", "anthropic-beta": "ours", "User-Agent": "me/1"})

    with serving(real.running(), sections) as stack:
        post(stack, anthropic_beta="theirs", x_tenant="forged", x_unknown="stays-here", cookie="stays-here")

    sent = header_lines(real.heads[0])
    assert (sent["x-tenant"], sent["anthropic-beta"], sent["user-agent"]) == ("t-7", "ours", "me/1")
    assert sent["x-api-key"] == "upstream-key"
    assert "stays-here" not in repr(sent)
