"""Turns of other protocols for a Gemini upstream."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    PartsSource,
    Reasoning,
    Refusal,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.protocols.profile import ModelProfile
from tests.protocols.gemini.gemini_samples import GEMINI, GEN2, GEN3, Json, encoded, foreign, losses, turn

HELLO = turn("user", Text(text="hi"))
USER: Json = {"role": "user", "parts": [{"text": "hi"}]}


def test_leading_system_turns_become_the_instruction() -> None:
    request = foreign(
        turn("system", Text(text="S1", cache=CacheMark(ttl="1h")), Text(text="S2")),
        turn("developer", Text(text="D")),
        HELLO,
        hoisted=1,
    )

    assert encoded(request) == {
        "contents": [USER],
        "systemInstruction": {"parts": [{"text": "S1"}, {"text": "S2"}, {"text": "D"}]},
    }
    assert losses(request) == {("cache_mark", "dropped"), ("system.role", "approximated")}


def test_system_text_in_the_middle_stays_in_place() -> None:
    request = foreign(HELLO, turn("assistant", Text(text="A")), turn("developer", Text(text="D")), HELLO)

    assert encoded(request)["contents"][2] == {
        "role": "user",
        "parts": [{"text": "<system-reminder>\nD\n</system-reminder>"}],
    }
    assert losses(request) == {("system.mid", "emulated")}


def test_system_text_never_parts_a_call_from_its_answer() -> None:
    request = foreign(
        HELLO,
        turn("assistant", ToolCall(call_id="a", name="f", arguments="{}")),
        turn("system", Text(text="S")),
        turn("tool", ToolResult(call_id="a", parts=[Text(text="r")])),
    )

    assert [sorted(content["parts"][0]) for content in encoded(request)["contents"]] == [
        ["text"],
        ["functionCall", "thoughtSignature"],
        ["functionResponse"],
        ["text"],
    ]


def calls_and_results() -> list[Any]:
    return [
        HELLO,
        turn(
            "assistant",
            ToolCall(
                call_id="a", name="f", arguments='{"n":1.50}', opaque=Opaque("gemini.signature", "SIGg")
            ),
            ToolCall(call_id="b", name="f", arguments="{}"),
        ),
        turn("tool", ToolResult(call_id="b", parts=[Text(text="two")])),
        turn("tool", ToolResult(call_id="a", parts=[Text(text="one")])),
    ]


def test_answers_to_parallel_calls_share_a_content() -> None:
    sent = encoded(foreign(*calls_and_results()))

    assert sent["contents"][1]["parts"] == [
        {"functionCall": {"id": "a", "name": "f", "args": {"n": 1.5}}, "thoughtSignature": "SIGg"},
        {"functionCall": {"id": "b", "name": "f", "args": {}}},
    ]
    assert sent["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "b", "name": "f", "response": {"output": "two"}}},
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "one"}}},
        ],
    }
    assert len(sent["contents"]) == 3


def test_without_ids_the_answers_follow_the_order_of_the_calls() -> None:
    sent = encoded(foreign(*calls_and_results()), GEN2)

    assert [part["functionResponse"] for part in sent["contents"][2]["parts"]] == [
        {"name": "f", "response": {"output": "one"}},
        {"name": "f", "response": {"output": "two"}},
    ]
    assert "id" not in sent["contents"][1]["parts"][0]["functionCall"]


def test_ids_of_our_own_making_are_taken_off_again() -> None:
    call = ToolCall(call_id="call_gw_x", name="f", arguments="{}")
    request = foreign(HELLO, turn("assistant", call), turn("tool", ToolResult(call_id="call_gw_x")))

    sent = encoded(request)

    assert sent["contents"][1]["parts"][0]["functionCall"] == {"name": "f", "args": {}}
    assert sent["contents"][2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": ""}}}]


@pytest.mark.parametrize(("profile", "stands_in"), [(GEN3, True), (GEN2, False)])
def test_an_unsigned_step_gets_the_documented_stand_in(profile: ModelProfile, stands_in: bool) -> None:
    calls = [ToolCall(call_id=name, name=name, arguments="{}") for name in ("f", "g")]
    request = foreign(HELLO, turn("assistant", Text(text="x"), *calls))

    parts = encoded(request, profile)["contents"][1]["parts"]

    assert parts[1].get("thoughtSignature") == ("skip_thought_signature_validator" if stands_in else None)
    assert "thoughtSignature" not in parts[2]
    assert (("reasoning.opaque", "approximated") in losses(request, profile)) is stands_in


def test_foreign_thoughts_stay_behind_and_unsigned_ones_are_shown() -> None:
    request = foreign(
        HELLO,
        turn(
            "assistant",
            Reasoning(summary=["claude's"], opaque=Opaque("anthropic.signature", "SIGa")),
            Reasoning(summary=["a", "b"]),
            Reasoning(opaque=Opaque("envelope", "E")),
            Text(text="x", opaque=Opaque("openai.encrypted", "E6")),
        ),
    )

    assert encoded(request)["contents"][1]["parts"] == [{"text": "a\n\nb", "thought": True}, {"text": "x"}]
    assert losses(request) == {("reasoning.opaque", "dropped"), ("reasoning.text", "dropped")}


def test_a_result_carries_error_flag_and_image() -> None:
    result = ToolResult(
        call_id="t1",
        is_error=True,
        parts=[Text(text="failed"), Media(kind="image", source=Inline("image/png", "iVBO"))],
    )
    request = foreign(
        HELLO, turn("assistant", ToolCall(call_id="t1", name="w", arguments="{}")), turn("tool", result)
    )

    assert encoded(request)["contents"][2]["parts"] == [
        {
            "functionResponse": {
                "id": "t1",
                "name": "w",
                "response": {"error": "failed"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
            }
        }
    ]
    older = encoded(request, GEN2)["contents"]
    assert older[2]["parts"] == [{"functionResponse": {"name": "w", "response": {"error": "failed"}}}]
    assert older[3]["parts"] == [
        {"text": "[media of the tool result w]"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
    ]
    assert ("tool_result.media", "emulated") in losses(request, GEN2)


MEDIA: dict[str, tuple[Part, list[Json], set[tuple[str, str]]]] = {
    "image by address": (
        Media(kind="image", source=Url("https://x/y.png")),
        [{"fileData": {"fileUri": "https://x/y.png"}}],
        {("media.image", "approximated")},
    ),
    "address with a media type": (
        Media(kind="image", source=Url("https://x/y", "image/png"), detail="low"),
        [
            {
                "fileData": {"fileUri": "https://x/y", "mimeType": "image/png"},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            }
        ],
        {("media.image", "approximated")},
    ),
    "document": (
        Media(
            kind="document", source=Inline("application/pdf", "JVBE"), filename="a.pdf", title="T", cite=True
        ),
        [{"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}}],
        {("media.filename", "dropped"), ("media.title", "dropped"), ("citation", "dropped")},
    ),
    "text document": (
        Media(kind="document", source=TextSource("abc")),
        [{"inlineData": {"mimeType": "text/plain", "data": "YWJj"}}],
        {("media.document", "approximated")},
    ),
    "document of parts": (
        Media(kind="document", source=PartsSource([Text(text="a"), Text(text="b")])),
        [{"text": "a"}, {"text": "b"}],
        {("media.document", "approximated")},
    ),
    "refusal": (Refusal(text="no"), [{"text": "no"}], {("refusal", "approximated")}),
    "citations": (
        Text(text="x", citations=[Citation(kind="url", url="https://x")], phase="commentary"),
        [{"text": "x"}],
        {("citation", "dropped"), ("message.phase", "dropped")},
    ),
    "shadow of a hosted call": (
        HostedCall(protocol="anthropic", wire_type="t", raw=Raw(b"{}"), shadow="searched"),
        [{"text": "searched"}],
        {("tool.hosted", "emulated")},
    ),
}


@pytest.mark.parametrize(("part", "wires", "lost"), MEDIA.values(), ids=MEDIA.keys())
def test_parts_of_other_protocols(part: Part, wires: list[Json], lost: set[tuple[str, str]]) -> None:
    request = foreign(turn("user", part))

    assert encoded(request)["contents"] == [{"role": "user", "parts": wires}]
    assert losses(request) == lost


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(
            Media(kind="image", source=FileRef("file-1", None, "openai")), id="another provider's file"
        ),
        pytest.param(
            Native(protocol="anthropic", wire_type="search_result", raw=Raw(b"{}")), id="unknown content"
        ),
        pytest.param(
            Control(protocol="openai_responses", kind="compaction", raw=Raw(b"{}")), id="compaction"
        ),
    ],
)
def test_content_without_a_form_is_refused(part: Part) -> None:
    with pytest.raises(Unrepresentable):
        GEMINI.encode_request(foreign(turn("user", part)), GEN3)


def test_a_result_without_a_call_is_refused() -> None:
    with pytest.raises(Unrepresentable, match="'x'"):
        GEMINI.encode_request(foreign(HELLO, turn("tool", ToolResult(call_id="x"))), GEN3)


def test_hosted_calls_of_other_protocols_leave_the_history() -> None:
    call = HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=Raw(b"{}"))
    request = foreign(HELLO, turn("assistant", call), HELLO)

    assert encoded(request)["contents"] == [USER, USER]
    assert losses(request) == {("tool.hosted", "dropped")}


def test_a_conversation_begins_with_the_user() -> None:
    request = foreign(turn("assistant", ToolCall(call_id="a", name="f", arguments="{}")))

    assert encoded(request)["contents"][0] == {"role": "user", "parts": [{"text": "."}]}
    assert ("part.order", "defaulted") in losses(request)
    assert encoded(foreign(turn("system", Text(text="S"))))["contents"] == [
        {"role": "user", "parts": [{"text": "."}]}
    ]


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (ToolCall(call_id="a", name="f", arguments=""), {}),
        (ToolCall(call_id="a", name="f", arguments='{"a": 1'), {"_raw": '{"a": 1'}),
        (ToolCall(call_id="a", name="f", arguments="[1]"), {"_raw": "[1]"}),
        (ToolCall(call_id="a", name="f", arguments="SELECT 1", kind="custom"), {"input": "SELECT 1"}),
    ],
)
def test_arguments_are_always_an_object(call: ToolCall, args: Json) -> None:
    request = foreign(HELLO, turn("assistant", call))

    assert encoded(request)["contents"][1]["parts"][0]["functionCall"]["args"] == args


def test_a_longer_conversation_keeps_its_beginning() -> None:
    turns = [*calls_and_results(), turn("assistant", Text(text="done")), HELLO]
    short, long = encoded(foreign(*turns[:5])), encoded(foreign(*turns))

    assert long["contents"][: len(short["contents"])] == short["contents"]
