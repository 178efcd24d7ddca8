from __future__ import annotations

import re

import pytest
from msgspec import Raw

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Text, ToolCall, ToolResult
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, ModelRequest, ToolChoice, Turn
from aiclient2api.protocols.tool_names import ToolNames

OPENAI = re.compile(r"[a-zA-Z0-9_-]{1,64}")
GEMINI = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
LONG = "mcp.server/read file"
SHORT = "mcp_server_read_file_k25aygzl"


def request(*names: str) -> ModelRequest:
    return ModelRequest(
        protocol="gemini",
        model="m",
        tools=[FunctionTool(name=name) for name in names],
        tool_choice=ToolChoice(mode="tool", names=[names[0]]),
        turns=[
            Turn(role="user", parts=[Text(text=names[0])]),
            Turn(role="assistant", parts=[ToolCall(call_id="c", name=names[0], arguments="{}")]),
            Turn(role="tool", parts=[ToolResult(call_id="c", name=names[0])]),
        ],
    )


def test_legal_names_cost_nothing() -> None:
    asked = request("read_file", "a-b")
    names = ToolNames(asked, OPENAI)
    event = PartStart(0, ToolCall(call_id="c", name="read_file"))

    assert names.shorten(asked) is asked
    assert names.restore(event) is event
    assert names.losses == []


def test_a_renamed_tool_is_renamed_everywhere() -> None:
    asked = request(LONG, "fine")
    names = ToolNames(asked, OPENAI)

    sent = names.shorten(asked)

    assert sent.tools == [FunctionTool(name=SHORT), FunctionTool(name="fine")]
    assert sent.tool_choice == ToolChoice(mode="tool", names=[SHORT])
    assert [turn.parts for turn in sent.turns] == [
        [Text(text=LONG)],
        [ToolCall(call_id="c", name=SHORT, arguments="{}")],
        [ToolResult(call_id="c", name=SHORT)],
    ]
    assert names.losses == [Loss("tool.name", "tools[0]", "emulated", note="renamed for the upstream")]


@pytest.mark.parametrize(
    ("event", "restored"),
    [
        pytest.param(
            PartStart(0, ToolCall(call_id="c", name=SHORT), 1),
            PartStart(0, ToolCall(call_id="c", name=LONG), 1),
            id="at the start",
        ),
        pytest.param(
            PartEnd(0, ToolCall(call_id="c", name=SHORT, arguments="{}")),
            PartEnd(0, ToolCall(call_id="c", name=LONG, arguments="{}")),
            id="at the end",
        ),
        pytest.param(PartEnd(0), PartEnd(0), id="an end without the whole"),
        pytest.param(PartDelta(0, SHORT), PartDelta(0, SHORT), id="text"),
        pytest.param(
            PartStart(0, ToolCall(call_id="c", name="fine")),
            PartStart(0, ToolCall(call_id="c", name="fine")),
            id="another tool",
        ),
    ],
)
def test_an_answer_names_the_clients_own_tools(event: StreamEvent, restored: StreamEvent) -> None:
    names = ToolNames(request(LONG, "fine"), OPENAI)

    assert names.restore(event) == restored


@pytest.mark.parametrize(
    "name",
    [LONG, "x" * 200, "1st", "-dash", "é", "日本語", "", " ", "a" * 64 + "!", ".hidden", "9" * 100],
)
def test_a_new_name_is_legal_everywhere(name: str) -> None:
    asked = request(name)

    sent = ToolNames(asked, re.compile("never")).shorten(asked)

    new = sent.tools[0]
    assert isinstance(new, FunctionTool)
    assert OPENAI.fullmatch(new.name)
    assert GEMINI.fullmatch(new.name)
    assert len(new.name) <= 64


def test_names_that_look_alike_stay_apart() -> None:
    asked = request("a.b", "a/b")

    sent = ToolNames(asked, OPENAI).shorten(asked)

    assert len({tool.name for tool in sent.tools if isinstance(tool, FunctionTool)}) == 2


def test_custom_tools_are_renamed_and_hosted_tools_are_left_alone() -> None:
    hosted = HostedTool(protocol="anthropic", wire_type="web.search", raw=Raw(b"{}"))
    asked = ModelRequest(protocol="openai_responses", model="m", tools=[CustomTool(name=LONG), hosted])

    sent = ToolNames(asked, OPENAI).shorten(asked)

    assert sent.tools == [CustomTool(name=SHORT), hosted]
    assert sent.tool_choice is None
