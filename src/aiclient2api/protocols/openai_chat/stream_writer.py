"""Writes the chunks of one candidate: constant bytes around the JSON of what changed."""

from __future__ import annotations

from aiclient2api.wire import json

EVENT_END = b"}\n\n"


class ChunkWriter:
    """`head` is everything of a chunk up to its choices; `tail` what follows them."""

    __slots__ = ("_content", "_finish", "_logprobs", "_open", "_rest", "_tail")

    def __init__(self, head: bytes, index: int, tail: bytes) -> None:
        self._open = head + b'{"index":%d,"delta":{' % index
        self._content = self._open + b'"content":'
        self._logprobs = b'},"logprobs":'
        self._finish = b',"finish_reason":'
        self._tail = b"}]" + tail
        self._rest = b'},"logprobs":null,"finish_reason":null' + self._tail

    def content(self, text: str) -> bytes:
        """A piece of text, by far the most frequent chunk."""
        return self._content + json.encode(text) + self._rest

    def members(self, delta: bytes) -> bytes:
        """A delta given as the bytes between its braces."""
        return self._open + delta + self._rest

    def delta(self, delta: dict[str, object]) -> bytes:
        """Any delta."""
        return self._open + json.encode(delta)[1:-1] + self._rest

    def logprobs(self, value: bytes) -> bytes:
        """Log-probabilities of the text before them."""
        return self._open + self._logprobs + value + self._finish + b"null" + self._tail

    def finish(self, word: str, delta: dict[str, object]) -> bytes:
        """The last chunk of the candidate."""
        body = json.encode(delta)[1:-1]
        return self._open + body + self._logprobs + b"null" + self._finish + json.encode(word) + self._tail
