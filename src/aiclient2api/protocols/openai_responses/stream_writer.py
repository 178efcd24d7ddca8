"""Numbered, framed events, and what the writer of a part has to offer."""

from __future__ import annotations

from typing import Final, Protocol

from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.parts import Part
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_EVENT: Final = b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'


class EventWriter:
    """Writes the events of one stream. Losses go to `report`."""

    __slots__ = ("_sequence", "report")

    def __init__(self, report: LossReport) -> None:
        self.report = report
        self._sequence = 0

    def write(self, name: bytes, members: bytes) -> bytes:
        """One event; `members` is what its object holds beside type and number."""
        number = self._sequence
        self._sequence = number + 1
        return _EVENT % (name, name, number, members)

    def item_added(self, output_index: int, item: object) -> bytes:
        """An item begins."""
        return self._item(b"response.output_item.added", output_index, item)

    def item_done(self, output_index: int, item: object) -> bytes:
        """An item is whole."""
        return self._item(b"response.output_item.done", output_index, item)

    def _item(self, name: bytes, output_index: int, item: object) -> bytes:
        return self.write(name, b'"output_index":%d,"item":%b' % (output_index, json.encode(item)))


class PartWriter(Protocol):
    """Writes one part of the answer."""

    def delta(self, event: PartDelta) -> bytes:
        """The next piece of its content."""
        ...

    def end(self, part: Part | None) -> bytes:
        """Its end; `part` is the authoritative whole, if the source had one."""
        ...


class Output:
    """The items that are done, by output index: what the terminal event repeats."""

    __slots__ = ("_items", "_next")

    def __init__(self) -> None:
        self._items: dict[int, object] = {}
        self._next = 0

    def reserve(self) -> int:
        """The next output index."""
        index = self._next
        self._next = index + 1
        return index

    def peek(self) -> int:
        """The output index that `reserve` would give."""
        return self._next

    def add(self, output_index: int, item: object) -> None:
        """An item is done."""
        self._items[output_index] = item

    def items(self) -> list[object]:
        """All that is done, in order."""
        return [item for _, item in sorted(self._items.items(), key=lambda entry: entry[0])]
