"""One candidate of a stream: which parts are open, and what each delta adds to them."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.events import Channel, StreamEvent
from aiclient2api.ir.parts import Inline, Media, Opaque, Part, Reasoning, Refusal, Text
from aiclient2api.protocols.openai_chat.decode_parts import decode_annotation
from aiclient2api.protocols.openai_chat.decode_response import (
    SPOKEN_MIME,
    decode_content_list,
    decode_image,
    finish_of,
)
from aiclient2api.protocols.openai_chat.logprobs import decode_logprobs, refusal_logprobs
from aiclient2api.protocols.openai_chat.reasoning import has_text
from aiclient2api.protocols.openai_chat.schema import NOTHING, AudioFragment, ChunkChoice, Delta
from aiclient2api.protocols.openai_chat.stream_decode_calls import CallsDecoder, decode_signature
from aiclient2api.protocols.openai_chat.stream_sink import PartSink
from aiclient2api.wire import json

_TEXT, _REASONING, _REFUSAL = Text(text=""), Reasoning(), Refusal()

_IN_PIECES = frozenset(("text", "summary", "data", "signature"))
"""Members of a reasoning detail that a server sends in pieces."""


class CandidateDecoder:
    """Turns the deltas of one candidate into events."""

    def __init__(self, index: int, response_id: str) -> None:
        self.finished = False
        self.text: int | None = None
        """The number of the text that is open, None while there is none."""
        self._refused_logprobs: Raw | None = None
        self._sink = PartSink(index)
        self._response_id = response_id
        self._calls: CallsDecoder | None = None
        self._kind: Part | None = None
        """The header of the text-like part that is open: a delta of another kind closes it."""
        self._number = 0
        self._signed = False
        self._detail: dict[str, object] = {}
        self._audio: int | None = None
        self._refused = False

    def feed(self, choice: ChunkChoice, events: list[StreamEvent]) -> None:
        """One choice of a chunk; whatever comes after the finish reason is ignored."""
        if self.finished:
            return
        self._sink.events = events
        delta = choice.delta
        if delta is None and choice.message not in NOTHING and not self._sink.has_begun:
            delta = json.decode(choice.message, Delta)
        if (
            delta is not None
            and not isinstance(delta.content, list)
            and delta == Delta(content=delta.content)
        ):
            if delta.content:
                self._piece(_TEXT, "text", delta.content)
            delta = None
        if delta is not None:
            self._text_like(delta)
        if choice.logprobs not in NOTHING:
            self._logprobs(choice.logprobs)
        if delta is not None:
            self._others(delta)
        if choice.finish_reason:
            self._finish(choice.finish_reason)

    def _text_like(self, delta: Delta) -> None:
        """What a model produces first: thinking, text, refusal."""
        if delta.reasoning_details:
            self._details(delta.reasoning_details, delta.reasoning_content or delta.reasoning)
        else:
            self._piece(_REASONING, "raw", delta.reasoning_content or delta.reasoning)
        if isinstance(delta.content, list):
            for part in decode_content_list(delta.content, "choices.delta.content"):
                if isinstance(part, Text):
                    self._piece(_TEXT, "text", part.text)
                else:
                    self._piece(_REASONING, "raw", "".join(part.raw))
        else:
            self._piece(_TEXT, "text", delta.content)
        if delta.refusal:
            self._refused = True
            self._piece(_REFUSAL, "refusal", delta.refusal)

    def _others(self, delta: Delta) -> None:
        for annotation in delta.annotations or ():
            if self._kind is _TEXT:
                citation = decode_annotation(annotation, "choices.delta.annotations")
                self._sink.value(self._number, "citation", citation)
        if delta.extra_content not in NOTHING:
            self._sign(decode_signature(delta.extra_content))
        if delta.tool_calls or delta.function_call is not None:
            self._close()
        for raw in delta.tool_calls or ():
            self._called.fragment(raw)
        if delta.function_call is not None:
            self._called.legacy(delta.function_call)
        if delta.audio is not None:
            self._speech(delta.audio)
        for raw in delta.images or ():
            image = decode_image(raw, "choices.delta.images")
            if image is not None:
                self._close()
                self._sink.end(self._sink.start(image))

    @property
    def _called(self) -> CallsDecoder:
        if self._calls is None:
            self._calls = CallsDecoder(self._sink, self._response_id)
        return self._calls

    def _finish(self, word: str) -> None:
        self.finished = True
        self._close()
        calls = self._calls
        if calls is not None:
            calls.close()
        if self._audio is not None:
            self._sink.end(self._audio)
        finish = finish_of(word, calls is not None and calls.any, self._refused, self._refused_logprobs)
        assert finish is not None
        self._sink.finish(finish)

    def _open(self, header: Part) -> None:
        self._close()
        self._number = self._sink.start(header)
        self._kind, self._signed = header, False
        self.text = self._number if header is _TEXT else None

    def _close(self) -> None:
        if self._kind is None:
            return
        if self._detail:
            entry = json.encode(self._detail).decode()
            self._sink.value(self._number, "opaque", Opaque("openai_chat.details", entry))
            self._detail = {}
        self._sink.end(self._number)
        self._kind = self.text = None

    def _piece(self, header: Text | Reasoning | Refusal, channel: Channel, text: str | None) -> None:
        """A piece of text-like content."""
        if not text:
            return
        if self._kind is not header:
            self._open(header)
        self._sink.delta(self._number, text, channel)

    def _logprobs(self, raw: Raw) -> None:
        tokens = decode_logprobs(raw, "choices.logprobs")
        if tokens and self._kind is _TEXT:
            self._sink.value(self._number, "logprobs", tokens)
        elif not tokens:
            self._refused_logprobs = refusal_logprobs(raw, "choices.logprobs") or self._refused_logprobs

    def _details(self, entries: list[Raw], plain: str | None) -> None:
        """`reasoning_details`: entries of one index are pieces of one thought, which goes back as a whole."""
        if not any(has_text(entry) for entry in entries):
            self._piece(_REASONING, "raw", plain)
        for raw in entries:
            entry = json.decode(raw, dict[str, object], "choices.delta.reasoning_details")
            is_next = bool(self._detail) and self._detail.get("index") != entry.get("index")
            if self._kind is not _REASONING or is_next:
                self._open(_REASONING)
            for key, value in entry.items():
                known = self._detail.get(key)
                if key in _IN_PIECES and isinstance(known, str) and isinstance(value, str):
                    self._detail[key] = known + value
                elif value is not None or key not in self._detail:
                    self._detail[key] = value
            summary, text = entry.get("summary"), entry.get("text")
            if isinstance(summary, str) and summary:
                self._piece(_REASONING, "summary", summary)
            elif isinstance(text, str):
                self._piece(_REASONING, "raw", text)

    def _sign(self, opaque: Opaque | None) -> None:
        """A signature belongs to the open text, or stands alone on an empty one."""
        if opaque is None:
            return
        if self._kind is _TEXT and not self._signed:
            self._signed = True
            self._sink.value(self._number, "opaque", opaque)
            return
        self._close()
        self._sink.end(self._sink.start(Text(text="", opaque=opaque)))

    def _speech(self, audio: AudioFragment) -> None:
        if self._audio is None:
            self._close()
            source = Inline(SPOKEN_MIME, "")
            self._audio = self._sink.start(Media(kind="audio", id=audio.id, source=source))
        if audio.data:
            self._sink.delta(self._audio, audio.data, "audio")
        if audio.transcript:
            self._sink.delta(self._audio, audio.transcript, "transcript")
