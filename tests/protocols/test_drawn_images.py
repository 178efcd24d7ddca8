"""An image that a hosted tool of Responses drew is seen by clients of other protocols, and goes back as it was."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.protocols.exchanges import response, streamed, whole
from tests.protocols.test_carried_words import acts, next_request

DATA: Final = "iVBORw0KGgo="
DRAWN: Final[dict[str, Any]] = {
    "id": "ig_1",
    "type": "image_generation_call",
    "status": "completed",
    "output_format": "webp",
    "result": DATA,
}
BIG: Final = "iVBO" * 100_000


def shown(client: str, answer: dict[str, Any]) -> str:
    if client == "openai_chat":
        return answer["choices"][0]["message"]["images"][0]["image_url"]["url"]
    part = next(one for one in answer["candidates"][0]["content"]["parts"] if "inlineData" in one)
    return f"data:{part['inlineData']['mimeType']};base64,{part['inlineData']['data']}"


@pytest.mark.parametrize("client", ["openai_chat", "gemini"])
def test_the_image_is_shown_and_its_block_comes_back(client: str) -> None:
    answer = whole(client, "openai_responses", response([DRAWN], status="completed"))
    body = json.loads(answer.response.body)
    assert shown(client, body) == f"data:image/webp;base64,{DATA}"
    assert acts(answer.losses, "tool.hosted") == {"carried"}

    items = next_request(client, "openai_responses", body)[0]["input"]
    assert [item for item in items if item.get("type") == "image_generation_call"] == [DRAWN]


@pytest.mark.parametrize("client", ["openai_chat", "gemini"])
def test_a_stream_shows_it_too(client: str) -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response([], status="in_progress")},
        {"type": "response.output_item.done", "output_index": 0, "item": DRAWN},
        {"type": "response.completed", "response": response([DRAWN], status="completed")},
    ]
    stream, told, losses = streamed(client, "openai_responses", events)
    assert stream.ended
    assert DATA in told
    assert acts(losses, "tool.hosted") == {"carried"}


def test_a_large_image_goes_once_to_google_clients_and_comes_back_whole() -> None:
    large = {**DRAWN, "result": BIG}
    answer = whole("gemini", "openai_responses", response([large], status="completed"))
    body = json.loads(answer.response.body)
    assert len(answer.response.body) < 1.1 * len(BIG)

    items = next_request("gemini", "openai_responses", body)[0]["input"]
    assert [item for item in items if item.get("type") == "image_generation_call"] == [large]


def test_a_large_image_is_shown_to_chat_clients_and_its_block_named() -> None:
    answer = whole(
        "openai_chat", "openai_responses", response([{**DRAWN, "result": BIG}], status="completed")
    )
    assert shown("openai_chat", json.loads(answer.response.body)).endswith(BIG)
    assert acts(answer.losses, "tool.hosted") == {"dropped"}


def test_a_google_upstream_keeps_the_image_itself() -> None:
    answer = whole("gemini", "openai_responses", response([DRAWN], status="completed"))
    body, _ = next_request("gemini", "gemini", json.loads(answer.response.body))
    assert DATA in json.dumps(body)
