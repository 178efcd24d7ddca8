"""Sends answers over a link, well-behaved or with the faults of a scenario."""

from __future__ import annotations

from collections.abc import Iterator

from aiclient2api.simulator.exchange import Exchange, StreamEvent
from aiclient2api.simulator.jsontext import dump
from aiclient2api.simulator.link import Headers, Link
from aiclient2api.simulator.scenario import Fault, Malformation
from aiclient2api.simulator.voices import Refused, Voice

NO_FAULT = Fault()

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_MESSAGES = {
    400: "Invalid request.",
    402: "Your credit balance is too low.",
    403: "You are not allowed to do this.",
    404: "Not found.",
    429: "Rate limit reached. Please slow down.",
    500: "Internal server error.",
    503: "The service is overloaded. Please try again later.",
    529: "Overloaded",
}


def refusal_of(fault: Fault, voice: Voice) -> Refused:
    """What a fault's status means in the provider's words."""
    status = fault.status or 500
    is_about_the_key = status == 401 or fault.code == "API_KEY_INVALID"
    usual = (
        voice.no_key("invalid").message
        if is_about_the_key
        else _MESSAGES.get(status, "Something went wrong.")
    )
    return Refused(fault.message or usual, status=status, code=fault.code)


async def send_fault(link: Link, fault: Fault, voice: Voice, request_id: str, *, in_array: bool) -> None:
    """The fault that is a whole answer: a status, a body, an HTML page or nothing."""
    headers: Headers = [(b"content-type", (fault.content_type or "application/json").encode())]
    headers.append((voice.request_id_header.encode(), request_id.encode()))
    if fault.retry_after is not None:
        headers.append((b"retry-after", f"{fault.retry_after:g}".encode()))
    headers.extend((name.lower().encode(), value.encode()) for name, value in fault.headers.items())
    if fault.empty:
        body = b""
    elif fault.html:
        body = _HTML
        headers[0] = (b"content-type", (fault.content_type or "text/html").encode())
    elif fault.body is not None:
        body = fault.body.encode() if isinstance(fault.body, str) else dump(fault.body)
    else:
        body = voice.body(refusal_of(fault, voice), request_id, fault.retry_after)
        body = b"[" + body + b"]" if in_array else body
    await link.answer(fault.status or 200, headers, body)


async def send_whole(link: Link, headers: Headers, body: bytes, fault: Fault) -> None:
    """An answer in one piece; faults that count events happen after half of it."""
    head = [*headers, (b"content-length", str(len(body)).encode())]
    if fault.cut_after_events is not None or fault.stall_after_events is not None:
        await link.start(200, head)
        await link.write(body[: len(body) // 2])
        await (link.cut() if fault.cut_after_events is not None else link.stall())
        return
    if fault.malformed_after_events is not None:
        body = _damaged(body, fault.malformed)
    await link.answer(200, headers, body)


class Player:
    """Plays one stream."""

    def __init__(self, link: Link, exchange: Exchange, request_id: str, fault: Fault) -> None:
        self._link = link
        self._exchange = exchange
        self._request_id = request_id
        self._fault = fault

    async def play(self, headers: Headers, events: Iterator[StreamEvent], interval: float) -> None:
        """All events in order, until a fault ends them."""
        await self._link.start(200, headers)
        sent = 0
        for event in events:
            if self._fault.no_terminal and event.part != "body":
                continue
            if sent:
                await self._link.pause(interval)
            if await self._is_over(sent, event):
                return
            await self._link.write(self._spoiled(sent, event.data))
            sent += 1
        if not await self._is_over(sent, None):
            await self._link.write(b"", last=True)

    async def _is_over(self, sent: int, event: StreamEvent | None) -> bool:
        """Whether a fault ends the stream before this event."""
        fault = self._fault
        if fault.stall_after_events == sent:
            await self._link.stall()
        if fault.cut_after_events == sent:
            await (self._link.reset() if fault.reset else self._link.cut())
            return True
        if fault.error_event_after_events == sent:
            status = Fault(status=fault.status or 529, code=fault.code, message=fault.message)
            failure = self._exchange.failure(refusal_of(status, self._exchange.voice), self._request_id, sent)
            await self._link.write(failure, last=True)
            return True
        if event is not None and fault.malformed_after_events == sent and fault.malformed == "half_event":
            await self._link.write(_damaged(event.data, "half_event"), last=True)
            return True
        return False

    def _spoiled(self, sent: int, data: bytes) -> bytes:
        return _damaged(data, self._fault.malformed) if self._fault.malformed_after_events == sent else data


def _damaged(data: bytes, how: Malformation) -> bytes:
    """Bytes no decoder can accept."""
    match how:
        case "half_event":
            return data[: len(data) // 2]
        case "broken_json":
            end = data.rindex(b"}") if b"}" in data else len(data) // 2
            return data[:end] + data[end + 1 :]
        case "invalid_utf8":
            place = data.rindex(b'"') if b'"' in data else len(data) // 2
            return data[:place] + b"\xff\xfe" + data[place:]
