"""The raw client: one request on a socket of its own, and what came back, byte for byte."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct

from tests.faults.voices import CHAT, MESSAGES, RESPONSES

PATIENCE = 20.0
"""Seconds after which an answer counts as hung."""
TOOL_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


class Question(Struct, frozen=True, kw_only=True):
    """What is asked."""

    protocol: str
    model: str
    nonce: str
    stream: bool
    padding: int = 0
    tools: bool = False

    @property
    def prompt(self) -> str:
        """The text; the nonce in it comes back in the answer."""
        return f"Hello {self.nonce}{' and so on' * (self.padding // 10)}"


class Seen(Struct, kw_only=True):
    """What came back. `complete` says that the HTTP message ended as it should."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    complete: bool = False
    hung: bool = False
    seconds: float = 0.0
    first: float | None = None
    """Seconds until the first content."""


def request_bytes(question: Question, url: str, key: str, headers: tuple[str, ...] = ()) -> bytes:
    """The HTTP request."""
    path, body = _written(question)
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {urlsplit(url).netloc}",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _written(question: Question) -> tuple[str, bytes]:
    prompt, model, stream = question.prompt, question.model, question.stream
    said = [{"role": "user", "content": prompt}]
    match question.protocol:
        case "openai_chat":
            function = {"name": "f", "parameters": TOOL_SCHEMA}
            tools = {"tools": [{"type": "function", "function": function}]} if question.tools else {}
            path, tree = "/v1/chat/completions", {"model": model, "messages": said, "stream": stream, **tools}
        case "openai_responses":
            function = {"type": "function", "name": "f", "parameters": TOOL_SCHEMA, "strict": False}
            tools = {"tools": [function]} if question.tools else {}
            path, tree = "/v1/responses", {"model": model, "input": prompt, "stream": stream, **tools}
        case "anthropic":
            tools = {"tools": [{"name": "f", "input_schema": TOOL_SCHEMA}]} if question.tools else {}
            tree = {"model": model, "max_tokens": 100, "messages": said, "stream": stream, **tools}
            path = "/v1/messages"
        case _:
            declared = [{"name": "f", "parametersJsonSchema": TOOL_SCHEMA}]
            tools = {"tools": [{"functionDeclarations": declared}]} if question.tools else {}
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            path = f"/v1beta/models/{model}:{method}"
            tree = {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **tools}
    return path, json.dumps(tree).encode()


async def ask(
    question: Question, url: str, key: str, released: Callable[[str], None], headers: tuple[str, ...] = ()
) -> Seen:
    """Ask once; `released` is called when the first content has come."""
    seen = Seen()
    began = time.monotonic()
    data = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            address = urlsplit(url)
            reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**24)
            try:
                writer.write(request_bytes(question, url, key, headers))
                while piece := await reader.read(65_536):
                    data += piece
                    if seen.first is None and question.nonce.encode() in data:
                        seen.first = time.monotonic() - began
                        released(question.nonce)
            finally:
                writer.transport.abort()
    except TimeoutError:
        seen.hung = True
    except ConnectionError:
        pass  # what came before is what counts
    seen.seconds = time.monotonic() - began
    read_http(bytes(data), seen)
    return seen


def read_http(data: bytes, seen: Seen) -> None:
    """Take an HTTP answer apart."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return
    first, *lines = head.decode("latin-1").split("\r\n")
    seen.status = int(first.split(" ")[1])
    seen.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" in seen.headers:
        length = int(seen.headers["content-length"])
        seen.body, seen.complete = rest[:length], len(rest) == length
    else:
        seen.body, seen.complete = _dechunked(rest)


def _dechunked(rest: bytes) -> tuple[bytes, bool]:
    """The body so far, and whether its last chunk has come."""
    parts: list[bytes] = []
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return b"".join(parts), False
        size = int(line, 16)
        if size == 0:
            return b"".join(parts), rest == b"\r\n"
        parts.append(rest[:size])
        if len(rest) < size + 2:
            return b"".join(parts), False
        rest = rest[size + 2 :]


class Told(Struct, kw_only=True):
    """What an answer says, whatever the protocol. `ends` counts its terminals."""

    text: str = ""
    ends: int = 0
    error: dict[str, object] | None = None
    error_is_last: bool = False
    problems: list[str] = []


def told(protocol: str, seen: Seen, *, stream: bool) -> Told:
    """Read a body of status 200."""
    found = Told(problems=[])
    if not stream:
        try:
            _read_whole(protocol, json.loads(seen.body), found)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            found.problems.append(f"unreadable: {error!r}")
        return found
    for block in seen.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        _read_block(protocol, block, found)
    return found


def _read_block(protocol: str, block: bytes, found: Told) -> None:
    lines = block.strip(b"\n").split(b"\n")
    data = b"\n".join(line[5:].lstrip() for line in lines if line.startswith(b"data:"))
    if not data:
        return
    name = next((line[6:].strip().decode() for line in lines if line.startswith(b"event:")), "")
    found.error_is_last = False
    if data == b"[DONE]":
        found.ends += 1
        return
    try:
        tree = json.loads(data)
    except ValueError:
        found.problems.append(f"half an event: {data[:60]!r}")
        return
    _read_event(protocol, name, tree, found)


def _read_event(protocol: str, name: str, tree: dict[str, object], found: Told) -> None:
    event: dict = tree  # pyright: ignore[reportMissingTypeArgument,reportUnknownVariableType]
    if "error" in event and protocol in (CHAT, "gemini"):
        found.error, found.error_is_last = event["error"], True
    elif protocol == CHAT:
        for choice in event.get("choices") or ():
            found.text += choice.get("delta", {}).get("content") or ""
    elif protocol == RESPONSES:
        if name != event.get("type"):
            found.problems.append(f"event {name!r} is of type {event.get('type')!r}")
        if name == "response.output_text.delta":
            found.text += event["delta"]
        elif name in ("response.completed", "response.incomplete"):
            found.ends += 1
        elif name in ("response.failed", "error"):
            found.error, found.error_is_last = (event.get("response") or {}).get("error") or event, True
    elif protocol == MESSAGES:
        if name == "error":
            found.error, found.error_is_last = event["error"], True
        elif name == "content_block_delta":
            found.text += event["delta"].get("text", "")
        elif name == "message_stop":
            found.ends += 1
    else:
        for candidate in event.get("candidates") or ():
            parts = candidate.get("content", {}).get("parts") or ()
            found.text += "".join(part.get("text", "") for part in parts)
            found.ends += bool(candidate.get("finishReason"))


def _read_whole(protocol: str, tree: dict[str, object], found: Told) -> None:
    body: dict = tree  # pyright: ignore[reportMissingTypeArgument,reportUnknownVariableType]
    match protocol:
        case "openai_chat":
            found.text = body["choices"][0]["message"]["content"] or ""
            found.ends = bool(body["choices"][0]["finish_reason"])
        case "openai_responses":
            items = [item for item in body["output"] if item["type"] == "message"]
            found.text = "".join(part["text"] for item in items for part in item["content"])
            found.ends = body["status"] == "completed"
        case "anthropic":
            found.text = "".join(block.get("text", "") for block in body["content"])
            found.ends = bool(body["stop_reason"])
        case _:
            parts = body["candidates"][0].get("content", {}).get("parts") or ()
            found.text = "".join(part.get("text", "") for part in parts)
            found.ends = bool(body["candidates"][0]["finishReason"])
