"""Atoms of messages: who says what, in which form (mapping 2.1, 2.2)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, first, part_text, user_parts
from tests.laws.instructions import MARK, mark_of, texts
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, history, say, text_part, turns_of
from tests.laws.plain import Doc
from tests.laws.words import Words

# ---- messages


def _all_user_texts(protocol: str, doc: Doc) -> list[str]:
    return [text for part in user_parts(protocol, doc) if (text := part_text(part)) is not None]


def _consecutive(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = [words.text(), words.text()]
        for text in value:
            say(protocol, doc, text)
        return value

    return write


def _last(protocol: str, count: int) -> Any:
    def read(doc: Doc) -> Any:
        return _all_user_texts(protocol, doc)[:count] or None

    return read


ASKS["message.consecutive"] = Ask(
    {protocol: _consecutive(protocol) for protocol in PROTOCOLS},
    {protocol: _last(protocol, 2) for protocol in PROTOCOLS},
    ("part.order",),
    slot="opening",
)


def _assistant_first(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.text()
        say(protocol, doc, value, role="assistant")
        return value

    return write


def _assistant_first_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        message = next(
            (one for one in history(protocol, doc) if one.get("role") not in ("system", "developer")), {}
        )
        if message.get("role") not in ("assistant", "model"):
            return None
        return first(texts(message.get("parts" if protocol == GG else "content")))

    return read


ASKS["message.assistant_first"] = Ask(
    {protocol: _assistant_first(protocol) for protocol in PROTOCOLS},
    {protocol: _assistant_first_read(protocol) for protocol in PROTOCOLS},
    ("part.order",),
    slot="opening",
)


def _prefill(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        say(protocol, doc, words.text())
        value = words.text().strip()
        say(protocol, doc, value, role="assistant")
        doc[LAST] = True
        return value

    return write


LAST = "$last"
"""The atom wants to end the conversation; whoever builds the request takes this mark out."""


def _prefill_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        message = history(protocol, doc)[-1]
        if message.get("role") not in ("assistant", "model"):
            return None
        return first(texts(message.get("parts" if protocol == GG else "content")))

    return read


ASKS["message.prefill"] = Ask(
    {protocol: _prefill(protocol) for protocol in PROTOCOLS},
    {protocol: _prefill_read(protocol) for protocol in PROTOCOLS},
    ("part.order",),
    slot="closing",
)


def _empty(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        role = words.pick(("user", "assistant"))
        for speaker in ("user", "assistant", "user"):
            if speaker != role:
                say(protocol, doc, words.text(), role=speaker)
            elif protocol == GG:
                parts = words.pick(([], [{"text": ""}]))
                doc["contents"].append({"role": "model" if role == "assistant" else role, "parts": parts})
            else:
                history(protocol, doc).append({"role": role, "content": ""})
        say(protocol, doc, words.text(), role="assistant")
        return role

    return write


def _is_empty(content: Any) -> bool:
    """Whether a message says nothing: no text, and no part that is none."""
    return not content or (isinstance(content, list) and all(part_text(part) == "" for part in content))


def _empty_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for message in history(protocol, doc):
            content = message.get("parts" if protocol == GG else "content")
            if message.get("role") in ("user", "assistant", "model") and _is_empty(content):
                return "user" if message["role"] == "user" else "assistant"
        return None

    return read


ASKS["message.empty"] = Ask(
    {protocol: _empty(protocol) for protocol in PROTOCOLS},
    {protocol: _empty_read(protocol) for protocol in PROTOCOLS},
    ("message.empty",),
    slot="opening",
)


def _text(protocol: str, *, form: bool) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.text()
        if form and words.coin() and protocol != GG:
            history(protocol, doc).append({"role": "user", "content": [text_part(protocol, value)]})
        else:
            say(protocol, doc, value)
        return value

    return write


def _contains_text(protocol: str) -> Any:
    """The first text of the users: what this atom wrote, whatever its form."""
    return lambda doc: first(_all_user_texts(protocol, doc))


for _feature in ("text", "message.form"):
    ASKS[_feature] = Ask(
        {protocol: _text(protocol, form=_feature != "text") for protocol in PROTOCOLS},
        {protocol: _contains_text(protocol) for protocol in PROTOCOLS},
        (_feature,),
        slot="opening",
    )


def _name(doc: Doc, words: Words) -> Any:
    value = words.token("Ada_")
    doc["messages"].append({"role": "user", "name": value, "content": words.text()})
    return value


ASKS["message.name"] = Ask(
    {OC: _name},
    {OC: lambda doc: first([one.get("name") for one in doc["messages"] if one["role"] == "user"])},
    ("message.name",),
)


def _mark(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        part = text_part(protocol, words.text()) | MARK[protocol]
        say(protocol, doc, part)
        return part["text"], mark_of(part)

    return write


def _mark_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        found = [(part_text(part), mark_of(part)) for part in user_parts(protocol, doc)]
        return first([one if one[1] is not None else None for one in found])

    return read


ASKS["cache.mark"] = Ask(
    {protocol: _mark(protocol) for protocol in (OC, OR, AM)},
    {protocol: _mark_read(protocol) for protocol in PROTOCOLS},
    ("cache_mark",),
)


def _unsigned(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.text()
        say(protocol, doc, words.text())
        match protocol:
            case "gemini":
                parts = [{"text": value, "thought": True}, {"text": words.text()}]
                doc["contents"].append({"role": "model", "parts": parts})
            case "openai_responses":
                thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": value}]}
                doc["input"] += [thought, {"role": "assistant", "content": words.text()}]
            case _:
                said = {"role": "assistant", "content": words.text(), "reasoning_content": value}
                doc["messages"].append(said)
        return value

    return write


def _thought_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for turn in turns_of(protocol, doc):
            if protocol == OC and turn.get("reasoning_content"):
                return turn["reasoning_content"]
            for item in turn if protocol != OC else ():
                if protocol == GG and item.get("thought"):
                    return item.get("text")
                if item.get("type") == "thinking":
                    return item["thinking"]
                if item.get("type") == "reasoning":
                    return "\n\n".join(part["text"] for part in item["summary"])
        return None

    return read


ASKS["reasoning.unsigned"] = Ask(
    {protocol: _unsigned(protocol) for protocol in (OC, OR, GG)},
    {protocol: _thought_read(protocol) for protocol in PROTOCOLS},
    ("reasoning.text",),
)
