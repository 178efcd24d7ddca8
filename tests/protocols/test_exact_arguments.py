"""The exact text of a call's arguments comes back to its upstream through clients that parse and write it again."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from aiclient2api.ir.fold import unfold
from aiclient2api.ir.parts import ToolCall
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.exact_arguments import is_plain, is_same
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.protocols.side_table import MAX_BYTES, TurnRecorder, wanted
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from tests.fakes.sealing import answer
from tests.protocols.exchanges import ASKS, FACTORY, chat
from tests.protocols.test_side_table import QUESTION, SIGNATURE, THINKING, recorded

EXACT: Final = '{ "a": 1.50, "n": 12345678901234567890, "s": "\\u00e9", "l": [1.0, true] }'


def talk(client: str, arguments: str, message: dict[str, Any]) -> tuple[Inbound, list[str]]:
    """The client's second request, with its records, after an answer of a Chat upstream that calls a tool."""
    records: dict[str, bytes] = {}

    def remember(call_id: str, record: bytes | None) -> None:
        if record is not None:
            records[call_id] = record

    path, asked = ASKS[client]
    first = Inbound(FACTORY[client], WireRequest(path=path, body=json.dumps(asked).encode()), "t")
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=False, remember=remember)
    function = {"name": "f", "arguments": arguments}
    said = {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    body = json.dumps(chat({**said, **message}, "tool_calls")).encode()
    wire = WireResponse(status=200, body=body, headers=JSON_HEADERS)
    told = json.loads(FACTORY.convert(first, "openai_chat", target).whole(wire).response.body)
    if client == "anthropic":
        result = {"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}
        turns = [{"role": "assistant", "content": told["content"]}, {"role": "user", "content": [result]}]
        again = {**asked, "messages": [*asked["messages"], *turns]}
    else:
        response = {"functionResponse": {"id": "call_1", "name": "f", "response": {"output": "ok"}}}
        turns = [told["candidates"][0]["content"], {"role": "user", "parts": [response]}]
        again = {**asked, "contents": [*asked["contents"], *turns]}
    second = Inbound(FACTORY[client], WireRequest(path=path, body=json.dumps(again).encode()), "t")
    ids = wanted(second.request())
    second.records = {call_id: records[call_id] for call_id in ids if call_id in records}
    return second, ids


@pytest.mark.parametrize("client", ["anthropic", "gemini"])
@pytest.mark.parametrize("arguments", [EXACT, "", '{"a":1.0}'])
@pytest.mark.parametrize("message", [{}, {"reasoning_content": "Hm"}], ids=["alone", "behind a thought"])
def test_the_upstream_gets_the_arguments_as_it_wrote_them(
    client: str, arguments: str, message: dict[str, Any]
) -> None:
    second, ids = talk(client, arguments, message)
    conversion = FACTORY.convert(
        second, "openai_chat", Target(model="m", profile=DEFAULT_PROFILE, streams=False)
    )
    sent = json.loads(conversion.request.body)["messages"][1]
    assert ids == ["call_1"]
    assert sent["tool_calls"][0]["function"]["arguments"] == arguments
    told = {(loss.feature, loss.act) for loss in conversion.losses}
    assert ("tool_call.arguments", "side_table") in told or arguments == '{"a":1.0}'


def test_what_any_client_writes_again_is_not_kept() -> None:
    kept = TurnRecorder(ModelRequest(protocol="anthropic", model="m", turns=[QUESTION]), "mark")
    for text in ('{"a":1,"b":["x"]}', "{}", "no object", '{"a":{"b":null}}'):
        assert is_plain(text), text
    assert kept.record() is None


def test_a_changed_value_stays_the_clients() -> None:
    assert is_same('{"a": 1.50, "b": 1}', '{"b":1.0,"a":1.5}')
    for other in ('{"a":1.51,"b":1}', '{"a":1.5}', '{"a":1.5,"b":true}', "nothing", '{"a":1.5,"b":"1"}'):
        assert not is_same('{"a": 1.50, "b": 1}', other), other
    assert not is_same('{"a":' * 5000 + "1" + "}" * 5000, '{"a":' * 5000 + "1" + "}" * 5000)


def test_clients_that_keep_the_text_need_no_record() -> None:
    call = ToolCall(call_id="c1", name="f", arguments=EXACT)
    assert recorded([call]) == ("c1", None)


def test_long_arguments_do_not_cost_a_turn_its_state() -> None:
    asked = ModelRequest(protocol="anthropic", model="m", turns=[QUESTION])
    recorder = TurnRecorder(asked, "mark")
    long = json.dumps({"text": "x" * MAX_BYTES})
    for event in unfold(answer([THINKING, ToolCall(call_id="c1", name="f", arguments=long)])):
        recorder.note(event)
    found = recorder.record()
    assert found is not None and found[1] is not None and SIGNATURE.data.encode() in found[1]
    assert len(found[1]) < MAX_BYTES
