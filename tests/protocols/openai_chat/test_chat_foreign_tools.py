"""Tools and tool choices of other protocols for a Chat upstream."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, Schema, ToolChoice
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.openai_chat.chat_wire import COMPATIBLE, encode, foreign, losses, user

TOOL = FunctionTool(name="f", parameters=Schema(Raw(b'{"type":"object"}')))
SQL = CustomTool(name="sql", description="Run SQL", format=Raw(b'{"type":"text"}'))

TOOLS: dict[str, tuple[dict[str, Any], ModelProfile, dict[str, object], list[tuple[str, str]]]] = {
    "function": (
        {"tools": [TOOL]},
        DEFAULT_PROFILE,
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        [],
    ),
    "openapi schema": (
        {
            "tools": [
                FunctionTool(
                    name="f",
                    parameters=Schema(
                        Raw(b'{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}'),
                        "openapi",
                    ),
                )
            ]
        },
        DEFAULT_PROFILE,
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "parameters": {
                            "type": "object",
                            "properties": {"a": {"type": ["string", "null"]}},
                        },
                    },
                }
            ]
        },
        [],
    ),
    "custom": (
        {"tools": [SQL], "tool_choice": ToolChoice(mode="tool", names=["sql"], kind="custom")},
        DEFAULT_PROFILE,
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {"name": "sql", "description": "Run SQL", "format": {"type": "text"}},
                }
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "sql"}},
        },
        [],
    ),
    "custom on a compatible server": (
        {"tools": [SQL], "tool_choice": ToolChoice(mode="tool", names=["sql"], kind="custom")},
        COMPATIBLE,
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "sql",
                        "description": "Run SQL",
                        "parameters": {
                            "type": "object",
                            "properties": {"input": {"type": "string"}},
                            "required": ["input"],
                            "additionalProperties": False,
                        },
                    },
                }
            ],
            "tool_choice": {"type": "function", "function": {"name": "sql"}},
        },
        [("tool.custom", "emulated")],
    ),
    "hosted tools stay behind, and then no choice is sent": (
        {
            "tools": [HostedTool(protocol="anthropic", wire_type="web_search_20250305", raw=Raw(b"{}"))],
            "tool_choice": ToolChoice(mode="auto"),
            "parallel_tools": False,
        },
        DEFAULT_PROFILE,
        {},
        [("tool.hosted", "dropped")],
    ),
    "parallel calls off": (
        {"tools": [TOOL], "tool_choice": ToolChoice(mode="auto"), "parallel_tools": False},
        DEFAULT_PROFILE,
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": "auto",
            "parallel_tool_calls": False,
        },
        [],
    ),
}


@pytest.mark.parametrize(("members", "profile", "body", "lost"), TOOLS.values(), ids=TOOLS.keys())
def test_tools_are_translated(
    members: dict[str, Any],
    profile: ModelProfile,
    body: dict[str, object],
    lost: list[tuple[str, str]],
) -> None:
    request = foreign(user(Text(text="hi")), **members)
    encoded = encode(request, profile)
    del encoded["model"], encoded["messages"]
    assert (encoded, losses(request, profile)) == (body, lost)


SUBSET = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
}


@pytest.mark.parametrize(
    ("choice", "profile", "expected", "lost"),
    [
        (ToolChoice(mode="none"), DEFAULT_PROFILE, "none", []),
        (ToolChoice(mode="required"), DEFAULT_PROFILE, "required", []),
        (
            ToolChoice(mode="tool", names=["f"]),
            DEFAULT_PROFILE,
            {"type": "function", "function": {"name": "f"}},
            [],
        ),
        (ToolChoice(mode="required", names=["f"]), DEFAULT_PROFILE, SUBSET, []),
        (
            ToolChoice(mode="required", names=["f"]),
            COMPATIBLE,
            "required",
            [("tool_choice.subset", "approximated")],
        ),
        (
            ToolChoice(mode="required"),
            ModelProfile(forced_tool_choice=False),
            "auto",
            [("tool_choice", "approximated")],
        ),
        (ToolChoice(mode="auto", validated=True), DEFAULT_PROFILE, "auto", [("tool_choice", "approximated")]),
        (ToolChoice(mode="hosted", raw=Raw(b"{}")), DEFAULT_PROFILE, None, [("tool_choice", "dropped")]),
    ],
    ids=["none", "required", "one", "subset", "subset on a server", "cannot force", "validated", "hosted"],
)
def test_tool_choices_are_translated(
    choice: ToolChoice, profile: ModelProfile, expected: object, lost: list[tuple[str, str]]
) -> None:
    request = foreign(tools=[TOOL], tool_choice=choice)
    assert (encode(request, profile).get("tool_choice"), losses(request, profile)) == (expected, lost)
