"""The identity provider over HTTP, with an upstream beside it that takes its tokens and nothing else."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from tests.fakes.identity import IdentityProvider

CLIENT, CLIENT_SECRET = "the-gateway", "its secret & more"
DEADLINE = 20.0
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class IdentityServer:
    """`faults` are for the next token requests: a status, `drop`, `garbage` or `hold` until `go_on` (all after it took effect) or seconds of delay."""

    def __init__(self, identity: IdentityProvider) -> None:
        self.identity = identity
        self.url = ""
        self.faults: deque[int | str | float] = deque()
        self.forms: list[dict[str, str]] = []
        self.requests = 0
        self._goes_on = threading.Event()
        self.served: Counter[str] = Counter()
        """Upstream calls by token, and those that were refused under an empty one."""

    def go_on(self) -> None:
        """Answer those that were held."""
        self._goes_on.set()

    @property
    def token_url(self) -> str:
        """Where tokens are."""
        return f"{self.url}/token"

    async def token(self, request: web.Request) -> web.StreamResponse:
        """POST /token."""
        self.requests += 1
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            return web.json_response({"error": "temporarily_unavailable"}, status=fault)
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        status, members = self._answer(request, form)
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
        if fault == "hold":
            while not self._goes_on.is_set():
                await asyncio.sleep(0.01)
        if fault == "garbage":
            return web.Response(text="<html>token</html>")
        return web.json_response(members, status=status)

    def _answer(self, request: web.Request, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        expected = base64.b64encode(b"the-gateway:its%20secret%20%26%20more").decode()
        in_body = (form.get("client_id"), form.get("client_secret")) == (CLIENT, CLIENT_SECRET)
        match form.get("grant_type"):
            case "refresh_token":
                return self.identity.redeem(form["refresh_token"])
            case "client_credentials" if (
                in_body or request.headers.get("authorization") == f"Basic {expected}"
            ):
                pass
            case "urn:ietf:params:oauth:grant-type:jwt-bearer" if form.get("assertion", "").count(".") == 2:
                pass
            case _:
                return 401, {"error": "invalid_client"}
        return 200, {
            "access_token": self.identity.access_token(),
            "token_type": "bearer",
            "expires_in": str(int(self.identity.life)),
        }

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.identity.takes(token):
            self.served[""] += 1
            error = {
                "message": "the token is not valid",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return web.json_response({"error": error}, status=401)
        self.served[token] += 1
        await request.read()
        return web.json_response(ANSWER)

    async def models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self.identity.takes(token):
            return web.json_response({"error": {"message": "no"}}, status=401)
        return web.json_response(
            {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]}
        )


@contextmanager
def identity_server(identity: IdentityProvider | None = None) -> Iterator[IdentityServer]:
    """On a loopback port, in a thread with its own event loop."""
    server = IdentityServer(identity or IdentityProvider(time.monotonic))
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        app = web.Application()
        app.add_routes(
            [
                web.post("/token", server.token),
                web.post("/v1/chat/completions", server.chat),
                web.get("/v1/models", server.models),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address: Any = runner.addresses[0]
        server.url = f"http://127.0.0.1:{address[1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(DEADLINE)


def claims(assertion: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    part = assertion.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
