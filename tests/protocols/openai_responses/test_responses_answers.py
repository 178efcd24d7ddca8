"""Complete answers: an upstream's decoded, and what a client of this protocol gets of another's."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from openai.types.responses import Response

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
    Inline,
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.ir.response import Finish, ModelResponse, Usage
from aiclient2api.wire.http import WireResponse
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    answer,
    decode,
    decode_answer,
    encode_answer,
)

REQUEST = decode(
    {
        "model": "alias",
        "instructions": "be brief",
        "input": "hi",
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "custom", "name": "sql"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "temperature": 0.5,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "store": True,
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "parallel_tool_calls": False,
        "truncation": "auto",
    }
)


def _upstream(**members: Any) -> ModelResponse:
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 5,
        "model": "m",
        "status": "completed",
        "output": [],
    }
    return decode_answer({**body, **members})


def test_answer_repeats_the_request_and_tells_the_truth_about_storage() -> None:
    body = encode_answer(answer(Text(text="Hi")), REQUEST)

    assert Response.model_validate(body)
    assert body["instructions"] == "be brief"
    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": None,
            "parameters": {"type": "object"},
            "strict": True,
        },
        {"type": "custom", "name": "sql"},
    ]
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert body["temperature"] == 0.5
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body["metadata"] == {"a": "b"}
    assert body["store"] is False
    assert body["max_output_tokens"] == 100
    assert body["max_tool_calls"] == 2
    assert body["parallel_tool_calls"] is False
    assert body["truncation"] == "auto"
    assert body["model"] == "claude"
    assert body["usage"] is None
    assert body["created_at"] == 0


def test_ids_are_minted_from_the_answer_and_the_position() -> None:
    first = encode_answer(answer(Text(text="Hi"), ToolCall(call_id="c", name="g", arguments="{}")))
    second = encode_answer(answer(Text(text="Hello"), ToolCall(call_id="c", name="g", arguments="{}")))

    assert first["id"] == second["id"]
    assert first["id"].startswith("resp_")
    assert [item["id"] for item in first["output"]] == [item["id"] for item in second["output"]]
    assert first["output"][0]["id"].startswith("msg_gw_")
    assert first["output"][1]["id"].startswith("fc_gw_")


def test_items_of_every_kind() -> None:
    body = encode_answer(
        answer(
            Reasoning(id="rs_1", summary=["A"], raw=["R"], opaque=Opaque("openai.encrypted", "gAAA")),
            Reasoning(id="rs_2", opaque=Opaque("envelope", "Z3ctY2Fycnkx")),
            Text(text="a", id="msg_1", phase="commentary"),
            Refusal(text="no"),
            Text(text="b", id="msg_2", new_item=True),
            ToolCall(id="fc_1", call_id="c1", name="f", arguments='{"t":1.50}'),
            ToolCall(id="ctc_1", call_id="c2", name="sql", arguments='{"input":"SELECT 1"}'),
            Media(id="ig_1", kind="image", source=Inline("image/png", "iVBO")),
        ),
        REQUEST,
    )

    assert Response.model_validate(body)
    assert body["output"] == [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "A"}],
            "content": [{"type": "reasoning_text", "text": "R"}],
            "encrypted_content": "gAAA",
        },
        {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "Z3ctY2Fycnkx"},
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "phase": "commentary",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {
            "id": "msg_2",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "f",
            "arguments": '{"t":1.50}',
        },
        {
            "id": "ctc_1",
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": "c2",
            "name": "sql",
            "input": "SELECT 1",
        },
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBO"},
    ]


def test_citations_and_logprobs_of_a_text() -> None:
    text = Text(
        text="abc",
        citations=[
            Citation(kind="url", url="https://a", title="A", span=(0, 2)),
            Citation(kind="url", url="https://b"),
            Citation(kind="document", quote="q"),
        ],
        logprobs=[TokenLogprob(token="é", logprob=-1.0, top=[TokenLogprob(token="e", logprob=-2.0)])],
    )
    encoded = CONVERTER.encode_response(answer(text), REQUEST)
    (part,) = encode_answer(answer(text), REQUEST)["output"][0]["content"]

    assert part["annotations"] == [
        {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "A", "url": "https://a"},
        {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "https://b", "url": "https://b"},
    ]
    assert part["logprobs"] == [
        {
            "token": "é",
            "bytes": [195, 169],
            "logprob": -1.0,
            "top_logprobs": [{"token": "e", "bytes": [101], "logprob": -2.0}],
        }
    ]
    assert [loss.feature for loss in encoded.losses] == ["citation"]


def test_foreign_hosted_blocks_are_dropped_and_named() -> None:
    part = HostedCall(protocol="gemini", wire_type="executableCode", raw=Raw(b"{}"))
    encoded = CONVERTER.encode_response(answer(part), REQUEST)

    assert encode_answer(answer(part))["output"] == []
    assert [loss.feature for loss in encoded.losses] == ["tool.hosted"]


FINISHES: dict[str, tuple[Finish, str, object]] = {
    "stop": (Finish(reason="stop"), "completed", None),
    "stop sequence": (Finish(reason="stop_sequence", stop_sequence="x"), "completed", None),
    "tool use": (Finish(reason="tool_use"), "completed", None),
    "length": (Finish(reason="length"), "incomplete", {"reason": "max_output_tokens"}),
    "context length": (Finish(reason="context_length"), "incomplete", {"reason": "max_output_tokens"}),
    "continuation": (Finish(reason="continuation"), "incomplete", {"reason": "max_output_tokens"}),
    "content filter": (Finish(reason="content_filter"), "incomplete", {"reason": "content_filter"}),
    "recitation": (Finish(reason="recitation"), "incomplete", {"reason": "content_filter"}),
    "refusal": (Finish(reason="refusal"), "incomplete", {"reason": "content_filter"}),
    "pause": (Finish(reason="pause"), "completed", None),
    "other": (Finish(reason="other"), "completed", None),
    "unknown": (Finish(reason="unknown"), "completed", None),
    "malformed": (Finish(reason="malformed"), "failed", None),
    "error": (Finish(reason="error"), "failed", None),
}


@pytest.mark.parametrize(("finish", "status", "details"), FINISHES.values(), ids=FINISHES.keys())
def test_finish_becomes_a_status(finish: Finish, status: str, details: object) -> None:
    body = encode_answer(answer(Text(text="x"), finish=finish))

    assert (body["status"], body["incomplete_details"]) == (status, details)
    assert (body["error"] is not None) == (status == "failed")
    assert Response.model_validate(body)


def test_refusal_in_words_is_a_complete_answer() -> None:
    body = encode_answer(answer(Refusal(text="no"), finish=Finish(reason="refusal")))

    assert body["status"] == "completed"


def test_blocked_prompt_is_an_incomplete_answer_without_output() -> None:
    blocked = ModelResponse(
        protocol="gemini", id="r", model="g", blocked=Finish(reason="content_filter"), usage=Usage(input=7)
    )

    body = encode_answer(blocked)

    assert (body["status"], body["output"]) == ("incomplete", [])
    assert body["incomplete_details"] == {"reason": "content_filter"}


STATUSES: dict[str, tuple[dict[str, Any], str]] = {
    "completed": ({}, "stop"),
    "refusal": (
        {
            "output": [
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
            ]
        },
        "refusal",
    ),
    "call": (
        {"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
        "tool_use",
    ),
    "client-executed call": ({"output": [{"type": "apply_patch_call", "call_id": "c"}]}, "tool_use"),
    "truncated call": (
        {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{"}],
        },
        "length",
    ),
    "filtered": (
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        "content_filter",
    ),
    "later member": (
        {"status": "incomplete", "incomplete_details": {"reason": "max_messages", "later": {"a": 1}}},
        "length",
    ),
    "many messages": ({"status": "incomplete", "incomplete_details": {"reason": "max_messages"}}, "length"),
    "for no reason": ({"status": "incomplete"}, "length"),
    "steered": ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "steered"),
    "failed": ({"status": "failed", "error": {"code": "server_error", "message": "boom"}}, "error"),
    "cancelled": ({"status": "cancelled"}, "cancelled"),
    "queued": ({"status": "queued"}, "unknown"),
}


@pytest.mark.parametrize(("members", "reason"), STATUSES.values(), ids=STATUSES.keys())
def test_status_becomes_a_finish(members: dict[str, Any], reason: str) -> None:
    finish = _upstream(**members).candidates[0].finish

    assert finish is not None
    assert finish.reason == reason


@pytest.mark.parametrize("members", [case[0] for case in STATUSES.values()], ids=STATUSES.keys())
def test_outcome_of_an_answer_comes_back(members: dict[str, Any]) -> None:
    body = encode_answer(_upstream(**members))

    assert body["status"] == members.get("status", "completed")
    assert body["incomplete_details"] == members.get("incomplete_details")
    assert body["error"] == members.get("error")


def test_usage_follows_the_sum_law() -> None:
    usage = Usage(input=1000, cache_read=600, cache_write=100, tool_input=50, output=300, reasoning=120)

    assert encode_answer(answer(usage=usage))["usage"] == {
        "input_tokens": 1050,
        "input_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
        "output_tokens": 300,
        "output_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": 1350,
    }


def test_usage_comes_back_with_details_that_we_do_not_know() -> None:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {
            "cached_tokens": 4,
            "cache_write_tokens": 3,
            "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 2},
            "image_tokens": 5,
        },
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
        "total_tokens": 17,
        "num_sources_used": 0,
    }
    response = _upstream(usage=usage)

    assert response.usage is not None
    assert response.usage.cache_write_ttl == {"30m": 1, "12h": 2}
    assert encode_answer(response)["usage"] == usage


def test_usage_of_a_relayed_answer() -> None:
    body = b'{"usage":{"input_tokens":3,"output_tokens":4}}'

    assert CONVERTER.usage(WireResponse(status=200, body=body)) == Usage(input=3, output=4)
    assert CONVERTER.usage(WireResponse(status=200, body=b"<html>")) is None
    assert CONVERTER.usage(WireResponse(status=200, body=b'{"usage":null}')) is None


def test_echoed_answer_is_a_valid_next_request() -> None:
    parts = [
        Reasoning(summary=["A"], opaque=Opaque("envelope", "Z3ctY2Fycnkx")),
        Text(text="a"),
        ToolCall(call_id="c1", name="f", arguments='{"t":1.50}'),
    ]
    output = encode_answer(answer(*parts))["output"]

    request = decode({"model": "m", "input": [{"role": "user", "content": "hi"}, *output]})

    echoed = request.turns[1].parts
    assert [type(part) for part in echoed] == [Reasoning, Text, ToolCall]
    assert echoed[0].opaque == Opaque("envelope", "Z3ctY2Fycnkx")


def test_answer_that_is_not_one_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.decode_response(WireResponse(status=200, body=b"<html>"))
    with pytest.raises(MalformedMessage, match=r"output\[0\]\.call_id"):
        decode_answer({"output": [{"type": "function_call"}]})


def test_errors_are_named_after_this_protocol() -> None:
    body = b'{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded","param":null}}'

    info = CONVERTER.decode_error(WireResponse(status=429, body=body, headers=(("retry-after", "2"),)))

    assert (info.kind, info.protocol, info.retry_after) == ("rate_limit", "openai_responses", 2.0)
    assert CONVERTER.encode_error(info).status == 429
    assert CONVERTER.encode_error(ErrorInfo(kind="method", message="no")).status == 405


def test_models_are_listed() -> None:
    response = CONVERTER.encode_models(["a", "b"])

    assert CONVERTER.decode_models(response) == ["a", "b"]
    assert CONVERTER.list_models_request().path == "/models"
    assert b'"id":"a"' in CONVERTER.encode_model("a").body
