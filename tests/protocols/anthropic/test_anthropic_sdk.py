"""The official SDK as the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import (
    ResponseStart,
)
from aiclient2api.ir.fold import unfold
from aiclient2api.ir.parts import (
    Citation,
    Reasoning,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from tests.protocols.anthropic.anthropic_streams import ASKED, CONVERTER, SEALED, encoded

WHOLE = ModelResponse(
    protocol="openai_chat",
    id="chatcmpl-1",
    model="gpt",
    candidates=[
        Candidate(
            turn=Turn(
                role="assistant",
                parts=[
                    Reasoning(summary=["A", "B"], opaque=SEALED),
                    Text(text="Grüße 🌍\n", citations=[Citation(kind="url", url="https://x", title="T")]),
                    ToolCall(call_id="call_1", name="f", arguments='{"a": [1, 2]}'),
                    ToolCall(call_id="call_2", name="g", arguments="not json"),
                ],
            ),
            finish=Finish(reason="tool_use", raw="tool_calls"),
        )
    ],
    usage=Usage(input=12, cache_read=2, output=5, reasoning=3),
)


def by_sdk(data: bytes) -> Message:
    """What the official stream helper makes of our bytes."""
    served = httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})
    transport = httpx2.MockTransport(lambda _: served)
    with httpx2.Client(transport=transport) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)
        with client.messages.stream(model="m", max_tokens=1, messages=[]) as stream:
            return stream.get_final_message()


def plain(message: Message) -> dict[str, Any]:
    return message.model_dump(
        mode="json", exclude_none=True, exclude={"content": {"__all__": {"parsed_output"}}}
    )


def test_the_sdk_reads_the_same_from_a_stream_and_from_an_answer() -> None:
    unary = CONVERTER.encode_response(WHOLE, ASKED).wire.body
    data, _ = encoded(unfold(WHOLE))

    streamed = by_sdk(data)

    assert plain(streamed) == plain(Message.model_validate_json(unary))
    assert streamed.content[2].to_dict()["input"] == {"a": [1, 2]}
    assert streamed.usage.input_tokens == 10


def test_the_sdk_raises_on_a_dying_stream() -> None:
    encoder = CONVERTER.stream_encoder(ASKED)
    data = (
        encoder.feed(ResponseStart())
        + encoder.ping()
        + encoder.fail(ErrorInfo(kind="overloaded", message="full"))
    )

    with pytest.raises(anthropic.APIStatusError, match="full"):
        by_sdk(data)


def test_the_sdk_reads_models() -> None:
    def answered() -> Iterator[str]:
        served = httpx2.Response(200, content=CONVERTER.encode_models(["a", "b"]).body)
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: served)) as http:
            client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http)
            yield from (model.id for model in client.models.list())

    assert list(answered()) == ["a", "b"]
    assert CONVERTER.decode_models(CONVERTER.encode_models(["a", "b"])) == ["a", "b"]
