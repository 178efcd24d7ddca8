"""Namespaces of tools, which only Responses has: elsewhere a function `find` of `crm` is called `crm__find`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Part, ToolCall
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, ModelRequest, Tool, ToolChoice, Turn
from aiclient2api.protocols.ids import digest
from aiclient2api.protocols.report import LossReport

_FEATURE = "tool.namespace"


class Spaces(Struct, frozen=True):
    """How the tools of namespaces are called upstream."""

    flat: dict[tuple[str, str], str] = {}
    """Namespace and name to the one name."""
    paths: list[str] = []
    """Where each tool that is sent stands in the client's request; empty where they stand as they did."""

    def calls(self) -> dict[str, tuple[str, str | None]]:
        """The one name to what the client calls it: its name and its namespace."""
        return {flat: (name, space) for (space, name), flat in self.flat.items()}

    def relocated(self, losses: Sequence[Loss]) -> list[Loss]:
        """Losses of tools with the places that the client knows."""
        if not self.paths:
            return list(losses)
        known = {f"tools[{index}]": path for index, path in enumerate(self.paths)}
        return [_relocated(loss, known) for loss in losses]


def without_namespaces(request: ModelRequest) -> tuple[ModelRequest, Spaces, list[Loss]]:
    """The request with every tool at the top, and calls by the names these have there."""
    if request.protocol != "openai_responses" or not _has_spaces(request):
        return request, Spaces(), []
    report = LossReport("")
    tools, spaces = _flattened(request.tools, report)
    turns = [
        _renamed(turn, f"turns[{index}]", spaces.flat, report) if _is_spaced(turn) else turn
        for index, turn in enumerate(request.turns)
    ]
    choice = _chosen(request.tool_choice, request.tools, spaces.flat)
    return (
        msgspec.structs.replace(request, tools=tools, turns=turns, tool_choice=choice),
        spaces,
        report.losses,
    )


def _has_spaces(request: ModelRequest) -> bool:
    is_named = any(isinstance(tool, HostedTool) and tool.namespace is not None for tool in request.tools)
    return is_named or any(map(_is_spaced, request.turns))


def _is_spaced(turn: Turn) -> bool:
    return any(isinstance(part, ToolCall) and part.namespace is not None for part in turn.parts)


def _flattened(tools: list[Tool], report: LossReport) -> tuple[list[Tool], Spaces]:
    taken = {tool.name for tool in tools if isinstance(tool, FunctionTool | CustomTool)}
    out: list[Tool] = []
    flat: dict[tuple[str, str], str] = {}
    paths: list[str] = []
    for index, tool in enumerate(tools):
        space = tool.namespace if isinstance(tool, HostedTool) else None
        if space is None or not isinstance(tool, HostedTool):
            out.append(tool)
            paths.append(f"tools[{index}]")
            continue
        report.approximated(_FEATURE, f"tools[{index}]", f"called {space}__…")
        report.foreign_ext(tool, f"tools[{index}]")
        for number, inner in enumerate(tool.tools):
            paths.append(f"tools[{index}].tools[{number}]")
            if isinstance(inner, HostedTool):
                out.append(inner)
                continue
            name = _free(space, inner.name, taken)
            taken.add(name)
            flat[space, inner.name] = name
            # the namespace's own words stand before those of its first tool
            told = "\n\n".join(
                text for text in (None if number else tool.description, inner.description) if text
            )
            out.append(msgspec.structs.replace(inner, name=name, description=told or None))
    return out, Spaces(flat, paths)


def _free(space: str, name: str, taken: set[str]) -> str:
    flat = f"{space}__{name}"
    return flat if flat not in taken else f"{flat}_{digest(space, name, length=8)}"


def _renamed(turn: Turn, path: str, flat: dict[tuple[str, str], str], report: LossReport) -> Turn:
    parts: list[Part] = []
    for number, part in enumerate(turn.parts):
        if isinstance(part, ToolCall) and part.namespace is not None:
            name = flat.get((part.namespace, part.name), f"{part.namespace}__{part.name}")
            report.approximated(_FEATURE, f"{path}.parts[{number}]", f"called {name}")
            part = msgspec.structs.replace(part, name=name, namespace=None)
        parts.append(part)
    return msgspec.structs.replace(turn, parts=parts)


def _chosen(
    choice: ToolChoice | None, tools: list[Tool], flat: dict[tuple[str, str], str]
) -> ToolChoice | None:
    """A choice names a tool without its namespace, or a whole namespace."""
    if choice is None or not choice.names:
        return choice
    plain = {tool.name for tool in tools if isinstance(tool, FunctionTool | CustomTool)}
    names: list[str] = []
    for name in choice.names:
        inside = [called for (space, inner), called in flat.items() if name in (inner, space)]
        names.extend([name] if name in plain or not inside else inside)
    if choice.mode == "tool" and len(names) > 1:
        return msgspec.structs.replace(choice, mode="required", names=names)
    return msgspec.structs.replace(choice, names=names)


def _relocated(loss: Loss, known: dict[str, str]) -> Loss:
    place, bracket, rest = loss.path.partition("]")
    path = known.get(place + bracket) if loss.path.startswith("tools[") else None
    return loss if path is None else msgspec.structs.replace(loss, path=path + rest)
