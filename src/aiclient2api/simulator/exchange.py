"""What a protocol gives the simulator: a checked request that can render any reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

import msgspec

from aiclient2api.simulator.brain import Reply
from aiclient2api.simulator.conversation import Conversation
from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.voices import Refused, Voice

EventPart = Literal["body", "usage", "end"]


class StreamEvent(msgspec.Struct, frozen=True):
    """One event as it goes over the wire; `end` events are what makes the answer complete."""

    data: bytes
    part: EventPart = "body"


class Exchange(ABC):
    """One request and the forms its answer can take."""

    stream_type = "text/event-stream; charset=utf-8"

    def __init__(self, conversation: Conversation, created: float, *, stream: bool) -> None:
        self.conversation = conversation
        self.created = created
        self.stream = stream

    @abstractmethod
    def unary(self, reply: Reply) -> bytes:
        """The answer in one piece."""

    @abstractmethod
    def events(self, reply: Reply) -> Iterator[StreamEvent]:
        """The answer event by event."""

    @property
    @abstractmethod
    def voice(self) -> Voice:
        """How the provider words its errors."""

    def failure(self, refused: Refused, request_id: str, sent: int) -> bytes:
        """The event with which a stream fails after `sent` events."""
        return self.voice.event(refused, request_id)

    def id(self, prefix: str, length: int = 24) -> str:
        """An id made of the request's own content."""
        return prefix + self.conversation.digest[:length]


def unnamed_event(data: Json) -> bytes:
    """An event with data only."""
    return b"data: " + dump(data) + b"\n\n"


def named_event(data: dict[str, Json]) -> bytes:
    """An event whose name is the `type` of its data."""
    return f"event: {data['type']}\ndata: ".encode() + dump(data) + b"\n\n"
