"""Records what the gateway answers to an SDK, byte for byte, and repeats what it asked an upstream."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2

from aiclient2api.simulator.app import ReceivedRequest

_PER_CONNECTION = {"host", "content-length", "connection", "accept-encoding"}


class Recorded:
    """One answer of the gateway; `body` is complete once the SDK has read it."""

    def __init__(self, request: httpx2.Request, response: httpx2.Response) -> None:
        self.request = request
        self.status = response.status_code
        self.headers = response.headers
        self._chunks: list[bytes] = []

    @property
    def body(self) -> bytes:
        """What was read so far."""
        return b"".join(self._chunks)

    def keep(self, chunk: bytes) -> bytes:
        """Remember and pass on."""
        self._chunks.append(chunk)
        return chunk


class _Tee(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, recorded: Recorded) -> None:
        self._stream = stream
        self._recorded = recorded

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._recorded.keep(chunk)

    def close(self) -> None:
        self._stream.close()


class Tape(httpx2.BaseTransport):
    """An HTTP transport for SDKs that keeps every answer."""

    def __init__(self) -> None:
        self._inner = httpx2.HTTPTransport()
        self.answers: list[Recorded] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange."""
        response = self._inner.handle_request(request)
        recorded = Recorded(request, response)
        self.answers.append(recorded)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Tee(response.stream, recorded)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def repeat(http: httpx2.Client, url: str, received: ReceivedRequest) -> bytes:
    """The answer of the upstream at `url` to the same request: a simulator always gives the same."""
    headers = {name: value for name, value in received.headers.items() if name not in _PER_CONNECTION}
    address = f"{url}{received.path}" + (f"?{received.query}" if received.query else "")
    response = http.request(received.method, address, headers=headers, content=received.body)
    assert response.status_code == 200, response.text
    return response.content
