"""Atoms of tools and of the choice among them (mapping 2.4)."""

from __future__ import annotations

import re
from typing import Any

from tests.laws.atoms import ASKS, Ask, first
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
    ("tool.schema", "schema"),
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
    ("tool.schema",),
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


ASKS["tool.namespace"] = Ask({OR: _namespace}, {OR: _namespace_read}, ("tool.namespace",))


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
    ("ext.defer_loading", "ext.input_examples", "ext.allowed_callers"),
)


def _marked(doc: Doc, words: Words) -> Any:
    declare(AM, doc, function(AM, words.token("marked_")) | {"cache_control": {"type": "ephemeral"}})
    return True


ASKS["tool.cache_mark"] = Ask(
    {AM: _marked},
    {AM: lambda doc: True if any("cache_control" in tool for tool in doc.get("tools") or ()) else None},
    ("cache_mark",),
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
    ("tool.hosted", "ext.web_search_options"),
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
