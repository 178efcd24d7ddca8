"""One candidate of a stream to a client: what has been said, and what waits for the end of its part."""

from __future__ import annotations

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart
from aiclient2api.ir.parts import (
    Citation,
    Control,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.response import Finish
from aiclient2api.protocols import data_url
from aiclient2api.protocols.openai_chat import extra_content
from aiclient2api.protocols.openai_chat.encode_parts import Wire
from aiclient2api.protocols.openai_chat.encode_response import (
    ClientView,
    encode_annotation,
    encode_audio,
    encode_image,
    refusal_text,
)
from aiclient2api.protocols.openai_chat.logprobs import encode_logprobs
from aiclient2api.protocols.openai_chat.stream_encode_calls import CallsEncoder
from aiclient2api.protocols.openai_chat.stream_encode_thoughts import ThoughtsEncoder
from aiclient2api.protocols.openai_chat.stream_writer import ChunkWriter
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json


class _Open:
    """A part that is open and has something to say at its end."""

    __slots__ = ("citations", "part", "pieces", "start", "transcript")

    def __init__(self, part: Part, start: int) -> None:
        self.part = part
        self.start = start
        self.citations: list[Citation] = []
        self.pieces: list[str] = []
        self.transcript: list[str] = []


class CandidateEncoder:
    """Writes the chunks of one candidate."""

    def __init__(self, writer: ChunkWriter, client: ClientView, report: LossReport) -> None:
        self.finished = False
        self._writer = writer
        self._client = client
        self._report = report
        self._letters: list[str] = []
        self._calls = CallsEncoder(writer, client, report, self._letters)
        self._thoughts = ThoughtsEncoder(writer, self._letters)
        self._parts: dict[int, _Open] = {}
        self._length = 0
        self._opaque: Opaque | None = None
        self._refused = False
        self._annotations = 0
        self._images = 0

    def role(self) -> bytes:
        """The first chunk. The role goes out once: the SDK would concatenate a second one."""
        return self._writer.delta({"role": "assistant", "content": ""})

    def start(self, event: PartStart) -> bytes:
        """A part begins."""
        part, number = event.part, event.number
        self._parts[number] = _Open(part, self._length)
        match part:
            case Text():
                self._report.phase(part, "response")
                if part.opaque is not None:
                    self._sign_text(part.opaque)
                return self.text(part.text)
            case Reasoning():
                self._thoughts.start(number, part)
            case ToolCall():
                return self._calls.start(number, part)
            case Refusal():
                return self._refusal(part.text)
            case Media(kind="image"):
                return self._image(part)
            case Media():
                pass
            case Control(kind=kind):
                self._report.dropped(f"control.{kind}", "response")
            case HostedCall() | Native() | ToolResult():
                self._report.dropped("tool.hosted", "response")
        return b""

    def delta(self, event: PartDelta) -> bytes:
        """A piece of a part."""
        match event.channel:
            case "text":
                return self.text(event.text)
            case "arguments":
                return self._calls.arguments(event.number, event.text)
            case "summary" | "raw":
                return self._thoughts.text(event.number, event.text, (event.channel, event.index))
            case "refusal":
                return self._refusal(event.text)
            case "audio":
                self._parts[event.number].pieces.append(event.text)
            case "transcript":
                self._parts[event.number].transcript.append(event.text)
            case "citation" | "logprobs" | "opaque":
                return self._value(event)
        return b""

    def end(self, event: PartEnd) -> bytes:
        """A part is complete."""
        state = self._parts.pop(event.number)
        match state.part:
            case Text():
                return self._cite(state)
            case Reasoning():
                return self._thoughts.end(event.number, event.part.opaque if event.part else None)
            case ToolCall():
                return self._calls.end(event.number, cut=event.cut)
            case Media(kind="audio"):
                return self._audio(state.part, state)
            case _:
                return b""

    def finish(self, finish: Finish) -> bytes:
        """The candidate is complete."""
        self.finished = True
        known: Wire = extra_content.signature(self._opaque) if self._opaque is not None else {}
        order = extra_content.skeleton(self._letters)
        if order is not None:
            self._report.approximated("part.order", "response", "carried in extra_content")
            known["gateway"] = {"order": order}
        if finish.stop_sequence is not None:
            self._report.dropped("finish.stop_sequence", "response")
        last: Wire = {}
        told = refusal_text(finish) if finish.reason == "refusal" and not self._refused else ""
        if told:
            last["refusal"] = told
        self._report.finish_details(finish, "response", told)
        before = self._writer.delta({"extra_content": known}) if known else b""
        return before + self._writer.finish(self._client.finish_word(finish), last)

    def text(self, text: str) -> bytes:
        """A piece of text; a message has one, whichever part it belongs to."""
        if not text:
            return b""
        self._length += len(text)
        if not self._letters or self._letters[-1] != "t":
            self._mark_text()
        return self._writer.content(text)

    def _mark_text(self) -> None:
        if "t" not in self._letters:
            self._letters.append("t")
        else:
            self._report.approximated("part.order", "response", "text is joined")

    def _refusal(self, text: str) -> bytes:
        self._refused = self._refused or bool(text)
        return self._writer.members(b'"refusal":' + json.encode(text)) if text else b""

    def _value(self, event: PartDelta) -> bytes:
        match event.value:
            case Citation() as citation:
                self._parts[event.number].citations.append(citation)
            case list() as tokens:
                return self._writer.logprobs(encode_logprobs(tokens))
            case Opaque() as opaque:
                return self._sign(event.number, opaque)
            case None:
                pass
        return b""

    def _sign(self, number: int, opaque: Opaque) -> bytes:
        match self._parts[number].part:
            case Reasoning():
                self._thoughts.sign(number, opaque)
            case ToolCall():
                return self._calls.sign(number, opaque)
            case Text():
                self._sign_text(opaque)
            case _:
                self._report.dropped("reasoning.opaque", "response")
        return b""

    def _sign_text(self, opaque: Opaque) -> None:
        """A message has one signature; it goes out before the end, in one piece."""
        if self._opaque is not None:
            self._report.dropped("reasoning.opaque", "response", "only one text can be signed")
        if "t" not in self._letters:
            self._letters.append("t")
        self._opaque = opaque

    def _cite(self, state: _Open) -> bytes:
        annotations: list[Wire] = []
        for citation in state.citations:
            self._report.quote(citation, "response")
            annotation = encode_annotation(citation, state.start, self._length)
            if annotation is None:
                self._report.dropped("citation", "response")
                continue
            # every entry of a list in a delta needs an index
            annotations.append({"index": self._annotations} | annotation)
            self._annotations += 1
        return self._writer.delta({"annotations": annotations}) if annotations else b""

    def _image(self, media: Media) -> bytes:
        source = media.source
        if media.thought or not isinstance(source, Inline | Url):
            self._report.dropped("media.image", "response")
            return b""
        self._report.approximated("media.image", "response", "in the extension `images`")
        url = data_url.build(source) if isinstance(source, Inline) else source.url
        self._images += 1
        return self._writer.delta({"images": [encode_image(url, self._images - 1)]})

    def _audio(self, media: Media, state: _Open) -> bytes:
        data = media.source.data if isinstance(media.source, Inline) else ""
        spoken = encode_audio(media, data + "".join(state.pieces))
        if state.transcript:
            spoken["transcript"] = "".join([media.transcript or "", *state.transcript])
        return self._writer.delta({"audio": spoken})
