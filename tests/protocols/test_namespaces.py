"""A namespace of tools, which only Responses has: its functions go as `namespace__name`, and calls find back."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.protocols.exchanges import FACTORY, chat, content, message

PLAIN: Final = {"type": "object", "properties": {}}
FIND: Final = {"type": "function", "name": "find", "description": "Finds", "parameters": PLAIN}
RUN: Final = {"type": "custom", "name": "run"}
SPACE: Final = {"type": "namespace", "name": "crm", "description": "The CRM", "tools": [FIND, RUN]}
USER: Final = {"role": "user", "content": "hi"}
CALLED: Final = {
    "type": "function_call",
    "call_id": "c0",
    "name": "find",
    "namespace": "crm",
    "arguments": "{}",
}
ANSWERED: Final = {"type": "function_call_output", "call_id": "c0", "output": "r"}
ANSWERS: Final[dict[str, Any]] = {
    "openai_chat": lambda name, arguments: chat(
        {
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(arguments)},
                }
            ],
        },
        "tool_calls",
    ),
    "anthropic": lambda name, arguments: message(
        [{"type": "tool_use", "id": "c1", "name": name, "input": arguments}], "tool_use"
    ),
    "gemini": lambda name, arguments: content(
        [{"functionCall": {"id": "c1", "name": name, "args": arguments}}], finishReason="STOP"
    ),
}
UPSTREAMS: Final = sorted(ANSWERS)


def converted(upstream: str, *items: Any, **members: Any) -> Any:
    body = json.dumps({"model": "m", "input": [*items] or [USER], **members}).encode()
    inbound = Inbound(FACTORY["openai_responses"], WireRequest(path="/v1/responses", body=body), "t")
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=False)
    return FACTORY.convert(inbound, upstream, target)


def names(body: dict[str, Any]) -> list[str]:
    """The functions that an upstream was given."""
    tools = [
        one
        for tool in body["tools"]
        for one in tool.get("functionDeclarations") or [tool.get("function") or tool.get("custom") or tool]
    ]
    return [tool["name"] for tool in tools]


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_the_tools_of_a_namespace_are_declared_and_the_report_says_how(upstream: str) -> None:
    conversion = converted(upstream, tools=[SPACE])
    body = json.loads(conversion.request.body)

    assert names(body) == ["crm__find", "crm__run"]
    assert "The CRM\\n\\nFinds" in conversion.request.body.decode()
    found = [(loss.feature, loss.path, loss.act) for loss in conversion.losses]
    assert ("tool.namespace", "tools[0]", "approximated") in found
    assert not any(feature == "tool.hosted" for feature, _, _ in found)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize(
    ("called", "arguments", "type_", "told"),
    [
        ("crm__find", {"q": 1}, "function_call", {"arguments": '{"q":1}'}),
        ("crm__run", {"input": "x"}, "custom_tool_call", {"input": "x"}),
    ],
)
def test_a_call_comes_back_with_its_name_and_its_namespace(
    upstream: str, called: str, arguments: Any, type_: str, told: Any
) -> None:
    answer = ANSWERS[upstream](called, arguments)
    conversion = converted(upstream, tools=[SPACE])
    whole = conversion.whole(
        WireResponse(status=200, body=json.dumps(answer, separators=(",", ":")).encode())
    )
    item = json.loads(whole.response.body)["output"][0]

    assert (item["type"], item["namespace"], item["name"]) == (type_, "crm", called.removeprefix("crm__"))
    assert {key: item[key].replace(" ", "") for key in told} == told


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_earlier_calls_have_the_name_of_the_declaration(upstream: str) -> None:
    conversion = converted(upstream, USER, CALLED, ANSWERED, tools=[SPACE])

    assert conversion.request.body.count(b'"crm__find"') >= 2
    assert b'"find"' not in conversion.request.body


def test_a_name_that_is_taken_already_gets_another_one() -> None:
    taken = {"type": "function", "name": "crm__find", "parameters": PLAIN}
    body = json.loads(converted("anthropic", tools=[taken, SPACE]).request.body)

    assert names(body)[0] == "crm__find"
    assert names(body)[1].startswith("crm__find_")


def test_what_gets_lost_of_a_tool_is_told_where_the_client_wrote_it() -> None:
    inner = {**FIND, "defer_loading": True}
    losses = converted("anthropic", tools=[{**SPACE, "tools": [RUN, inner]}]).losses

    assert ("ext.defer_loading", "tools[0].tools[1]") in [(loss.feature, loss.path) for loss in losses]


def test_a_choice_finds_its_tool_inside_a_namespace() -> None:
    choice = {"type": "function", "name": "find"}
    body = json.loads(converted("anthropic", tools=[SPACE], tool_choice=choice).request.body)

    assert body["tool_choice"] == {"type": "tool", "name": "crm__find"}
