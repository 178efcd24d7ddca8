"""Parts of other protocols as content blocks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TextSource,
    ToolCall,
    Url,
)
from aiclient2api.ir.request import (
    ModelRequest,
    Sampling,
    Turn,
)
from tests.protocols.anthropic.anthropic_foreign import (
    BASE,
    CONVERTER,
    EFFORT,
    FOREIGN,
    HI,
    SIGNED,
    conversation,
    encoded,
    says,
    user,
)

BLOCKS: dict[str, tuple[Part, Any, list[tuple[str, str]]]] = {
    "signed thinking": (
        Reasoning(summary=["hm"], opaque=SIGNED),
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        [],
    ),
    "redacted thinking": (
        Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "RD")),
        {"type": "redacted_thinking", "data": "RD"},
        [],
    ),
    "foreign thinking": (
        Reasoning(summary=["hm"], opaque=FOREIGN),
        None,
        [("reasoning.opaque", "dropped"), ("reasoning.text", "dropped")],
    ),
    "a closed envelope": (
        Reasoning(opaque=Opaque("envelope", "Z3ct")),
        None,
        [("reasoning.opaque", "dropped")],
    ),
    "unsigned thinking": (Reasoning(raw=["hm"]), None, [("reasoning.text", "dropped")]),
    "signed text": (
        Text(text="t", opaque=Opaque("gemini.signature", "G")),
        {"type": "text", "text": "t"},
        [("reasoning.opaque", "dropped")],
    ),
    "refusal": (Refusal(text="no"), {"type": "text", "text": "no"}, [("refusal", "approximated")]),
    "cited text": (
        Text(text="t", citations=[Citation(kind="url", url="u")]),
        {"type": "text", "text": "t"},
        [("citation", "dropped")],
    ),
    "broken arguments": (
        ToolCall(call_id="c", name="f", arguments='{"a": 1'),
        {"type": "tool_use", "id": "c", "name": "f", "input": {"_raw": '{"a": 1'}},
        [("tool_call.arguments", "emulated")],
    ),
    "a custom call": (
        ToolCall(call_id="c", name="f", arguments="SELECT 1", kind="custom"),
        {"type": "tool_use", "id": "c", "name": "f", "input": {"input": "SELECT 1"}},
        [],
    ),
    "a foreign hosted call": (
        HostedCall(protocol="openai_responses", wire_type="web_search_call", raw=Raw(b"{}")),
        None,
        [("tool.hosted", "dropped")],
    ),
}


@pytest.mark.parametrize(("part", "block", "losses"), BLOCKS.values(), ids=BLOCKS.keys())
def test_an_assistants_part_becomes_its_block(part: Part, block: Any, losses: list[tuple[str, str]]) -> None:
    body, reported = encoded(conversation(HI, says(Text(text="x"), part), user("y")))

    content = body["messages"][1]["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    assert blocks[1:] == ([block] if block else [])
    assert reported == losses


MEDIA: dict[str, tuple[Media, Any, list[tuple[str, str]]]] = {
    "image": (
        Media(kind="image", source=Inline("image/png", "iVBO"), detail="high"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        [("media.detail", "dropped")],
    ),
    "image address": (
        Media(kind="image", source=Url("https://x/y.png")),
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        [],
    ),
    "PDF": (
        Media(kind="file", source=Inline("application/pdf", "JVBE"), filename="a.pdf"),
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "a.pdf",
        },
        [("media.filename", "approximated")],
    ),
    "inline text": (
        Media(kind="document", source=Inline("text/csv", "YSxi")),
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        [],
    ),
    "text": (
        Media(kind="document", source=TextSource("plain"), title="T", context="C", cite=True),
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
        [],
    ),
}


@pytest.mark.parametrize(("media", "block", "losses"), MEDIA.values(), ids=MEDIA.keys())
def test_media_become_blocks(media: Media, block: Any, losses: list[tuple[str, str]]) -> None:
    body, reported = encoded(conversation(Turn(role="user", parts=[media])))

    assert body["messages"][0]["content"] == [block]
    assert reported == losses


REFUSED: dict[str, ModelRequest] = {
    "audio": conversation(Turn(role="user", parts=[Media(kind="audio", source=Inline("audio/wav", "AA"))])),
    "video": conversation(Turn(role="user", parts=[Media(kind="video", source=Url("https://x"))])),
    "odd image": conversation(
        Turn(role="user", parts=[Media(kind="image", source=Inline("image/tiff", "AA"))])
    ),
    "foreign file": conversation(
        Turn(role="user", parts=[Media(kind="file", source=FileRef("f", protocol="openai"))])
    ),
    "cloud address": conversation(Turn(role="user", parts=[Media(kind="image", source=Url("gs://b/o"))])),
    "generated image": conversation(HI, says(Media(kind="image", source=Inline("image/png", "AA"))), HI),
    "three answers": replace(BASE, sampling=Sampling(candidates=3)),
    "embedding": replace(BASE, operation="embed"),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
def test_content_without_a_form_is_refused(request_: ModelRequest) -> None:
    with pytest.raises(Unrepresentable):
        CONVERTER.encode_request(request_, EFFORT)


def test_only_the_last_four_cache_marks_are_sent() -> None:
    parts: list[Part] = [Text(text=str(index), cache=CacheMark(ttl="12h")) for index in range(5)]

    body, losses = encoded(conversation(Turn(role="user", parts=parts)))

    marks = [block.get("cache_control") for block in body["messages"][0]["content"]]
    assert marks == [None, *[{"type": "ephemeral", "ttl": "1h"}] * 4]
    assert losses[0] == ("cache_mark", "dropped")
