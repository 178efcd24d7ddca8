"""Tool names that a target does not accept: renamed in the request, restored in the answer."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from aiclient2api.ir.events import PartEnd, PartStart, StreamEvent
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Part, ToolCall, ToolResult
from aiclient2api.ir.request import CustomTool, FunctionTool, ModelRequest
from aiclient2api.protocols.ids import digest
from aiclient2api.protocols.namespaces import Spaces


class ToolNames:
    """The renaming for one request; empty, and then free of cost, in nearly all cases."""

    def __init__(self, request: ModelRequest, allowed: re.Pattern[str], spaces: Spaces | None = None) -> None:
        """`spaces`: what became of the client's namespaces in `request`."""
        self._short: dict[str, str] = {}
        self.losses: list[Loss] = []
        for index, tool in enumerate(request.tools):
            if isinstance(tool, FunctionTool | CustomTool) and not allowed.fullmatch(tool.name):
                self._short[tool.name] = _short(tool.name)
                self.losses.append(
                    Loss("tool.name", f"tools[{index}]", "emulated", note="renamed for the upstream")
                )
        self._long: dict[str, tuple[str, str | None]] = {}
        spaced = spaces.calls() if spaces is not None and spaces.flat else {}
        if spaced or self._short:
            known = {name: name for name in spaced} | self._short
            self._long = {short: spaced.get(name, (name, None)) for name, short in known.items()}
        self.restores = bool(self._long)
        """Whether answers may hold names that are not the client's."""

    def shorten(self, request: ModelRequest) -> ModelRequest:
        """The request with names the target accepts."""
        if not self._short:
            return request
        replace, short = msgspec.structs.replace, self._short
        choice = request.tool_choice
        if choice is not None and choice.names:
            choice = replace(choice, names=[short.get(name, name) for name in choice.names])
        return replace(
            request,
            tools=[
                replace(tool, name=short.get(tool.name, tool.name))
                if isinstance(tool, FunctionTool | CustomTool)
                else tool
                for tool in request.tools
            ],
            tool_choice=choice,
            turns=[
                replace(turn, parts=[self._rename(part) for part in turn.parts]) for turn in request.turns
            ],
        )

    def _rename(self, part: Part) -> Part:
        if isinstance(part, ToolCall | ToolResult) and part.name in self._short:
            return msgspec.structs.replace(part, name=self._short[part.name])
        return part

    def restore(self, event: StreamEvent) -> StreamEvent:
        """An answer's event with the client's own names."""
        if not self._long or not isinstance(event, PartStart | PartEnd):
            return event
        part = event.part
        if isinstance(part, ToolCall) and part.name in self._long:
            name, space = self._long[part.name]
            called = msgspec.structs.replace(part, name=name, namespace=space or part.namespace)
            return msgspec.structs.replace(event, part=called)
        return event


NO_NAMES: Final = ToolNames(ModelRequest(protocol="", model=""), re.compile(""))
"""Of a request without tools."""


def _short(name: str) -> str:
    """A name every protocol accepts: at most 64 characters, and Gemini wants a letter or underscore first."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if not readable[:1].isalpha():
        readable = f"_{readable}"
    return f"{readable[:55]}_{digest(name, length=8)}"
