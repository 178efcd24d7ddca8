"""What a client sent back in envelopes, put back to where it belongs before an upstream sees the request."""

from __future__ import annotations

from typing import Final

import msgspec

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Part, Reasoning, Shape, Text
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.carrier import Carrier, Sealed, is_envelope

_MISSING: Final = "its part is missing"


def open_request(request: ModelRequest, carrier: Carrier, tenant: str) -> tuple[ModelRequest, list[Loss]]:
    """The request with every envelope replaced by what it holds."""
    losses: list[Loss] = []
    turns = [
        _open_turn(turn, f"turns[{index}]", carrier, tenant, losses) if turn.role == "assistant" else turn
        for index, turn in enumerate(request.turns)
    ]
    return msgspec.structs.replace(request, turns=turns), losses


def _open_turn(turn: Turn, path: str, carrier: Carrier, tenant: str, losses: list[Loss]) -> Turn:
    if not any(is_envelope(part.opaque) for part in turn.parts):
        return turn
    opened = _Opened(losses)
    for index, part in enumerate(turn.parts):
        here = f"{path}.parts[{index}]"
        sealed: Sealed | None = None
        if part.opaque is not None and is_envelope(part.opaque):
            sealed = carrier.open(part.opaque.data, tenant)
            if sealed is None:
                losses.append(_lost("reasoning.opaque", here, "unverified"))
                part = msgspec.structs.replace(part, opaque=None)
                if isinstance(part, Reasoning) and not (part.summary or part.raw):
                    continue
        if sealed is None:
            opened.plain(part)
        else:
            opened.envelope(part, sealed, here)
    return msgspec.structs.replace(turn, parts=opened.closed())


class _Opened:
    """The parts of one turn so far, and what waits for the next of them."""

    def __init__(self, losses: list[Loss]) -> None:
        self._losses = losses
        self._parts: list[Part] = []
        self._waiting: list[tuple[str, Sealed]] = []
        self._cited: set[int] = set()
        """The texts whose citations were put back: a client may have joined several, each with its own."""

    def plain(self, part: Part) -> None:
        """A part without an envelope."""
        for path, sealed in self._waiting:
            part = self._joined(part, len(self._parts), sealed, path)
        self._waiting = []
        self._parts.append(part)

    def envelope(self, part: Part, sealed: Sealed, path: str) -> None:
        """A part that carries one."""
        match sealed.placement:
            case "self":
                _put_back(part, sealed.part, self._parts)
            case "next":
                self._waiting.append((path, sealed))
            case "prev":
                self._behind(sealed, path)
            case "value":
                self.plain(msgspec.structs.replace(part, opaque=sealed.opaque))

    def closed(self) -> list[Part]:
        """The parts; what still waits has lost its part."""
        for path, sealed in self._waiting:
            self._losses.append(_lost(_feature(sealed), path, _MISSING))
        return self._parts

    def _behind(self, sealed: Sealed, path: str) -> None:
        """Citations belong to the texts before them; a client may have joined these, or tell thoughts first."""
        if not sealed.citations:
            if self._parts:
                self._parts[-1] = msgspec.structs.replace(self._parts[-1], opaque=sealed.opaque)
            else:
                self._losses.append(_lost("reasoning.opaque", path, _MISSING))
            return
        texts = [index for index, part in enumerate(self._parts) if isinstance(part, Text)]
        run = texts[-len(sealed.citations) :]
        if len(run) == len(sealed.citations) and run[-1] - run[0] < len(run):
            for index, cited in zip(run, sealed.citations, strict=True):
                if cited:
                    one = msgspec.structs.replace(sealed, citations=[cited])
                    self._parts[index] = self._joined(self._parts[index], index, one, path)
            return
        if texts:
            self._parts[texts[-1]] = self._joined(self._parts[texts[-1]], texts[-1], sealed, path)
            return
        self._waiting.append((path, sealed))

    def _joined(self, part: Part, index: int, sealed: Sealed, path: str) -> Part:
        if sealed.opaque is not None:
            return msgspec.structs.replace(part, opaque=sealed.opaque)
        if not isinstance(part, Text):
            self._losses.append(_lost(_feature(sealed), path, _MISSING))
            return part
        if sealed.phase is not None:
            return msgspec.structs.replace(part, phase=sealed.phase)
        told = [source.citation() for cited in sealed.citations for source in cited]
        before = part.citations if index in self._cited else []
        self._cited.add(index)
        return msgspec.structs.replace(part, citations=[*before, *told])


def _feature(sealed: Sealed) -> str:
    if sealed.phase is not None:
        return "message.phase"
    return "citation" if sealed.citations else "reasoning.opaque"


def _lost(feature: str, path: str, note: str) -> Loss:
    return Loss(feature, path, "dropped", note=note)


def _put_back(carrying: Part, original: Part | None, out: list[Part]) -> None:
    """Put a sealed part where its envelope stood."""
    if original is None:
        return
    if not isinstance(carrying, Reasoning):
        if not isinstance(carrying, Text) or carrying.text:
            out.append(msgspec.structs.replace(carrying, opaque=None))
        out.append(original)
        return
    if isinstance(original, Reasoning):
        _absorb(carrying, original, out)
    if carrying.new_item:
        original = msgspec.structs.replace(original, new_item=True)
    out.append(original)


def _absorb(carrying: Reasoning, original: Reasoning, out: list[Part]) -> None:
    """Remove the fragments of the same thought that a client echoed as parts of their own."""
    text = "".join((*original.summary, *original.raw))
    seen = "".join((*carrying.summary, *carrying.raw))
    start = len(out)
    while start and seen != text:
        before = out[start - 1]
        if not isinstance(before, Reasoning) or before.opaque is not None:
            return
        seen = "".join((*before.summary, *before.raw)) + seen
        start -= 1
    if seen == text:
        del out[start:]


def join_continued(request: ModelRequest) -> ModelRequest:
    """Join text that a client echoed in pieces (`Shape.CONTINUES`), as the model wrote it."""
    if not any(part.shape & Shape.CONTINUES for turn in request.turns for part in turn.parts):
        return request
    turns: list[Turn] = []
    for turn in request.turns:
        parts: list[Part] = []
        for part in turn.parts:
            last = parts[-1] if parts else None
            if (
                isinstance(part, Text)
                and part.shape & Shape.CONTINUES
                and isinstance(last, Text)
                and not last.opaque
            ):
                parts[-1] = msgspec.structs.replace(last, text=last.text + part.text, opaque=part.opaque)
            elif isinstance(part, Reasoning) and part.shape & Shape.CONTINUES and _is_unsigned(last):
                assert isinstance(last, Reasoning)
                joined = ["".join((*last.summary, *part.summary))]
                parts[-1] = msgspec.structs.replace(last, summary=joined, opaque=part.opaque)
            else:
                parts.append(part)
        turns.append(msgspec.structs.replace(turn, parts=parts))
    return msgspec.structs.replace(request, turns=turns)


def _is_unsigned(part: Part | None) -> bool:
    return isinstance(part, Reasoning) and part.opaque is None
