"""Atoms of the choice among tools (mapping 2.4)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, first, get, member
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS
from tests.laws.plain import Doc
from tests.laws.tools import declare, function
from tests.laws.words import Words

_MODES = ("auto", "none", "required")


def _choice(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.pick(_MODES)
        declare(protocol, doc, function(protocol, "f"))
        if protocol == AM:
            doc["tool_choice"] = {"type": {"required": "any"}.get(value, value)}
        elif protocol == GG:
            mode = {"required": "ANY"}.get(value, value.upper())
            doc["toolConfig"] = {"functionCallingConfig": {"mode": mode}}
        else:
            doc["tool_choice"] = value
        return value

    return write


def mode_of(protocol: str, doc: Doc) -> Any:
    """The neutral word of a tool choice."""
    if protocol == AM:
        kind = get(doc, "tool_choice.type")
        return {"any": "required"}.get(kind, kind)
    if protocol == GG:
        mode = get(doc, "toolConfig.functionCallingConfig.mode")
        names = get(doc, "toolConfig.functionCallingConfig.allowedFunctionNames") or []
        if mode == "ANY" and len(names) == 1:
            return "tool"
        return {"ANY": "required", "AUTO": "auto", "NONE": "none", "VALIDATED": "auto"}.get(mode, mode)
    choice = doc.get("tool_choice")
    if not isinstance(choice, dict):
        return choice
    if choice["type"] == "allowed_tools":
        return (choice.get("allowed_tools") or choice)["mode"]
    return "tool"


ASKS["tool_choice.mode"] = Ask(
    {protocol: _choice(protocol) for protocol in PROTOCOLS},
    {protocol: (lambda doc, p=protocol: mode_of(p, doc)) for protocol in PROTOCOLS},
    ("tool_choice",),
    slot="choice",
)


def _one(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        declare(protocol, doc, function(protocol, "f"), function(protocol, "g"))
        if protocol == OC:
            doc["tool_choice"] = {"type": "function", "function": {"name": "g"}}
        elif protocol == OR:
            doc["tool_choice"] = {"type": "function", "name": "g"}
        elif protocol == AM:
            doc["tool_choice"] = {"type": "tool", "name": "g"}
        else:
            doc["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}
        return ("tool", "g")

    return write


def _one_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if mode_of(protocol, doc) != "tool":
            return None
        names = get(doc, "toolConfig.functionCallingConfig.allowedFunctionNames") or [None]
        return "tool", first([get(doc, "tool_choice.function.name"), get(doc, "tool_choice.name"), names[0]])

    return read


ASKS["tool_choice.one"] = Ask(
    {protocol: _one(protocol) for protocol in PROTOCOLS},
    {protocol: _one_read(protocol) for protocol in PROTOCOLS},
    ("tool_choice",),
    slot="choice",
)


def _subset(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        declare(protocol, doc, *(function(protocol, name) for name in ("f", "g", "h")))
        mode = words.pick(("auto", "required"))
        if protocol == GG:
            wire = {"auto": "VALIDATED", "required": "ANY"}[mode]
            doc["toolConfig"] = {"functionCallingConfig": {"mode": wire, "allowedFunctionNames": ["f", "g"]}}
        elif protocol == OC:
            tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
            doc["tool_choice"] = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
        else:
            tools = [{"type": "function", "name": name} for name in ("f", "g")]
            doc["tool_choice"] = {"type": "allowed_tools", "mode": mode, "tools": tools}
        return (mode, ["f", "g"])

    return write


def _subset_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == GG:
            names = get(doc, "toolConfig.functionCallingConfig.allowedFunctionNames")
            return None if names is None else (mode_of(GG, doc), names)
        if get(doc, "tool_choice.type") != "allowed_tools":
            return None
        choice = doc["tool_choice"].get("allowed_tools") or doc["tool_choice"]
        names = [tool.get("name") or get(tool, "function.name") for tool in choice["tools"]]
        return choice["mode"], names

    return read


ASKS["tool_choice.subset"] = Ask(
    {protocol: _subset(protocol) for protocol in (OC, OR, GG)},
    {protocol: _subset_read(protocol) for protocol in (OC, OR, GG)},
    ("tool_choice.subset", "tool_choice"),
    slot="choice",
)


def _serial_am(doc: Doc, words: Words) -> Any:
    declare(AM, doc, function(AM, "f"))
    doc["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    return False


def _serial(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        declare(protocol, doc, function(protocol, "f"))
        doc["parallel_tool_calls"] = False
        return False

    return write


ASKS["tool_choice.not_parallel"] = Ask(
    {OC: _serial(OC), OR: _serial(OR), AM: _serial_am},
    {
        OC: lambda doc: doc.get("parallel_tool_calls"),
        OR: lambda doc: doc.get("parallel_tool_calls"),
        AM: lambda doc: False if get(doc, "tool_choice.disable_parallel_tool_use") else None,
    },
    ("parallel_tools",),
    slot="choice",
)
member("tool_choice.max_calls", {OR: "max_tool_calls"}, (1, 3), ("ext.max_tool_calls",))
