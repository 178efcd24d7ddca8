"""Short words for requests of this protocol."""

from __future__ import annotations

import json
from typing import Any

from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.wire.http import WireRequest

CONVERTER = AnthropicConverter()


def wire(body: object, path: str = "/v1/messages", version: str = "2023-06-01") -> WireRequest:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WireRequest(path=path, body=text, headers=(("anthropic-version", version),))


def message(*content: object, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


def asking(*content: object, **members: object) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": [message(*content)], **members}


HELLO = {"type": "text", "text": "hello"}
