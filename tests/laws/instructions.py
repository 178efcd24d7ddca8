"""Atoms of instructions (mapping 2.1)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, first, get, part_text
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, history, say, text_part
from tests.laws.plain import Doc
from tests.laws.words import Words


def texts(content: Any) -> list[str]:
    """The texts of a content: a string, or a list of parts."""
    if isinstance(content, str):
        return [content]
    return [text for part in content or () if (text := part_text(part)) is not None]


def leading(protocol: str, doc: Doc) -> list[tuple[str, list[str]]]:
    """Role and texts of every instruction before the conversation."""
    found: list[tuple[str, list[str]]] = []
    if protocol == AM and doc.get("system"):
        found.append(("system", texts(doc["system"])))
    if protocol == GG and doc.get("systemInstruction"):
        found.append(("system", texts(doc["systemInstruction"].get("parts"))))
    if protocol == OR and doc.get("instructions") is not None:
        found.append(("system", [doc["instructions"]]))
    for message in history(protocol, doc):
        if message.get("role") not in ("system", "developer"):
            break
        found.append((message["role"], texts(message.get("content"))))
    return found


def _lead(protocol: str, doc: Doc, role: str, parts: list[Any]) -> None:
    if protocol == GG:
        doc["systemInstruction"] = {
            "parts": [{"text": part} if isinstance(part, str) else part for part in parts]
        }
    elif protocol == AM:
        doc["system"] = parts[0] if isinstance(parts[0], str) and len(parts) == 1 else parts
    elif protocol == OR and isinstance(parts[0], str) and role == "system":
        doc["instructions"] = parts[0]
    else:
        content = parts[0] if isinstance(parts[0], str) else parts
        history(protocol, doc).insert(0, {"role": role, "content": content})


def _leading(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.text()
        _lead(protocol, doc, "system", [value])
        return [value]

    return write


def _leading_read(protocol: str) -> Any:
    return lambda doc: first([part for _, part in leading(protocol, doc)])


ASKS["system.leading"] = Ask(
    {protocol: _leading(protocol) for protocol in PROTOCOLS},
    {protocol: _leading_read(protocol) for protocol in PROTOCOLS},
    (),
    slot="system",
)


def _developer(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.text()
        _lead(protocol, doc, "developer", [value])
        return ("developer", [value])

    return write


ASKS["system.developer"] = Ask(
    {OC: _developer(OC), OR: _developer(OR)},
    {protocol: (lambda doc, p=protocol: first(leading(p, doc))) for protocol in PROTOCOLS},
    ("system.role",),
    slot="system",
)

MARK: dict[str, Doc] = {
    OC: {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
    OR: {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
    AM: {"cache_control": {"type": "ephemeral", "ttl": "5m"}},
    GG: {},
}
"""Times to live that stand for each other (mapping 2.7)."""


def mark_of(part: Doc) -> str | None:
    """How long the cache mark of a part lives; None without one."""
    mark = part.get("prompt_cache_breakpoint") or part.get("cache_control")
    return mark.get("ttl") if mark else None


def _blocks(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = [words.text() for _ in range(words.count(2, 3))]
        parts: list[Any] = [text_part(protocol, text) for text in value]
        parts[0] |= MARK[protocol]
        _lead(protocol, doc, "system", parts)
        return (value, [mark_of(part) for part in parts])

    return write


def _blocks_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        content = doc.get("system") if protocol == AM else get(doc, "systemInstruction.parts")
        if protocol in (OC, OR):
            content = next(
                (one["content"] for one in history(protocol, doc) if one.get("role") == "system"), None
            )
        if not isinstance(content, list):
            return None
        return ([part["text"] for part in content], [mark_of(part) for part in content])

    return read


ASKS["system.blocks"] = Ask(
    {protocol: _blocks(protocol) for protocol in PROTOCOLS},
    {protocol: _blocks_read(protocol) for protocol in PROTOCOLS},
    ("cache_mark",),
    slot="system",
)


def _mid(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        say(protocol, doc, words.text())
        if words.coin() and protocol != AM:
            say(protocol, doc, words.text(), role="assistant")
        value = words.text()
        role = words.pick(("system", "developer")) if protocol != AM else "system"
        say(protocol, doc, value, role=role)
        if protocol != AM:
            say(protocol, doc, words.text())
        else:
            say(protocol, doc, words.text(), role="assistant")
            say(protocol, doc, words.text())
        return (role, value)

    return write


def _mid_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for message in history(protocol, doc)[1:]:
            if message.get("role") in ("system", "developer"):
                return message["role"], first(texts(message.get("content")))
        return None

    return read


ASKS["system.mid"] = Ask(
    {protocol: _mid(protocol) for protocol in (OC, OR, AM)},
    {protocol: _mid_read(protocol) for protocol in PROTOCOLS},
    ("system.mid", "system.role"),
    slot="system",
)


def _clear_at(doc: Doc, words: Words) -> Any:
    say(AM, doc, words.text())
    doc["messages"].append({"role": "system", "content": words.text(), "clear_at": "next_user_message"})
    return "next_user_message"


ASKS["system.clear_at"] = Ask(
    {AM: _clear_at},
    {AM: lambda doc: first([message.get("clear_at") for message in doc["messages"]])},
    ("ext.clear_at",),
    slot="system",
)


def _effort_am(doc: Doc, words: Words) -> Any:
    say(AM, doc, words.text())
    value = words.pick(("low", "high"))
    doc["messages"].append({"role": "system", "content": [], "output_config": {"effort": value}})
    return value


def _effort_or(doc: Doc, words: Words) -> Any:
    say(OR, doc, words.text())
    value = words.pick(("low", "high"))
    doc["input"].append({"type": "configuration_update", "reasoning": {"effort": value}})
    return value


ASKS["control.effort"] = Ask(
    {OR: _effort_or, AM: _effort_am},
    {
        OR: lambda doc: first([get(item, "reasoning.effort") for item in history(OR, doc)]),
        AM: lambda doc: first([get(message, "output_config.effort") for message in doc["messages"]]),
    },
    (
        "control.effort",
        "control.configuration_update",
        "control.set_effort",
        "ext.configuration_update",
        "ext.output_config.effort",
    ),
    slot="system",
)
