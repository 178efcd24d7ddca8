"""What a client of one protocol sends, as an upstream of another gets it: places where two packages must agree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.events import CandidateEnd, ResponseEnd, ResponseStart, UsageReport
from aiclient2api.ir.fold import unfold
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.fakes.sealing import CARRIER

CONVERTERS = {converter.name: converter for converter in BUILTIN}
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
}


def converted(client: str, upstream: str, body: Any) -> tuple[Any, list[tuple[str, str]]]:
    """The upstream's body and what the report says."""
    wire = WireRequest(path=PATHS[client], body=json.dumps(body).encode())
    request = CONVERTERS[client].decode_request(wire)
    encoded = CONVERTERS[upstream].encode_request(request, ModelProfile())
    return json.loads(encoded.wire.body), [(loss.feature, loss.act) for loss in encoded.losses]


def gemini(*contents: tuple[str, list[Any]], **members: Any) -> Any:
    return {"contents": [{"role": role, "parts": parts} for role, parts in contents], **members}


CALL = ("model", [{"functionCall": {"id": "c1", "name": "f", "args": {}}}])


@pytest.mark.parametrize("upstream", ["openai_chat", "openai_responses", "anthropic"])
def test_only_google_takes_the_url_safe_alphabet_its_sdk_writes(upstream: str) -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "-_-_"}}
    body, _ = converted("gemini", upstream, gemini(("user", [image])))
    assert "+/+/" in json.dumps(body)
    assert "-_-_" not in json.dumps(body)


@pytest.mark.parametrize(
    ("upstream", "place"),
    [
        ("openai_chat", lambda body: body["messages"][-1]["content"]),
        ("openai_responses", lambda body: body["input"][-1]["output"]),
        ("anthropic", lambda body: body["messages"][-1]["content"][0]["content"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_object_a_function_answered_is_sent_once_as_json_text(upstream: str, place: Any) -> None:
    answer = {"functionResponse": {"id": "c1", "name": "f", "response": {"t": 1.5}}}
    body, losses = converted("gemini", upstream, gemini(("user", [{"text": "x"}]), CALL, ("user", [answer])))
    assert place(body) == '{"t": 1.5}'
    assert ("tool_result.structured", "approximated") in losses


def test_an_object_beside_an_image_is_not_lost_in_chat() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
    answer = {"functionResponse": {"id": "c1", "name": "f", "response": {"t": 1.5}, "parts": [image]}}
    body, _ = converted("gemini", "openai_chat", gemini(("user", [{"text": "x"}]), CALL, ("user", [answer])))
    assert body["messages"][2]["content"].startswith('{"t": 1.5}\n')


def test_the_empty_text_that_ends_a_gemini_stream_is_no_change_of_order() -> None:
    thought = ("model", [{"text": "Hm", "thought": True}, {"text": ""}, *CALL[1], {"text": ""}])
    answer = {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "ok"}}}
    _, losses = converted(
        "gemini", "openai_chat", gemini(("user", [{"text": "x"}]), thought, ("user", [answer]))
    )
    assert ("part.order", "approximated") not in losses


@pytest.mark.parametrize("upstream", ["openai_chat", "openai_responses", "anthropic"])
def test_the_role_of_googles_system_instruction_means_nothing(upstream: str) -> None:
    system = {"role": "user", "parts": [{"text": "S"}]}
    body, losses = converted("gemini", upstream, gemini(("user", [{"text": "x"}]), systemInstruction=system))
    assert "S" in json.dumps(body)
    assert [feature for feature, act in losses if act == "dropped"] == []


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "gemini"])
def test_reasoning_that_is_sealed_anyway_loses_nothing_with_include(upstream: str) -> None:
    _, losses = converted(
        "openai_responses", upstream, {"model": "m", "input": "x", "include": ["reasoning.encrypted_content"]}
    )
    assert [feature for feature, act in losses if act == "dropped"] == []


@pytest.mark.parametrize(("written", "is_lost"), [(0, False), (3, True)], ids=["none", "some"])
def test_cache_writes_by_age_are_only_lost_where_there_were_any(written: int, is_lost: bool) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": written}
    usage["cache_creation"] = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0}  # pyright: ignore
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    message |= {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "stop_sequence": None}
    answer = WireResponse(status=200, body=json.dumps(message).encode())
    decoded = CONVERTERS["anthropic"].decode_response(answer)
    request = ModelRequest(protocol="openai_chat", model="m")
    encoded = CONVERTERS["openai_chat"].encode_response(decoded, request)
    assert (("usage.detail", "dropped") in [(loss.feature, loss.act) for loss in encoded.losses]) == is_lost


def test_the_final_usage_of_messages_has_its_own_members_only() -> None:
    encoder = CONVERTERS["anthropic"].stream_encoder(ModelRequest(protocol="anthropic", model="m"))
    usage = Usage(input=1, output=2, cache_write_ttl={"5m": 3}, cache_write=3)
    events = [
        ResponseStart(id="r", tier="default"),
        UsageReport(usage, final=True),
        CandidateEnd(Finish(reason="stop")),
        ResponseEnd(tier="default"),
    ]
    written = b"".join(encoder.feed(event) for event in events).decode()
    delta = json.loads(written.partition("event: message_delta\ndata: ")[2].partition("\n")[0])
    assert delta["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
    }


def test_an_empty_list_of_one_protocol_is_not_written_in_another() -> None:
    items = [
        {"role": "user", "content": "x"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "y"},
    ]
    body, _ = converted("openai_responses", "anthropic", {"model": "m", "input": items})
    assert body["messages"][1]["content"][0] == {"type": "text", "text": "Hi"}


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "gemini"])
@pytest.mark.parametrize(
    ("member", "code", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "'resp_1' not found"),
        ({"conversation": "conv_1"}, "previous_response_not_found", "conversation was not found"),
        ({"background": True}, "unsupported_content", "in the background"),
    ],
    ids=["previous response", "conversation", "background"],
)
def test_state_of_another_provider_is_refused_in_openais_words(
    upstream: str, member: dict[str, object], code: str, words: str
) -> None:
    wire = WireRequest(
        path=PATHS["openai_responses"], body=json.dumps({"model": "m", "input": "x", **member}).encode()
    )
    responses = CONVERTERS["openai_responses"]
    factory = ConverterFactory(BUILTIN, CARRIER)
    with pytest.raises(Unrepresentable) as refused:
        factory.convert(Inbound(responses, wire, "t"), upstream, Target(model="m", profile=ModelProfile()))
    answer = responses.encode_error(refused.value.info)
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["code"], error["param"]) == (
        400,
        "invalid_request_error",
        code,
        *member,
    )
    assert words in error["message"]


def answered(client: str, upstream: str, body: Any) -> tuple[set[str], set[str]]:
    """The losses that a client is told of an upstream's answer: unary and streamed."""
    response = CONVERTERS[upstream].decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    request = ModelRequest(protocol=client, model="m", turns=[])
    whole = CONVERTERS[client].encode_response(response, request)
    stream = CONVERTERS[client].stream_encoder(request)
    for event in unfold(response):
        stream.feed(event)
    return {loss.feature for loss in whole.losses}, {loss.feature for loss in stream.losses}


SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
}
PHASED = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [SAID]}


@pytest.mark.parametrize("client", ["openai_chat", "anthropic", "gemini"])
def test_the_phase_of_a_message_is_a_loss_wherever_it_has_no_place(client: str) -> None:
    assert answered(client, "openai_responses", PHASED) == ({"message.phase"}, {"message.phase"})


DECLINED = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "I can"}],
    "container": None,
    "stop_reason": "refusal",
    "stop_details": {"type": "refusal", "category": "cyber", "explanation": "That is harmful."},
}


@pytest.mark.parametrize(
    ("client", "lost"),
    [
        ("openai_chat", {"finish.category"}),
        ("openai_responses", {"finish.category", "finish.explanation"}),
        ("gemini", {"finish.explanation"}),
    ],
)
def test_why_an_answer_was_declined_is_told_or_reported(client: str, lost: set[str]) -> None:
    assert answered(client, "anthropic", DECLINED) == (lost, lost)


@pytest.mark.parametrize("client", ["openai_responses", "anthropic", "gemini"])
def test_the_envelope_of_an_answer_is_no_loss(client: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    body = {"id": "c", "model": "m", "choices": [choice], "system_fingerprint": "fp", "provider": "p"}
    assert answered(client, "openai_chat", body) == (set(), set())
