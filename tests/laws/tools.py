"""Atoms of tools and of the choice among them (mapping 2.4)."""

from __future__ import annotations

import re
from typing import Any

from tests.laws.atoms import ASKS, Ask, first, get, member
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS
from tests.laws.plain import Doc, valued
from tests.laws.words import Words

PLAIN: Doc = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def function(protocol: str, name: str, schema: Doc | None = PLAIN, description: str | None = None) -> Doc:
    """A function as a protocol declares it; `schema` None declares no parameters."""
    said = {} if description is None else {"description": description}
    match protocol:
        case "openai_chat":
            return {
                "type": "function",
                "function": {"name": name, **said} | ({"parameters": schema} if schema else {}),
            }
        case "openai_responses":
            return {"type": "function", "name": name, **said, "parameters": schema, "strict": False}
        case "anthropic":
            return {"name": name, **said, "input_schema": schema or {"type": "object", "properties": {}}}
        case _:
            return {"name": name, **said} | ({"parametersJsonSchema": schema} if schema else {})


def declare(protocol: str, doc: Doc, *tools: Doc) -> None:
    """Add functions to a request."""
    if protocol == GG:
        holder = first([tool for tool in doc.get("tools", ()) if "functionDeclarations" in tool])
        if holder is None:
            doc.setdefault("tools", []).append({"functionDeclarations": [*tools]})
        else:
            holder["functionDeclarations"] += tools
        return
    doc.setdefault("tools", []).extend(tools)


def functions(protocol: str, doc: Doc) -> list[Doc]:
    """The declared functions and free-text tools, each as an object with a name."""
    tools = doc.get("tools") or []
    if protocol == GG:
        return [one for tool in tools for one in tool.get("functionDeclarations") or ()]
    if protocol == OC:
        return [tool[tool["type"]] for tool in tools if tool["type"] in ("function", "custom")]
    return [tool for tool in tools if tool.get("type", "custom") in ("function", "custom")]


def _schema_of(tool: Doc) -> Any:
    return valued(first([tool.get(name) for name in ("parameters", "input_schema", "parametersJsonSchema")]))


def _function(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = (words.token("fn_"), words.text(), words.schema())
        declare(protocol, doc, function(protocol, value[0], value[2], value[1]))
        return value

    return write


def _function_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for tool in functions(protocol, doc):
            if tool["name"].startswith("fn_"):
                return tool["name"], tool.get("description"), _schema_of(tool)
        return None

    return read


ASKS["tool.function"] = Ask(
    {protocol: _function(protocol) for protocol in PROTOCOLS},
    {protocol: _function_read(protocol) for protocol in PROTOCOLS},
    ("tool.function", "tool.schema", "tool.parameters", "schema"),
)


def _bare(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = words.token("bare_")
        declare(protocol, doc, function(protocol, value, None))
        return value

    return write


def _bare_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for tool in functions(protocol, doc):
            if tool["name"].startswith("bare_") and not (_schema_of(tool) or {}).get("properties"):
                return tool["name"]
        return None

    return read


ASKS["tool.no_parameters"] = Ask(
    {protocol: _bare(protocol) for protocol in PROTOCOLS},
    {protocol: _bare_read(protocol) for protocol in PROTOCOLS},
    ("tool.no_parameters", "tool.schema", "tool.parameters"),
)


def _strict(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        schema = PLAIN | {"additionalProperties": False}
        tool = function(protocol, words.token("strict_"), schema)
        (tool["function"] if protocol == OC else tool)["strict"] = True
        declare(protocol, doc, tool)
        return True

    return write


def _strict_read(protocol: str) -> Any:
    return lambda doc: first([tool.get("strict") or None for tool in functions(protocol, doc)])


ASKS["tool.strict"] = Ask(
    {protocol: _strict(protocol) for protocol in (OC, OR, AM)},
    {protocol: _strict_read(protocol) for protocol in PROTOCOLS},
    ("tool.strict",),
)

_LEGAL = {protocol: re.compile(r"[a-zA-Z0-9_-]{1,64}") for protocol in (OC, OR, AM)}
_LEGAL[GG] = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


def _odd_name(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = (
            words.pick(("odd.a:b", "odd_" + "n" * 100, "odd.Ä/ß", "odd 1")) if protocol != GG else "odd.a:b"
        )
        declare(protocol, doc, function(protocol, value))
        return value

    return write


def _odd_read(protocol: str) -> Any:
    return lambda doc: first(
        [tool["name"] for tool in functions(protocol, doc) if tool["name"].startswith("odd")]
    )


ASKS["tool.name"] = Ask(
    {protocol: _odd_name(protocol) for protocol in PROTOCOLS},
    {protocol: _odd_read(protocol) for protocol in PROTOCOLS},
    ("tool.name",),
)


def _namespace(doc: Doc, words: Words) -> Any:
    value = words.token("inner_")
    tool = {"type": "function", "name": value, "description": "d", "parameters": PLAIN, "strict": False}
    space = {"type": "namespace", "name": "crm", "description": "The CRM", "tools": [tool]}
    declare(OR, doc, space)
    return ("crm", value)


def _namespace_read(doc: Doc) -> Any:
    for tool in doc.get("tools") or ():
        if tool.get("type") == "namespace":
            return tool["name"], tool["tools"][0]["name"]
    return None


ASKS["tool.namespace"] = Ask(
    {OR: _namespace}, {OR: _namespace_read}, ("tool.namespace", "tool.hosted", "ext.namespace")
)


def _custom(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        tool: Doc = {"name": words.token("sql_"), "description": words.text()}
        if words.coin():
            grammar = {"syntax": "lark", "definition": "start: /.+/"}
            tool["format"] = {"type": "grammar"} | ({"grammar": grammar} if protocol == OC else grammar)
        declare(
            protocol,
            doc,
            {"type": "custom", "custom": tool} if protocol == OC else {"type": "custom", **tool},
        )
        return (tool["name"], tool["description"], "format" in tool)

    return write


def _custom_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for tool in doc.get("tools") or ():
            found = tool.get("custom") if protocol == OC else tool
            if tool.get("type") == "custom" and protocol != AM:
                return found["name"], found.get("description"), "format" in found
        return None

    return read


ASKS["tool.custom"] = Ask(
    {OC: _custom(OC), OR: _custom(OR)},
    {OC: _custom_read(OC), OR: _custom_read(OR)},
    ("tool.custom",),
)


def _extras(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        tool = function(protocol, words.token("extra_"))
        tool |= {"defer_loading": True}
        if protocol == AM:
            tool |= {"input_examples": [{"city": "Oslo"}], "allowed_callers": ["code_execution_20260120"]}
        else:
            tool |= {"allowed_callers": ["programmatic"]}
        declare(protocol, doc, tool)
        return {name: tool[name] for name in _EXTRAS if name in tool}

    return write


_EXTRAS = ("defer_loading", "input_examples", "allowed_callers")


def _extras_read(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        for tool in functions(protocol, doc):
            found = {name: tool[name] for name in _EXTRAS if name in tool}
            if found:
                return valued(found)
        return None

    return read


ASKS["tool.examples"] = Ask(
    {OR: _extras(OR), AM: _extras(AM)},
    {protocol: _extras_read(protocol) for protocol in PROTOCOLS},
    (
        "tool.examples",
        "tool.defer",
        "tool.callers",
        "ext.defer_loading",
        "ext.input_examples",
        "ext.allowed_callers",
    ),
)


def _marked(doc: Doc, words: Words) -> Any:
    declare(AM, doc, function(AM, words.token("marked_")) | {"cache_control": {"type": "ephemeral"}})
    return True


ASKS["tool.cache_mark"] = Ask(
    {AM: _marked},
    {AM: lambda doc: True if any("cache_control" in tool for tool in doc.get("tools") or ()) else None},
    ("tool.cache_mark", "cache_mark"),
)

# ---- tools of the provider


def _hosted(protocol: str, tool: Doc, name: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        if protocol == OC:
            doc["web_search_options"] = tool
        else:
            doc.setdefault("tools", []).append(tool)
        return name

    return write


def _hosted_read(protocol: str, names: tuple[str, ...], value: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == OC:
            return value if "web_search_options" in doc else None
        tools = doc.get("tools") or ()
        found = any(
            str(tool.get("type", "")).startswith(names) or any(n in tool for n in names) for tool in tools
        )
        return value if found else None

    return read


_SEARCH = ("web_search", "googleSearch")
_CODE = ("code_interpreter", "code_execution", "codeExecution")
ASKS["tool.web_search"] = Ask(
    {
        OC: _hosted(OC, {"search_context_size": "low"}, "search"),
        OR: _hosted(OR, {"type": "web_search", "search_context_size": "low"}, "search"),
        AM: _hosted(AM, {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}, "search"),
        GG: _hosted(GG, {"googleSearch": {}}, "search"),
    },
    {protocol: _hosted_read(protocol, _SEARCH, "search") for protocol in PROTOCOLS},
    ("tool.web_search", "tool.hosted", "ext.web_search_options"),
)
ASKS["tool.hosted"] = Ask(
    {
        OR: _hosted(OR, {"type": "code_interpreter", "container": {"type": "auto"}}, "code"),
        AM: _hosted(AM, {"type": "code_execution_20250825", "name": "code_execution"}, "code"),
        GG: _hosted(GG, {"codeExecution": {}}, "code"),
    },
    {protocol: _hosted_read(protocol, _CODE, "code") for protocol in (OR, AM, GG)},
    ("tool.hosted",),
)

# ---- the choice

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
    ("parallel_tools", "tool_choice.not_parallel"),
    slot="choice",
)
member(
    "tool_choice.max_calls", {OR: "max_tool_calls"}, (1, 3), ("tool_choice.max_calls", "ext.max_tool_calls")
)
