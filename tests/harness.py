"""A gateway in front of upstreams, all on real loopback sockets, in a thread with its own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any

from aiclient2api.cli.start import Gateway
from aiclient2api.config.load import build
from aiclient2api.runtime import Runtime
from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.serve import running
from aiclient2api.simulator.settings import SimulatorSettings
from tests.program import SERVER

KEY = "client-key-of-the-tests"
START_SECONDS = 90

Sections = Mapping[str, Any]


class Stack:
    """What a test gets: where the gateway listens, and its parts."""

    def __init__(self) -> None:
        self.url = ""
        self.upstream_url = ""
        self.key = KEY
        self.loop: asyncio.AbstractEventLoop
        self.gateway: Gateway
        self.stop: Callable[[], None] = lambda: None

    @property
    def runtime(self) -> Runtime:
        """The gateway's runtime."""
        return self.gateway.runtime

    def stop_from_outside(self) -> None:
        """`drain`, from another thread; the gateway may have ended by itself."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.drain)

    def drain(self) -> None:
        """Stop serving; a second call is not a second signal."""
        if not self.gateway.app.is_draining:
            self.gateway.listener.drain()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the gateway's event loop."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def serving(
    upstream: AbstractAsyncContextManager[str], sections: Callable[[str], Sections]
) -> Iterator[Stack]:
    """Run an upstream (an async context manager that yields its base URL) and a gateway configured for it."""
    stack = Stack()
    ready = threading.Event()
    failure: list[BaseException] = []

    async def main() -> None:
        stack.loop = asyncio.get_running_loop()
        async with upstream as url:
            stack.upstream_url = url
            given = dict(sections(url))
            server = {**SERVER, **given.pop("server", {})}
            data = {"server": server, "keys": [{"name": "tests", "key": KEY}], **given}
            config = build(data, environ={})
            stack.gateway = Gateway(Runtime(config, ephemeral=True))
            listener = stack.gateway.listener
            listener.on_ready = ready.set
            stack.stop = stack.stop_from_outside
            served = asyncio.ensure_future(listener.serve())
            while not ready.is_set() and not served.done():
                await asyncio.sleep(0.005)
            stack.url = f"http://127.0.0.1:{listener.port}"
            try:
                await served
            finally:
                await stack.gateway.close()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(START_SECONDS), "the gateway did not start"
    while not stack.url and not failure:
        ready.wait(0.001)
    if failure:
        raise failure[0]
    try:
        yield stack
    finally:
        stack.stop()
        thread.join(15)
        if failure:
            raise failure[0]


@contextmanager
def simulated(
    sections: Callable[[str], Sections], settings: SimulatorSettings | None = None
) -> Iterator[tuple[Stack, Simulator]]:
    """A gateway in front of the simulator."""
    simulator = Simulator(settings or SimulatorSettings())
    with serving(running(simulator), sections) as stack:
        yield stack, simulator


def four_pools(url: str) -> Sections:
    """One pool for each upstream protocol: `chat`, `responses`, `claude`, `gemini`."""
    return {
        "accounts": {
            "chat-1": {
                "provider": "openai_compatible",
                "base_url": f"{url}/v1",
                "api_key": "upstream-chat-1",
                "pool": "chat",
            },
            "responses-1": {
                "provider": "openai",
                "base_url": f"{url}/v1",
                "api_key": "upstream-responses-1",
                "protocol": "openai_responses",
                "pool": "responses",
            },
            "claude-1": {
                "provider": "anthropic_compatible",
                "base_url": url,
                "api_key": "upstream-claude-1",
                "pool": "claude",
            },
            "gemini-1": {
                "provider": "gemini_compatible",
                "base_url": url,
                "api_key": "upstream-gemini-1",
                "pool": "gemini",
            },
        }
    }
