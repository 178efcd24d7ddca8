"""What the simulated model answers: decided from the conversation alone, the same every time."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

import msgspec

from aiclient2api.simulator.conversation import Conversation, Media, Tool
from aiclient2api.simulator.jsontext import write
from aiclient2api.simulator.samples import first_choice, sample

Finish = Literal["stop", "length", "tool_use", "stop_sequence", "refusal"]

REFUSAL = "I cannot help with that."
_LONGEST_QUOTE = 200
_JSON_FRAGMENT = 8
_TOOL_WORDS = re.compile(r"\b(tools?|calls?)\b", re.IGNORECASE)
_PARALLEL_WORDS = re.compile(r"\b(parallel|both)\b", re.IGNORECASE)
_WORD = re.compile(r"\s*\S+(?:\s+$)?")


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call the model makes; `arguments` is JSON text, or plain text for a free-text tool."""

    id: str
    tool: Tool
    arguments: str

    @property
    def fragments(self) -> tuple[str, ...]:
        """The arguments as they are streamed."""
        return _cut_evenly(self.arguments)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate. `deltas` is its text as it is streamed; `tokens` excludes the thought."""

    finish: Finish
    thought: tuple[str, ...] = ()
    deltas: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    stop_sequence: str | None = None
    tokens: int = 0

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.deltas)

    @property
    def thinking(self) -> str:
        """The whole thought."""
        return "".join(self.thought)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Words counted: `input` includes both cache counts, `output` includes reasoning."""

    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """All candidates and what they cost; `usage` None when a fault withholds it."""

    answers: tuple[Answer, ...]
    usage: Usage
    usage_shown: bool = True


def reply(conversation: Conversation, events: int | None = None) -> Reply:
    """The model's reply; `events` fixes the number of text deltas."""
    answers = tuple(_answer(conversation, index, events) for index in range(conversation.wishes.count))
    reasoning = sum(len(answer.thought) for answer in answers)
    usage = Usage(
        input=conversation.input_words,
        cached=conversation.history_words,
        cache_write=conversation.marked_words,
        output=reasoning + sum(answer.tokens for answer in answers),
        reasoning=reasoning,
    )
    return Reply(answers=answers, usage=usage)


def _answer(conversation: Conversation, index: int, events: int | None) -> Answer:
    thought = _thought(conversation)
    if "refuse" in conversation.user_text.casefold() and not conversation.tool_answers:
        return Answer(finish="refusal", refusal=REFUSAL, tokens=len(_by_word(REFUSAL)))
    if calls := _calls(conversation, index):
        return _fit_calls(conversation, thought, calls)
    if conversation.wishes.json:
        pieces = _cut_evenly(_document(conversation, index))
    else:
        pieces = _exactly(_by_word(_sentence(conversation, index)), events)
    return _fit_text(conversation, thought, pieces, events)


def _thought(conversation: Conversation) -> tuple[str, ...]:
    if not conversation.wishes.thinking:
        return ()
    return _by_word(f"Thinking about: {_quoted(conversation.user_text) or 'the answer'}")


# ---- text


def _sentence(conversation: Conversation, index: int) -> str:
    parts: list[str] = []
    if conversation.media:
        parts.append("I see " + " and ".join(_seen(conversation.media)))
    if conversation.tool_answers:
        parts.append("The tool answered: " + "; ".join(_quoted_answers(conversation)))
    elif conversation.user_text or not parts:
        parts.append(f"You said: {_quoted(conversation.user_text)}".rstrip())
    marks: list[str] = []
    if conversation.system:
        marks.append(f"[system: {_quoted(conversation.system)}]")
    if conversation.turn > 1:
        marks.append(f"[turn {conversation.turn}]")
    if conversation.kept_thoughts:
        marks.append(f"[kept {_plural(conversation.kept_thoughts, 'thought')}]")
    if index:
        marks.append(f"[candidate {index + 1}]")
    return " ".join([". ".join(parts), *marks])


def _quoted_answers(conversation: Conversation) -> list[str]:
    return [
        _quoted(answer.text) + (" (error)" if answer.is_error else "") for answer in conversation.tool_answers
    ]


def _seen(media: tuple[Media, ...]) -> list[str]:
    """`2 images (image/png, 68 bytes; url https://…)`, one text per kind in order of appearance."""
    kinds = list(dict.fromkeys(one.kind for one in media))
    texts: list[str] = []
    for kind in kinds:
        same = [one for one in media if one.kind == kind]
        details = "; ".join(one.reference or f"{one.media_type}, {one.size} bytes" for one in same)
        texts.append(f"{_plural(len(same), kind)} ({details})")
    return texts


def _document(conversation: Conversation, index: int) -> str:
    wishes = conversation.wishes
    if wishes.enum:
        return first_choice(wishes.schema)
    if wishes.schema is not None:
        return sample(wishes.schema)
    return write({"answer": _sentence(conversation, index)})


def _quoted(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# ---- tool calls


def _calls(conversation: Conversation, index: int) -> tuple[ToolCall, ...]:
    """The calls to make: none when nobody asked, two when the prompt says so."""
    wishes, prompt = conversation.wishes, conversation.user_text
    usable = [tool for tool in wishes.tools if wishes.allowed is None or tool.name in wishes.allowed]
    if not usable or wishes.choice == "none" or conversation.tool_answers:
        return ()
    named = [tool for tool in usable if tool.name.casefold() in prompt.casefold()]
    if not named and wishes.choice != "required" and not _TOOL_WORDS.search(prompt):
        return ()
    first = (named or usable)[0]
    wanted = [(first, "text")]
    if wishes.parallel and _PARALLEL_WORDS.search(prompt):
        second = next((tool for tool in [*named, *usable] if tool is not first), first)
        wanted.append((second, "text2" if second is first else "text"))
    return tuple(
        ToolCall(
            id=f"{conversation.digest[:20]}{index or ''}{'ab'[place]}",
            tool=tool,
            arguments=text if tool.free_text else sample(_object_schema(tool.schema), text),
        )
        for place, (tool, text) in enumerate(wanted)
    )


def _object_schema(schema: object) -> object:
    """Arguments are always an object, even for a tool that declares nothing."""
    return schema if schema else {"type": "object", "properties": {}}


def _fit_calls(conversation: Conversation, thought: tuple[str, ...], calls: tuple[ToolCall, ...]) -> Answer:
    """Calls are made whole or not at all."""
    limit = conversation.wishes.max_tokens
    kept: list[ToolCall] = []
    tokens = 0
    for call in calls:
        cost = len(call.fragments) + 1
        if limit is not None and tokens + cost > limit:
            return Answer(finish="length", thought=thought, calls=tuple(kept), tokens=tokens)
        tokens += cost
        kept.append(call)
    return Answer(finish="tool_use", thought=thought, calls=tuple(kept), tokens=tokens)


# ---- deltas


def _fit_text(
    conversation: Conversation, thought: tuple[str, ...], pieces: tuple[str, ...], events: int | None
) -> Answer:
    """Apply stop sequences, then the limit."""
    finish: Finish = "stop"
    stop_sequence, pieces = _stopped(pieces, conversation.wishes.stops)
    if stop_sequence is not None:
        finish = "stop_sequence"
    limit = conversation.wishes.max_tokens
    if limit is not None and limit < len(pieces):
        pieces, finish, stop_sequence = pieces[:limit], "length", None
    return Answer(
        finish=finish,
        thought=thought,
        deltas=_grouped(pieces, events),
        stop_sequence=stop_sequence,
        tokens=len(pieces),
    )


def _stopped(pieces: tuple[str, ...], stops: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Cut before the stop sequence that comes first."""
    text = "".join(pieces)
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return None, pieces
    end, stop = min(found)
    kept: list[str] = []
    start = 0
    for piece in pieces:
        if start < end:
            kept.append(piece[: end - start])
        start += len(piece)
    return stop, tuple(kept)


def _by_word(text: str) -> tuple[str, ...]:
    """Words with the space before them, as tokens have it."""
    return tuple(_WORD.findall(text)) or ((text,) if text else ())


def _cut_evenly(text: str) -> tuple[str, ...]:
    """At least two fragments where there are two characters."""
    size = max(1, min(_JSON_FRAGMENT, len(text) // 2))
    return tuple(text[start : start + size] for start in range(0, len(text), size))


def _exactly(pieces: tuple[str, ...], events: int | None) -> tuple[str, ...]:
    """Repeat the text until there are enough pieces."""
    if events is None or len(pieces) >= events:
        return pieces
    spaced = [piece if piece[:1].isspace() else f" {piece}" for piece in pieces]
    return pieces + tuple(spaced[index % len(spaced)] for index in range(events - len(pieces)))


def _grouped(pieces: tuple[str, ...], events: int | None) -> tuple[str, ...]:
    """Join neighbours until there are no more than `events` deltas."""
    if events is None or len(pieces) <= events:
        return pieces
    borders = [len(pieces) * index // events for index in range(events + 1)]
    return tuple("".join(pieces[start:end]) for start, end in pairwise(borders))
