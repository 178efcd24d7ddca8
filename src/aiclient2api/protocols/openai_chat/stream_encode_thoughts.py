"""Thinking in one streamed candidate: `reasoning_content` for display, `reasoning_details` for the way back.

The SDK merges entries of one index by concatenating strings, so type and format go out once per index and the
signature in a delta of its own.
"""

from __future__ import annotations

from aiclient2api.ir.parts import Opaque, Reasoning
from aiclient2api.protocols.openai_chat.reasoning import SECTION_BREAK
from aiclient2api.protocols.openai_chat.schema import GATEWAY_FORMAT
from aiclient2api.protocols.openai_chat.stream_writer import ChunkWriter
from aiclient2api.wire import json

_NATIVE = "openai_chat.details"

_FIRST = (
    b'"reasoning_details":[{"index":%d,"type":"reasoning.text","format":"'
    + GATEWAY_FORMAT.encode()
    + b'","text":%b}]'
)
_MORE = b'"reasoning_details":[{"index":%d,"text":%b}]'
_SIGNATURE = b'"reasoning_details":[{"index":%d,"signature":%b}]'


class _Thought:
    """An open thought; `index` is its place in the details once it has one."""

    __slots__ = ("index", "opaque", "section")

    def __init__(self, opaque: Opaque | None) -> None:
        self.opaque = opaque
        self.index = -1
        self.section: tuple[str, int] | None = None


class ThoughtsEncoder:
    """Writes thinking; `letters` is the candidate's part order."""

    def __init__(self, writer: ChunkWriter, letters: list[str]) -> None:
        self._writer = writer
        self._letters = letters
        self._thoughts: dict[int, _Thought] = {}
        self._details = 0
        self._has_shown = False

    def start(self, number: int, header: Reasoning) -> None:
        """A thought begins."""
        self._thoughts[number] = _Thought(header.opaque)

    def text(self, number: int, text: str, section: tuple[str, int]) -> bytes:
        """A piece of it; another section begins after a blank line."""
        thought = self._thoughts[number]
        if not text:
            return b""
        shown = text
        if thought.section is None and self._has_shown:
            shown = SECTION_BREAK + text
        elif thought.section is not None and thought.section != section:
            shown = text = SECTION_BREAK + text
        thought.section = section
        self._has_shown = True
        plain = b'"reasoning_content":' + json.encode(shown)
        if thought.opaque is not None and thought.opaque.kind == _NATIVE:
            return self._writer.members(plain)  # the native entry holds the text itself
        return self._writer.members(plain + b"," + self._entry(thought, text))

    def sign(self, number: int, opaque: Opaque) -> None:
        """Its state, which goes out at its end."""
        self._thoughts[number].opaque = opaque

    def end(self, number: int, opaque: Opaque | None) -> bytes:
        """The thought is complete."""
        thought = self._thoughts.pop(number)
        opaque = thought.opaque or opaque
        if opaque is None:
            return b""
        if opaque.kind == _NATIVE:
            entry = json.decode(opaque.data.encode(), dict[str, object])
            return self._writer.delta({"reasoning_details": [entry | {"index": self._new_index()}]})
        opened = b"" if thought.index >= 0 else self._writer.members(self._entry(thought, ""))
        return opened + self._writer.members(_SIGNATURE % (thought.index, json.encode(opaque.data)))

    def _entry(self, thought: _Thought, text: str) -> bytes:
        if thought.index >= 0:
            return _MORE % (thought.index, json.encode(text))
        thought.index = self._new_index()
        return _FIRST % (thought.index, json.encode(text))

    def _new_index(self) -> int:
        self._letters.append("r")
        self._details += 1
        return self._details - 1
