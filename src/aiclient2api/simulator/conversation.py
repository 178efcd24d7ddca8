"""A request as every protocol can tell it: who said what last, which tools exist, what is asked for."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec

MediaKind = Literal["image", "document", "audio", "video"]


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or file: sent in the request (`size` in bytes), or only named by `reference`."""

    kind: MediaKind
    media_type: str = ""
    size: int = 0
    reference: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function the caller can run; `free_text` tools take text instead of JSON."""

    name: str
    schema: object = None
    free_text: bool = False
    description: str = ""


class ToolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's answer to a tool call."""

    call: str
    text: str
    is_error: bool = False


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the request asks for besides an answer."""

    tools: tuple[Tool, ...] = ()
    choice: Literal["auto", "none", "required"] = "auto"
    allowed: frozenset[str] | None = None
    parallel: bool = True
    thinking: bool = False
    json: bool = False
    schema: object = None
    enum: bool = False
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    count: int = 1


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole request in neutral form. Words stand for tokens."""

    model: str
    digest: str
    wishes: Wishes
    prefix: str = ""
    """What a thought of the answer is bound to."""
    system: str = ""
    user_text: str = ""
    turn: int = 1
    media: tuple[Media, ...] = ()
    tool_answers: tuple[ToolAnswer, ...] = ()
    kept_thoughts: int = 0
    input_words: int = 0
    history_words: int = 0
    marked_words: int = 0


class Transcript:
    """Collects messages in order and finds out what the last one is about."""

    def __init__(self) -> None:
        self.thoughts = 0
        self.cache_marks = 0
        self.calls: list[str] = []
        self._system: list[str] = []
        self._words = 0
        self._history_words = 0
        self._user: list[str] = []
        self._media: list[Media] = []
        self._answers: list[ToolAnswer] = []
        self._turn = 0
        self._speaker = ""

    def system(self, text: str) -> None:
        """An instruction, wherever it stands."""
        if text:
            self._system.append(text)
        self._words += words(text)

    def user(self, text: str, media: list[Media] | None = None) -> None:
        """Something the user said or showed."""
        if self._speaker != "user":
            self._start("user")
        if not self._user and not self._media:
            self._turn += 1
        if text:
            self._user.append(text)
        self._media.extend(media or ())
        self._words += words(text) + len(media or ())

    def assistant(self, text: str = "", call: str | None = None) -> None:
        """Something the model said or called."""
        if self._speaker != "assistant":
            self._start("assistant")
            self._history_words = self._words
        if call is not None:
            self.calls.append(call)
        self._words += words(text)

    def tool_answer(self, answer: ToolAnswer, media: list[Media] | None = None) -> None:
        """An answer of a tool."""
        if self._speaker != "user":
            self._start("user")
        self._answers.append(answer)
        self._media.extend(media or ())
        self._words += words(answer.text) + len(media or ())

    def _start(self, speaker: str) -> None:
        if speaker == "user":
            self._user, self._media, self._answers = [], [], []
        self._speaker = speaker

    def finish(self, model: str, digest: str, wishes: Wishes, prefix: str = "") -> Conversation:
        """The conversation as it stands."""
        order = {call: index for index, call in enumerate(self.calls)}
        answers = sorted(self._answers, key=lambda answer: order.get(answer.call, len(order)))
        tool_words = sum(words(tool.name) + words(tool.description) + 2 for tool in wishes.tools)
        total = self._words + tool_words
        fixed = tool_words + sum(words(text) for text in self._system)
        history = min(total, self._history_words + tool_words) if self._history_words else 0
        first_turn_mark = self.cache_marks > 0 and not history
        return Conversation(
            model=model,
            digest=digest,
            wishes=wishes,
            prefix=prefix,
            system="\n".join(self._system),
            user_text="\n".join(self._user),
            turn=max(self._turn, 1),
            media=tuple(self._media),
            tool_answers=tuple(answers) if self._speaker == "user" else (),
            kept_thoughts=self.thoughts,
            input_words=max(total, 1),
            history_words=history,
            marked_words=(fixed or max(total, 1)) if first_turn_mark else 0,
        )


def words(text: str) -> int:
    """How many words a text has: the simulator's tokens."""
    return len(text.split())


def byte_size(data: str) -> int | None:
    """The size of what base64 text stands for; None when it is not base64."""
    try:
        return len(base64.b64decode(data.translate(_URL_SAFE) + "=" * (-len(data) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


_URL_SAFE = str.maketrans("-_", "+/")
