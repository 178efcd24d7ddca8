"""A Messages client's request to the IR."""

from __future__ import annotations

from itertools import groupby
from typing import Literal, cast

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Part, Shape, ToolResult
from aiclient2api.ir.request import (
    Effort,
    FunctionTool,
    HostedTool,
    ModelRequest,
    OutputFormat,
    Sampling,
    Schema,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)
from aiclient2api.protocols.anthropic.decode_blocks import decode_cache, decode_content
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.schema import (
    DEFAULT_VERSION,
    EXPLICIT_STREAM,
    EXPLICIT_TYPE,
    NAME,
    SAMPLING_MEMBERS,
    STRICT_VERSION,
    THINKING_MODES,
    TIERS,
    family,
)
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import NULL, Members

_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_DISPLAYS = frozenset({"summarized", "omitted", "updates"})
_JSON_SCHEMA = Raw(b'"json_schema"')
_FAST = Raw(b'"fast"')


def is_count(path: str) -> bool:
    """Whether the path asks for a token count."""
    return path.endswith("/count_tokens")


def decode_request(request: WireRequest) -> ModelRequest:
    """The request as IR. Raises MalformedMessage with the path of what is wrong."""
    members = Members.parse(request.body)
    dialect = request.header("anthropic-version") or DEFAULT_VERSION
    counts = is_count(request.path)
    _refuse_sampling(members, dialect)
    model = members.require("model", str)
    if not model:
        raise MalformedMessage("must not be empty", "model")
    left: dict[str, Raw] = {}
    system = _system(members)
    choice, parallel = _tool_choice(members)
    effort, output = _output_config(members, left)
    streams = members.take("stream", bool)
    tools = members.array("tools")
    return ModelRequest(
        protocol=NAME,
        model=model,
        dialect=dialect,
        operation="count_tokens" if counts else "generate",
        stream="sse" if streams else "no",
        turns=[*system, *_messages(members)],
        hoisted=len(system),
        tools=[_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools or ())],
        tool_choice=choice,
        parallel_tools=parallel,
        max_output=_max_tokens(members, required=not counts),
        sampling=_sampling(members),
        thinking=_thinking(members, effort),
        output=output,
        tier=_tier(members),
        user=_user(members, left),
        cache_policy=_present(members.raw("cache_control")),
        shape=(Shape.EMPTY_LIST if tools == [] else 0) | (EXPLICIT_STREAM if streams is False else 0),
        ext=keep(members, **left),
    )


def _present(value: Raw | None) -> Raw | None:
    return None if value is None or value == NULL else value


def _refuse_sampling(members: Members, dialect: str) -> None:
    """The newer dialects answer sampling settings with these very words, whatever their value."""
    if dialect < STRICT_VERSION:
        return
    for name in SAMPLING_MEMBERS:
        if name in members:
            raise MalformedMessage("Extra inputs are not permitted", name)


def _max_tokens(members: Members, *, required: bool) -> int | None:
    value = members.require("max_tokens", int) if required else members.take("max_tokens", int)
    if value is not None and value < 0:
        raise MalformedMessage("must not be negative", "max_tokens")
    return value


def _system(members: Members) -> list[Turn]:
    content = _present(members.raw("system"))
    if content is None:
        return []
    parts, shape = decode_content(content, "system")
    return [Turn(role="system", parts=parts, shape=shape)]


def _messages(members: Members) -> list[Turn]:
    if _present(members.peek("messages")) is None:
        raise MalformedMessage("is required", "messages")
    return [turn for message in members.objects("messages") for turn in _message(message)]


def _message(message: Members) -> list[Turn]:
    """One turn, or several where a user message mixes tool results with other content."""
    role = message.require("role", str)
    content = _present(message.raw("content"))
    if content is None:
        raise MalformedMessage("is required", message.at("content"))
    parts, shape = decode_content(content, message.at("content"))
    ext = keep(message)
    match role:
        case "assistant" | "system":
            return [Turn(role=role, parts=parts, shape=shape, ext=ext)]
        case "user":
            turns = _split(parts)
            turns[0] = msgspec.structs.replace(turns[0], shape=shape, ext=ext)
            return turns
        case _:
            raise MalformedMessage("must be user, assistant or system", message.at("role"))


def _is_result(part: Part) -> bool:
    return isinstance(part, ToolResult)


def _split(parts: list[Part]) -> list[Turn]:
    """Runs of tool results and of other parts; all but the first continue the same message."""
    turns: list[Turn] = []
    for results, run in groupby(parts, _is_result):
        role = "tool" if results else "user"
        turns.append(Turn(role=role, parts=list(run), shape=Shape.CONTINUES if turns else 0))
    return turns or [Turn(role="user", parts=[])]


def _tool(tool: Raw, path: str) -> Tool:
    members = Members.parse(tool, path)
    kind = members.peek("type")
    wire_type = "custom" if kind is None or kind == NULL else json.decode(kind, str, members.at("type"))
    if wire_type != "custom":
        return HostedTool(protocol=NAME, wire_type=wire_type, raw=tool, family=family(wire_type))
    members.raw("type")
    return FunctionTool(
        name=members.require("name", str),
        description=members.take("description", str),
        parameters=Schema(_schema(members, "input_schema")),
        strict=members.take("strict", bool),
        cache=decode_cache(members),
        shape=EXPLICIT_TYPE if kind is not None else 0,
        ext=keep(members),
    )


def _schema(members: Members, key: str) -> Raw:
    schema = members.peek(key)
    if members.object(key) is None or schema is None:
        raise MalformedMessage("is required", members.at(key))
    return schema


_CHOICES: dict[str, Literal["auto", "required", "none", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "tool": "tool",
}


def _tool_choice(members: Members) -> tuple[ToolChoice | None, bool | None]:
    whole = members.peek("tool_choice")
    choice = members.object("tool_choice")
    if choice is None:
        return None, None
    kind = choice.require("type", str)
    mode = _CHOICES.get(kind)
    if mode is None:
        return ToolChoice(mode="hosted", raw=whole), None
    names = [choice.require("name", str)] if mode == "tool" else None
    serial = choice.take("disable_parallel_tool_use", bool)
    return ToolChoice(mode=mode, names=names, ext=keep(choice)), None if serial is None else not serial


def _sampling(members: Members) -> Sampling:
    return Sampling(
        temperature=members.take("temperature", float),
        top_p=members.take("top_p", float),
        top_k=members.take("top_k", float),
        stop=members.take("stop_sequences", list[str]),
    )


def _thinking(members: Members, effort: Effort | None) -> Thinking | None:
    thinking = members.object("thinking")
    if thinking is None:
        return Thinking(effort=effort) if effort else None
    mode = THINKING_MODES.get(_word(thinking, "type", frozenset(THINKING_MODES)) or "")
    show = _word(thinking, "display", _DISPLAYS)
    decoded = Thinking(
        effort=effort,
        mode=mode,
        budget=thinking.take("budget_tokens", int) if mode == "fixed" else None,
        show=cast('Literal["summarized", "omitted", "updates"] | None', show),
        ext=keep(thinking),
    )
    if decoded.mode == "fixed" and decoded.budget is None:
        raise MalformedMessage("is required", "thinking.budget_tokens")
    return decoded


def _word(members: Members, key: str, known: frozenset[str]) -> str | None:
    """Take a word we know; leave another one where it is."""
    value = _present(members.peek(key))
    if value is None or json.decode(value, str, members.at(key)) not in known:
        return None
    return members.take(key, str)


def _output_config(members: Members, left: dict[str, Raw]) -> tuple[Effort | None, OutputFormat | None]:
    config = members.object("output_config")
    if config is None:
        return None, None
    effort = cast("Effort | None", _word(config, "effort", _EFFORTS))
    output: OutputFormat | None = None
    whole = _present(config.peek("format"))
    if whole is not None:
        form = Members.parse(whole, config.at("format"))
        if form.peek("type") == _JSON_SCHEMA:
            form.raw("type")
            config.raw("format")
            output = OutputFormat(kind="schema", schema=Schema(_schema(form, "schema")), ext=keep(form))
    if config.rest() or (effort is None and output is None):
        left["output_config"] = json.raw(config.rest())
    return effort, output


def _user(members: Members, left: dict[str, Raw]) -> str | None:
    metadata = members.object("metadata")
    if metadata is None:
        return None
    user = metadata.take("user_id", str)
    if metadata.rest() or user is None:
        left["metadata"] = json.raw(metadata.rest())
    return user


def _tier(members: Members) -> str | None:
    if "service_tier" not in members and members.peek("speed") == _FAST:
        members.raw("speed")
        return "fast"
    tier = members.take("service_tier", str)
    return None if tier is None else TIERS.get(tier, tier)
