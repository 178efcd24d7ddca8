"""Real provider traffic: which files there are, what protocol each speaks, and the others with the reason (a manifest).

The recordings are not part of this project; tests that use them skip with a notice where the folder is absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.fold import unfold
from aiclient2api.wire.http import JSON_HEADERS, WireResponse
from tests.laws.exchange import CONVERTERS
from tests.wire_tables import SHARED

FOLDER: Final = SHARED / "recorded"
MANIFEST: Final[dict[str, str]] = json.loads(
    (Path(__file__).parent / "recorded_manifest.json").read_text(encoding="utf-8")
)
"""File to the reason why it is none of the four protocols."""


def recordings() -> list[Path]:
    """Every recorded file."""
    return sorted(path for path in FOLDER.glob("*/*") if path.name.endswith((".json", ".chunks.txt")))


def name_of(path: Path) -> str:
    """The file's name in the manifest and in test ids."""
    return f"{path.parent.name}/{path.name}"


def documents(path: Path) -> list[Any]:
    """The answer, or the events of the stream."""
    text = path.read_text(encoding="utf-8")
    if path.name.endswith(".json"):
        return [json.loads(text)]
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def protocol_of(path: Path) -> str | None:
    """The protocol that a file speaks; None when it is none of ours."""
    try:
        first = documents(path)
    except ValueError:
        return None
    found = {_protocol(one) for one in first[:3] if isinstance(one, dict)}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _protocol(doc: dict[str, Any]) -> str | None:
    if doc.get("object") in ("chat.completion", "chat.completion.chunk"):
        return "openai_chat"
    if doc.get("object") == "response" or str(doc.get("type")).startswith("response."):
        return "openai_responses"
    if doc.get("type") in ("message", "message_start", "content_block_start"):
        return "anthropic"
    return "gemini" if "candidates" in doc else None


def events_of(path: Path, protocol: str) -> list[StreamEvent]:
    """What the gateway's decoder makes of a file."""
    converter = CONVERTERS[protocol]
    if path.name.endswith(".json"):
        body = path.read_bytes()
        return unfold(converter.decode_response(WireResponse(status=200, body=body, headers=JSON_HEADERS)))
    decoder = converter.stream_decoder()
    frames = converter.frames("text/event-stream")
    body = b"".join(_framed(line, protocol) for line in path.read_bytes().splitlines() if line.strip())
    found = [event for frame in frames.feed(body) for event in decoder.feed(frame)]
    return [*found, *decoder.close()]


def _framed(line: bytes, protocol: str) -> bytes:
    if protocol in ("openai_responses", "anthropic"):
        kind = json.loads(line).get("type", "")
        return f"event: {kind}\n".encode() + b"data: " + line + b"\n\n"
    return b"data: " + line + b"\n\n"
