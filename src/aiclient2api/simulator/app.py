"""The simulator as an ASGI application: every provider at one address."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from aiclient2api.simulator import catalog
from aiclient2api.simulator.brain import reply
from aiclient2api.simulator.chat import ChatExchange
from aiclient2api.simulator.embeddings import gemini_embedding, gemini_embeddings, openai_embeddings
from aiclient2api.simulator.exchange import Exchange
from aiclient2api.simulator.gemini import GeminiExchange, count_answer
from aiclient2api.simulator.gemini_rules import parse_count as parse_gemini_count
from aiclient2api.simulator.jsontext import read
from aiclient2api.simulator.link import ClientGone, Headers, Link, Message, Receive, Send
from aiclient2api.simulator.messages import MessagesExchange, message_count_answer
from aiclient2api.simulator.messages_rules import parse_count
from aiclient2api.simulator.player import NO_FAULT, Player, send_fault, send_whole
from aiclient2api.simulator.responses import ResponsesExchange, input_tokens_answer
from aiclient2api.simulator.responses_rules import parse as parse_responses
from aiclient2api.simulator.routing import Route, find_route, key_of
from aiclient2api.simulator.samples import as_object
from aiclient2api.simulator.scenario import FAULT_HEADER, Call, Fault, Scenario, ScenarioError
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.voices import Refused

_REMEMBERED = 1000


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    key: str
    route: Route

    @property
    def request_id(self) -> str:
        """The same for the same request."""
        return "req_" + hashlib.sha256(self.path.encode() + self.body).hexdigest()[:24]

    @property
    def model(self) -> str:
        """The model the path or the body asks for."""
        if self.route.model:
            return self.route.model
        try:
            return str((as_object(read(self.body)) or {}).get("model", ""))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""


class Simulator:
    """Four providers that answer from the request alone.

    `requests` holds the last thousand requests, `connections` counts the client ports seen, `open_streams` the
    streams being sent, `closed_early` the answers whose client left before the end.
    """

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        scenario: Scenario | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        self.scenario = scenario or Scenario()
        self.requests: deque[ReceivedRequest] = deque(maxlen=_REMEMBERED)
        self.open_streams = 0
        self.closed_early = 0
        self._clock = clock
        self._clients: set[tuple[str, int]] = set()
        self._links: set[Link] = set()

    @property
    def connections(self) -> int:
        """How many different client ports were seen."""
        return len(self._clients)

    def hang_up(self) -> None:
        """Close the connections of all answers under way."""
        for link in list(self._links):
            link.hang_up()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One ASGI connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator does not speak {scope['type']}")
        if client := cast("tuple[str, int] | None", scope.get("client")):
            self._clients.add((client[0], client[1]))
        link = Link(scope, receive, send)
        self._links.add(link)
        try:
            await self._visit(scope, link)
        except ClientGone:
            self.closed_early += 1
        finally:
            self._links.discard(link)

    async def _visit(self, scope: Message, link: Link) -> None:
        """Read the request, then answer it while watching whether the client is still there."""
        received = _received(scope, await link.read_body())
        self.requests.append(received)
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(link.watch())
            try:
                await self._answer(received, link)
            except ClientGone:
                self.closed_early += 1
            finally:
                watcher.cancel()

    async def _answer(self, received: ReceivedRequest, link: Link) -> None:
        route = received.route
        in_array = route.operation == "streamGenerateContent" and not route.sse
        try:
            self._admit(received)
            fault = self._fault(received)
            await link.pause(fault.delay)
            if fault.reset and fault.cut_after_events is None:
                await link.reset()
            elif fault.replaces_answer and fault.error_event_after_events is None:
                await send_fault(link, fault, route.voice, received.request_id, in_array=in_array)
            else:
                await self._serve(received, link, fault)
        except Refused as refused:
            body = route.voice.body(refused, received.request_id)
            body = b"[" + body + b"]" if in_array else body
            await link.answer(refused.status, self._headers(received, "application/json"), body)

    def _admit(self, received: ReceivedRequest) -> None:
        """Keys come first, as everywhere; then the address."""
        voice = received.route.voice
        if not self.settings.admits(received.key):
            raise voice.no_key(received.key)
        if received.route.operation is None:
            raise voice.no_path(received.method, received.path)
        model = received.model
        if model and not self.settings.knows(model):
            raise voice.no_model(model)

    def _fault(self, received: ReceivedRequest) -> Fault:
        call = Call(
            key=received.key,
            model=received.model,
            path=received.path,
            protocol=received.route.protocol,
            body=received.body,
        )
        try:
            return self.scenario.fault_for(call, received.headers.get(FAULT_HEADER)) or NO_FAULT
        except ScenarioError as error:
            raise Refused(str(error)) from None

    async def _serve(self, received: ReceivedRequest, link: Link, fault: Fault) -> None:
        exchange = self._exchange(received)
        if exchange is None:
            headers = self._headers(received, fault.content_type or "application/json")
            await send_whole(link, headers, self._plain(received), fault)
            return
        answer = reply(exchange.conversation, self.settings.events)
        answer = msgspec.structs.replace(answer, usage_shown=not fault.drop_usage)
        if not exchange.stream:
            headers = self._headers(received, fault.content_type or "application/json")
            await send_whole(link, headers, exchange.unary(answer), fault)
            return
        headers = self._headers(received, fault.content_type or exchange.stream_type)
        player = Player(link, exchange, received.request_id, fault)
        self.open_streams += 1
        try:
            await player.play(headers, exchange.events(answer), self.settings.interval)
        finally:
            self.open_streams -= 1

    def _exchange(self, received: ReceivedRequest) -> Exchange | None:
        """The generation this request asks for; None for every other operation."""
        route, body, now = received.route, received.body, self._clock()
        match route.operation:
            case "chat":
                return ChatExchange(body, self.settings, now)
            case "responses":
                return ResponsesExchange(body, self.settings, now)
            case "messages":
                return MessagesExchange(body, received.headers, self.settings, now)
            case "generateContent":
                return GeminiExchange(route.model, body, self.settings, now, stream=False)
            case "streamGenerateContent":
                return GeminiExchange(route.model, body, self.settings, now, stream=True, sse=route.sse)
            case _:
                return None

    def _plain(self, received: ReceivedRequest) -> bytes:
        """Operations that generate nothing."""
        body, route = received.body, received.route
        match route.operation:
            case "embeddings":
                return openai_embeddings(body, self.settings)
            case "embedContent":
                return gemini_embedding(body, self.settings)
            case "batchEmbedContents":
                return gemini_embeddings(body, self.settings)
            case "count_tokens" | "input_tokens" | "countTokens":
                return self._count(received)
            case _:
                return catalog.answer(route.protocol, route.model, self.settings.listed_models)

    def _count(self, received: ReceivedRequest) -> bytes:
        body, route = received.body, received.route
        match route.operation:
            case "count_tokens":
                return message_count_answer(parse_count(body, received.headers, self.settings))
            case "input_tokens":
                return input_tokens_answer(parse_responses(body, self.settings)[1])
            case _:
                return count_answer(parse_gemini_count(route.model, body, self.settings))

    def _headers(self, received: ReceivedRequest, content_type: str) -> Headers:
        name = received.route.voice.request_id_header
        return [(b"content-type", content_type.encode()), (name.encode(), received.request_id.encode())]


def _received(scope: Message, body: bytes) -> ReceivedRequest:
    pairs = cast("list[tuple[bytes, bytes]]", scope["headers"])
    headers: Mapping[str, str] = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs
    }
    method, path = cast(str, scope["method"]), cast(str, scope["path"])
    query = cast(bytes, scope.get("query_string", b"")).decode("latin-1")
    route = find_route(method, path, query, headers)
    return ReceivedRequest(
        method=method,
        path=path,
        query=query,
        headers=dict(headers),
        body=body,
        key=key_of(route.protocol, query, headers),
        route=route,
    )


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol, for servers that insist on it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
