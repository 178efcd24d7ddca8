"""What is measured: one row of the table each."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

CHAT, CLAUDE = "/v1/chat/completions", "/v1/messages"
MODEL: Final = "gpt-4o"
"""A name that every gateway knows; what the upstream answers is told by the first message."""


class Scenario(NamedTuple):
    """`events` per stream, 0 for unary calls. `answer` is what the upstream is asked for; see `bench.upstream`."""

    name: str
    answer: str
    connections: int
    events: int = 0
    converts: bool = False
    kilobytes: int = 0
    """Of history beside the first message."""
    image: bool = False
    """The history is one image."""
    seconds: float = 4.0

    @property
    def path(self) -> str:
        """Chat is what the upstream speaks; Claude's Messages are converted to it."""
        return CLAUDE if self.converts else CHAT

    @property
    def is_paced(self) -> bool:
        """Whether the events carry the time of their writing."""
        return self.answer.startswith("paced")

    def body(self, prefix: str) -> str:
        """The request's JSON. `prefix` stands before the model's name."""
        document: dict[str, object] = {"model": f"{prefix}{MODEL}"}
        if self.converts:
            document["max_tokens"] = 99
        if self.events:
            document["stream"] = True
        first = {"role": "user", "content": f"bench:{self.answer} Say hello."}
        document["messages"] = [first, *self._history()]
        return json.dumps(document, separators=(",", ":"))

    def _history(self) -> list[dict[str, object]]:
        if not self.kilobytes:
            return []
        if self.image:
            data = "QUJD" * (self.kilobytes * 256)
            url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
            source = {"type": "base64", "media_type": "image/png", "data": data}
            part = {"type": "image", "source": source} if self.converts else url
            return [{"role": "assistant", "content": "And?"}, {"role": "user", "content": [part]}]
        turns = ("assistant", "user")
        text = "All work and no play makes Jack a dull boy. " * 23
        return [{"role": turns[number % 2], "content": text} for number in range(self.kilobytes & ~1)]


def _paced(streams: int, events: int, milliseconds: int, *, converts: bool) -> Scenario:
    name = f"{streams} paced, {1000 // milliseconds}/s, " + ("converted" if converts else "relay")
    return Scenario(name, f"paced-{events}-{milliseconds}", streams, events, converts)


SCENARIOS: Final = [
    # the first: what later ones leave behind in the allocator would hide what a stream takes
    Scenario("1000 idle streams", "paced-2-4000", 1000, 2, converts=True),
    Scenario("unary relay", "unary", 16),
    Scenario("unary converted", "unary", 16, converts=True),
    Scenario("burst relay", "burst-200", 400, 203),
    Scenario("burst converted", "burst-200", 400, 203, converts=True),
    _paced(500, 100, 50, converts=False),
    _paced(500, 100, 50, converts=True),
    _paced(1000, 100, 50, converts=False),
    _paced(1000, 100, 50, converts=True),
    _paced(2000, 100, 50, converts=True),
    _paced(512, 64, 20, converts=True),
    Scenario("1 MB history relay", "unary", 4, kilobytes=1024),
    Scenario("1 MB history converted", "unary", 4, converts=True, kilobytes=1024),
    Scenario("20 MB image relay", "unary", 1, kilobytes=20 * 1024, image=True),
    Scenario("20 MB image converted", "unary", 1, converts=True, kilobytes=20 * 1024, image=True),
]
