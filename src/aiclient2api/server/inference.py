"""The one endpoint function for all protocols and operations: body in, answer out."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from aiclient2api.errors import BadRequest, Forbidden, MalformedMessage
from aiclient2api.gateway.attempt import as_client_error
from aiclient2api.gateway.dispatch import Dispatcher
from aiclient2api.gateway.exchange import Attempt, Exchange, Phase
from aiclient2api.gateway.upstream import Live, Whole
from aiclient2api.keys.ring import ClientKey
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.server.asgi import Outlet
from aiclient2api.server.asked import Asked
from aiclient2api.server.services import Services
from aiclient2api.server.streaming import StreamedAnswer, Voice
from aiclient2api.wire.http import Headers, WireRequest

MAX_MODEL = 512
"""Characters of a model's name: it goes into the log, the ledger and what is remembered of each model."""
MAX_REPORT = 1000
"""Characters of `x-a2-conversion` and `x-a2-explain`."""
WORTH_TELLING = 1.0
"""Seconds from which on a wait stands in `x-a2-explain`."""


async def answer(
    wire: WireRequest,
    key: ClientKey,
    pool: str | None,
    exchange: Exchange,
    services: Services,
    outlet: Outlet,
) -> None:
    """Answer a request with a body. Raises GatewayError as long as nothing was sent."""
    asked = outlet.asked
    inbound = _inbound(asked, wire, key, exchange, services)
    exchange.explain = asked.is_explained
    services.limiter.reserve(key, inbound, exchange)
    exchange.phase = Phase.PRE_HEADERS
    if exchange.is_stream:
        await _streamed(inbound, pool, exchange, services, outlet)
        return
    if asked.is_repeatable:
        whole = await _shared(key, inbound, pool, exchange, services)
    else:
        whole = await services.dispatcher.open(inbound, exchange, pool)
        assert isinstance(whole, Whole), "a unary client gets a whole answer"
        exchange.usage = whole.answer.usage
    answer, short = whole.answer, outlet.short
    response = answer.response
    exchange.phase = Phase.TERMINAL_SEEN
    if answer.losses:
        exchange.losses = [*exchange.losses, *answer.losses]
    exchange.status = response.status
    if short is not None:
        short.answer(response.status, (*response.headers, *report_headers(exchange)), response.body)
    else:
        await outlet.whole(response, report_headers(exchange))


async def _streamed(
    inbound: Inbound, pool: str | None, exchange: Exchange, services: Services, outlet: Outlet
) -> None:
    opening = services.dispatcher.open(inbound, exchange, pool)

    def headers() -> Headers:
        content_type = inbound.converter.stream_content_type(inbound.peek.stream)
        return (("content-type", content_type), *report_headers(exchange))

    def voice() -> Voice:
        return inbound.converter.stream_encoder(inbound.request())

    stream = StreamedAnswer(exchange, outlet, headers, voice, services.heartbeat)
    await stream.run(_live(opening), services.now)


async def _shared(
    key: ClientKey, inbound: Inbound, pool: str | None, exchange: Exchange, services: Services
) -> Whole:
    """The answer of the same request, where that is under way already."""
    begin = partial(_opened, services.dispatcher, inbound, exchange, pool)
    return await services.same.once(key.name, inbound.wire, begin, partial(_join, exchange))


async def _opened(dispatcher: Dispatcher, inbound: Inbound, exchange: Exchange, pool: str | None) -> Whole:
    opened = await dispatcher.open(inbound, exchange, pool)
    assert isinstance(opened, Whole), "a unary client gets a whole answer"
    exchange.usage = opened.answer.usage
    return opened


def _join(exchange: Exchange) -> None:
    exchange.joined = True
    exchange.conversion = "joined"


async def _live(opening: Awaitable[Whole | Live]) -> Live:
    opened = await opening
    assert isinstance(opened, Live), "a client that asked for a stream gets one"
    return opened


def _inbound(
    asked: Asked, wire: WireRequest, key: ClientKey, exchange: Exchange, services: Services
) -> Inbound:
    try:
        inbound = Inbound(services.converters[exchange.protocol], wire, tenant=key.name)
    except MalformedMessage as error:
        raise BadRequest(info=as_client_error(error)) from error
    model = exchange.model = inbound.peek.model
    if len(model) > MAX_MODEL:
        raise BadRequest(f"the model's name is longer than {MAX_MODEL} characters")
    exchange.is_stream = inbound.peek.stream != "no"
    exchange.strict = services.strict or key.strict or asked.is_strict
    if not key.allows(model):
        raise Forbidden(f"this key may not use the model {model[:200]!r}")
    return inbound


def report_headers(exchange: Exchange) -> Headers:
    """What every answer says about its way."""
    name = exchange.request_id
    headers: list[tuple[str, str]] = [("x-request-id", name)]
    if exchange.protocol == "anthropic":
        headers.append(("request-id", name))  # the only name its SDKs look at
    if exchange.attempts:
        calls = 0
        for attempt in exchange.attempts:
            calls += attempt.outcome != "refused"
        headers.append(("x-a2-attempts", str(calls)))
    target = exchange.target
    if target:
        headers.append(("x-a2-target", _printable(target)))
        conversion = _printable(_conversion(exchange)) if exchange.losses else exchange.conversion
        headers.append(("x-a2-conversion", conversion))
    if exchange.joined:
        headers.append(("x-a2-joined", "1"))
    if exchange.explain:
        headers.append(("x-a2-explain", _printable(_trail(exchange))))
    headers.extend(exchange.limit_headers)
    return tuple(headers)


def _conversion(exchange: Exchange) -> str:
    """`openai_chat>anthropic; carried=1; approximated=reasoning.effort; dropped=seed`."""
    features: dict[str, dict[str, None]] = {}
    carried = 0
    for loss in exchange.losses:
        if loss.act == "carried":
            carried += 1
        else:
            features.setdefault(loss.act, {})[loss.feature] = None
    entries = [exchange.conversion]
    if carried:
        entries.append(f"carried={carried}")
    entries.extend(f"{act}={','.join(names)}" for act, names in sorted(features.items()))
    return "; ".join(entries)


def _trail(exchange: Exchange) -> str:
    """Who was tried with which outcome in how long, what was waited for, then who was passed over and why."""
    tried = [_told(attempt) for attempt in exchange.attempts]
    waited = [f"waited {exchange.waited:.1f}s for a place"] if exchange.waited >= WORTH_TELLING else []
    names = {attempt.account for attempt in exchange.attempts}
    passed = [
        f"passed over {entry}" for entry in exchange.passed_over if entry.partition(":")[0] not in names
    ]
    return "; ".join((*tried, *waited, *passed))


def _told(attempt: Attempt) -> str:
    """`pool/account outcome`, whose fault it was, and how long it took where that is worth telling."""
    scope = f" ({attempt.scope})" if attempt.scope else ""
    took = attempt.ended - attempt.started
    lasting = f" after {took:.1f}s" if took >= WORTH_TELLING else ""
    return f"{attempt.pool}/{attempt.account} {attempt.outcome}{scope}{lasting}"


def _printable(text: str) -> str:
    """A legal header value of bounded length."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_REPORT:
        return text
    clean = "".join(char if " " <= char <= "~" else "?" for char in text)
    return clean if len(clean) <= MAX_REPORT else clean[: MAX_REPORT - 3] + "..."
