"""An upstream's stream through the IR: to a client's stream, or folded into one answer for a unary client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    Failure,
    PartDelta,
    PartStart,
    ResponseEnd,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import Folder
from aiclient2api.protocols.base import StreamDecoder, StreamEncoder
from aiclient2api.protocols.conversion import Answer
from aiclient2api.protocols.event_stream import EventStream
from aiclient2api.wire.frames import Frame

if TYPE_CHECKING:
    from aiclient2api.protocols.pivot import PivotConversion


_MoreText = Callable[[int, int], Callable[[str], bytes] | None]


class PivotStream(EventStream):
    """An upstream's frames to the client's stream; at its end the answer's own losses are added to `losses`."""

    __slots__ = (
        "_encoder",
        "_shorter",
    )

    def __init__(self, decoder: StreamDecoder, conversion: PivotConversion, encoder: StreamEncoder) -> None:
        super().__init__(decoder, conversion)
        self._encoder = encoder
        self._shorter: _MoreText | None = getattr(encoder, "more_text", None)
        """See TextEncoder: not every encoder is one."""

    def fail(self, error: ErrorInfo) -> bytes:
        """See AnswerStream."""
        self._run = None
        self._tell_losses()
        return self._encoder.fail(error)

    def _told(self, events: list[StreamEvent]) -> bytes:
        """What our encoder cannot write is no fault of the upstream: `failure` says so, what came before is kept."""
        was_over = self.ended
        out: list[bytes] = []
        try:
            for event in events:
                if self.ended or self.failure is not None:
                    break
                for told in self._WAYS[type(event)](self, event):
                    out.append(self._encoder.feed(told))
        except MalformedMessage as error:
            self._cut_short(error)
        if self.ended and not was_over:
            self._tell_losses()
        return b"".join(out)

    def _catch_up(self, told: Sequence[StreamEvent]) -> None:
        """The client has it already."""

    def _more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        return self._shorter(candidate, number) if self._shorter is not None else None

    def feed_all(self, frames: list[Frame], out: list[bytes]) -> None:
        """See BatchStream."""
        at, count, more = 0, len(frames), self._next_texts
        while at < count and not self.ended and self.failure is None:
            run = self._run
            texts = more(frames[at:]) if run is not None and more is not None else None
            if run is not None and texts:
                at += len(texts)
                run.length += len("".join(texts))
                write = run.write
                out += [write(text) or b"" for text in texts]
                continue
            frame = frames[at]
            at += 1
            out.append(self.feed(frame) if more is None else self._take(self._decoder.feed(frame)))

    def _tell_losses(self) -> None:
        self._conversion.losses.extend((*self._answer_losses, *self._encoder.losses))

    def ping(self) -> bytes:
        """See AnswerStream."""
        return self._encoder.ping()


class FoldingStream(EventStream):
    """An upstream's frames collected into one answer, for a unary client, who gets nothing before it."""

    __slots__ = (
        "_folder",
        "_pieces",
    )

    def __init__(self, decoder: StreamDecoder, conversion: PivotConversion) -> None:
        super().__init__(decoder, conversion)
        self._pieces: list[str] = []
        """Of an answer that is a plain text; any other has a folder."""
        self._folder: Folder | None = None

    def _told(self, events: list[StreamEvent]) -> bytes:
        ways = self._WAYS
        for event in events:
            if self.ended or self.failure is not None:
                break
            told = ways[type(event)](self, event)
            if self._folder is not None:
                for each in told:
                    self._folder.feed(each)
            elif type(event) is PartDelta:
                self._pieces.append(event.text)
        return b""

    def feed_all(self, frames: list[Frame], out: list[bytes]) -> None:
        """See BatchStream: nothing is written, so that the events of all frames are told together."""
        decoder, more = self._decoder, self._next_texts
        events: list[StreamEvent] = []
        at, count = self._more_of_run(frames), len(frames)
        try:
            while at < count:
                decoded = decoder.feed(frames[at])
                at += 1
                if not decoded:
                    continue
                events += decoded
                last = decoded[-1]
                if type(last) is PartDelta:
                    if last.channel == "text" and more is not None and at < count:
                        texts = more(frames[at:])
                        at += len(texts)
                        if texts:
                            text = "".join(texts)
                            events.append(PartDelta(last.number, text, "text", 0, None, last.candidate))
                elif type(last) is ResponseEnd or type(last) is Failure:
                    break
        finally:
            self._take(events)

    def _more_of_run(self, frames: list[Frame]) -> int:
        """How many of the frames only add to the text that the read before ended with."""
        run = self._run
        if run is None or self._next_texts is None:
            return 0
        texts = self._next_texts(frames)
        text = "".join(texts)
        run.length += len(text)
        run.write(text)
        return len(texts)

    def _catch_up(self, told: Sequence[StreamEvent]) -> None:
        folder = self._folder = Folder(self._conversion.upstream.name)
        for event in told:
            folder.feed(event)
            if type(event) is PartStart and self._pieces:
                folder.feed(PartDelta(event.number, "".join(self._pieces)))
        if self.usage is not None:
            folder.feed(UsageReport(self.usage))

    def _more_text(self, candidate: int, number: int) -> Callable[[str], None]:
        return self._pieces.append if self._folder is None else self._folder.more_text(candidate, number)

    def fail(self, error: ErrorInfo) -> bytes:
        """A unary client gets a plain error answer instead."""
        return b""

    def ping(self) -> bytes:
        """A unary client gets nothing before the answer."""
        return b""

    def answer(self) -> Answer:
        """The whole answer, once `ended`."""
        conversion, plain = self._conversion, self._plain
        if self._folder is not None:
            response = self._folder.response()
        else:
            assert plain is not None, "an answer that is not plain has a folder"
            response = plain.response(conversion.upstream.name, self._pieces, self.usage)
        return conversion.answer(response, self._answer_losses)
