"""What servers say in their own way reaches the user whichever protocol they imitate."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.wire.http import WireResponse

SAID: Final[dict[str, tuple[Any, str]]] = {
    "a text": ({"error": "just words"}, "just words"),
    "a message": ({"message": "plain", "code": 7}, "plain"),
    "FastAPI's text": ({"detail": "no such thing"}, "no such thing"),
    "FastAPI's list": (
        {
            "detail": [
                {"type": "missing", "loc": ["body", "tools", 0], "msg": "Field required", "input": "SECRET"}
            ]
        },
        "body.tools.0: Field required",
    ),
    "Mistral's": (
        {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]}},
        "body.x: Extra inputs",
    ),
    "nothing": ({"detail": [{"loc": ["x"]}]}, "the upstream answered with status 422"),
}


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("converter", BUILTIN, ids=lambda each: each.name)
def test_a_mistake_is_told_in_the_servers_words(converter: Converter, said: str) -> None:
    body, words = SAID[said]
    response = WireResponse(status=422, body=json.dumps(body).encode())
    assert converter.decode_error(response).message == words
