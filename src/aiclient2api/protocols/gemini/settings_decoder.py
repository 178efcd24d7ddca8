"""Tools and settings of a request to the IR."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    FunctionTool,
    HostedTool,
    OutputFormat,
    Sampling,
    Schema,
    Thinking,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.gemini.fields import child, elements, fields, keep
from aiclient2api.protocols.gemini.schema import HOSTED_TOOLS, LEVELS, PROTOCOL
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members


def decode_tools(body: Members) -> list[Tool]:
    """Every function and every hosted tool, in order."""
    return [tool for raw, path in elements(body, "tools") for tool in _tools_of(fields(raw, path))]


def _tools_of(tools: Members) -> Iterator[Tool]:
    for raw, path in elements(tools, "functionDeclarations"):
        yield _function(fields(raw, path))
    for name, value in tools.rest().items():
        if value != NULL:
            family = HOSTED_TOOLS.get(name, "other")
            yield HostedTool(protocol=PROTOCOL, wire_type=name, raw=value, family=family)


def _function(declaration: Members) -> FunctionTool:
    return FunctionTool(
        name=declaration.require("name", str),
        description=declaration.take("description", str),
        parameters=_schema(declaration, "parametersJsonSchema", "parameters"),
        output=_schema(declaration, "responseJsonSchema", "response"),
        ext=keep(declaration),
    )


def _schema(members: Members, json_schema: str, openapi: str) -> Schema | None:
    """The JSON Schema if there is one, else the OpenAPI subset; both at once are kept."""
    if members.peek(json_schema) not in (None, NULL):
        return Schema(members.raw(json_schema) or NULL)
    raw = members.raw(openapi)
    return None if raw is None or raw == NULL else Schema(raw, "openapi")


def decode_tool_choice(config: Members | None) -> ToolChoice | None:
    """The function calling mode; its unknown members stay in `ext`."""
    calling = child(config, "functionCallingConfig") if config is not None else None
    if calling is None:
        return None
    mode, names = calling.take("mode", str), calling.take("allowedFunctionNames", list[str])
    match (mode or "").upper():
        case "NONE":
            return ToolChoice(mode="none", names=names, ext=keep(calling))
        case "ANY":
            only_one = names is not None and len(names) == 1
            return ToolChoice(mode="tool" if only_one else "required", names=names, ext=keep(calling))
        case "VALIDATED":
            return ToolChoice(mode="auto", names=names, validated=True, ext=keep(calling))
        case "AUTO":
            return ToolChoice(mode="auto", names=names, ext=keep(calling))
        case _:
            ext = keep(calling)
            if mode is not None:
                ext = ext or {PROTOCOL: {}}
                ext[PROTOCOL]["mode"] = json.raw(mode)
            return ToolChoice(mode="auto", names=names, shape=Shape.CONTENT_ABSENT, ext=ext)


class Config(Struct, frozen=True, kw_only=True):
    """What `generationConfig` says."""

    sampling: Sampling
    max_output: int | None = None
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    modalities: list[str] | None = None


def decode_config(config: Members) -> Config:
    """Take apart `generationConfig`; what is left in `config` has no place in the IR."""
    modalities = config.take("responseModalities", list[str])
    return Config(
        sampling=_sampling(config),
        max_output=config.take("maxOutputTokens", int),
        thinking=_thinking(child(config, "thinkingConfig")),
        output=_output(config),
        modalities=[name.lower() for name in modalities] if modalities is not None else None,
    )


def _sampling(config: Members) -> Sampling:
    return Sampling(
        temperature=config.take("temperature", float),
        top_p=config.take("topP", float),
        top_k=config.take("topK", float),
        seed=config.take("seed", int),
        presence_penalty=config.take("presencePenalty", float),
        frequency_penalty=config.take("frequencyPenalty", float),
        stop=config.take("stopSequences", list[str]),
        candidates=config.take("candidateCount", int),
        logprobs=config.take("responseLogprobs", bool),
        top_logprobs=config.take("logprobs", int),
    )


def _thinking(config: Members | None) -> Thinking | None:
    if config is None:
        return None
    show = config.take("includeThoughts", bool)
    budget = config.take("thinkingBudget", int)
    level = config.take("thinkingLevel", str)
    effort = LEVELS.get((level or "").upper())
    thinking = Thinking(
        effort=effort,
        budget=budget,
        mode="off" if budget == 0 else "adaptive" if budget == -1 else None,
        show=None if show is None else "auto" if show else "off",
    )
    ext = keep(config)
    if level is not None and effort is None:
        ext = ext or {PROTOCOL: {}}
        ext[PROTOCOL]["thinkingLevel"] = json.raw(level)
    return msgspec.structs.replace(thinking, ext=ext)


def _output(config: Members) -> OutputFormat | None:
    """A schema without its media type is invalid upstream: it stays where it was."""
    mime = _text(config.peek("responseMimeType"))
    if mime == "text/plain":
        config.raw("responseMimeType")
        return OutputFormat(kind="text")
    if mime not in ("application/json", "text/x.enum"):
        return None
    config.raw("responseMimeType")
    schema = _schema(config, "responseJsonSchema", "responseSchema")
    if mime == "text/x.enum":
        return OutputFormat(kind="enum", schema=schema)
    return OutputFormat(kind="json" if schema is None else "schema", schema=schema)


def _text(raw: Raw | None) -> str | None:
    return json.decode(raw, str) if raw is not None and json.is_string(raw) else None
