"""A refusal names the place in the caller's own body, and `param` holds it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.errors import MalformedMessage, Unrepresentable
from aiclient2api.protocols.base import SystemPrompt
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest
from tests.fakes.sealing import CARRIER
from tests.protocols.test_pairs import BUILTIN, CONVERTERS, PATHS
from tests.protocols.test_silent_losses import AM, GG, OC, OR, USER, chat, claude, google, responses, sent

SOUND = {"type": "input_audio", "input_audio": {"data": "aaaa", "format": "wav"}}
TEXT = {"type": "text", "text": "t"}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "r"}
SAID = {"role": "assistant", "content": "a"}
UNKNOWN = {"type": "nope", "x": 1}
FILM = {"fileData": {"fileUri": "gs://b/film", "mimeType": "video/mp4"}}
FILE = {"type": "image", "source": {"type": "file", "file_id": "f1"}}
TURN = {"role": "user", "parts": [{"text": "t"}]}
USED = {"type": "tool_use", "id": "c", "name": "f", "input": {}}


def _result(*content: Any) -> Any:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [*content]}]}


REFUSED: dict[str, tuple[str, str, Any, str]] = {
    "a sound behind tool results": (
        OC,
        AM,
        chat(
            {"role": "system", "content": "s"},
            USER,
            CALLED,
            RESULT,
            SAID,
            {"role": "user", "content": [TEXT, SOUND]},
        ),
        "messages[5].content[1]",
    ),
    "an unknown part": (OC, AM, chat({"role": "user", "content": [TEXT, UNKNOWN]}), "messages[0].content[1]"),
    "an unknown part for Gemini": (
        OC,
        GG,
        chat(USER, SAID, {"role": "user", "content": [UNKNOWN]}),
        "messages[2].content[0]",
    ),
    "a sound of Responses": (
        OR,
        AM,
        responses(USER, {"role": "user", "content": [{"type": "input_text", "text": "t"}, SOUND]}),
        "input[1].content[1]",
    ),
    "a film": (
        GG,
        OC,
        google(TURN, {"role": "user", "parts": [{"text": "t"}, FILM]}),
        "contents[1].parts[1]",
    ),
    "a film under the operator's text": (
        GG,
        AM,
        google(TURN, {"role": "user", "parts": [FILM]}),
        "contents[1].parts[0]",
    ),
    "a file of Claude": (
        AM,
        OC,
        claude({"role": "user", "content": [TEXT, FILE]}, system="s"),
        "messages[0].content[1]",
    ),
    "a file in a result": (
        AM,
        GG,
        claude(USER, {"role": "assistant", "content": [USED]}, _result(TEXT, FILE)),
        "messages[2].content[0].content[1]",
    ),
    "nothing to answer": (GG, AM, {"contents": []}, "contents"),
    "several answers of Chat": (OC, AM, chat(n=2), "n"),
    "several answers of Gemini": (
        GG,
        OR,
        google(generationConfig={"candidateCount": 2}),
        "generationConfig.candidateCount",
    ),
    "a prewarm": (AM, OC, claude() | {"max_tokens": 0}, "max_tokens"),
    "a cached content": (GG, OC, google(cachedContent="c"), "cachedContent"),
    "a result without a call": (
        GG,
        AM,
        google(
            TURN,
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "r"}}}]},
        ),
        "contents[1].parts[0]",
    ),
    "a result of Chat without a call": (OC, OR, chat(USER, RESULT), "messages[1]"),
}


@pytest.mark.parametrize(("client", "upstream", "body", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_sent_is_refused_with_its_place(
    client: str, upstream: str, body: Any, path: str
) -> None:
    with pytest.raises(Unrepresentable) as raised:
        sent(client, upstream, body)
    assert raised.value.info.param == path
    assert raised.value.info.message.startswith(f"{path}: ")
    assert "turns[" not in raised.value.info.message


def test_text_of_the_operator_in_front_does_not_shift_the_place() -> None:
    body = chat(USER, {"role": "user", "content": [TEXT, SOUND]})
    inbound = Inbound(CONVERTERS[OC], WireRequest(path=PATHS[OC], body=json.dumps(body).encode()), "t")
    target = Target(model="m", profile=ModelProfile())
    factory = ConverterFactory(BUILTIN, CARRIER, system=SystemPrompt(text="s", mode="append"))
    with pytest.raises(Unrepresentable) as raised:
        factory.convert(inbound, AM, target)
    assert raised.value.info.param == "messages[1].content[1]"


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iV*O"}}
BASE64 = {"type": "base64", "media_type": "image/png", "data": "iV*O"}
MALFORMED: dict[str, tuple[str, Any, str]] = {
    "a schema": (
        OC,
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": "x"}}]),
        "tools[0].function.parameters",
    ),
    "a schema of Gemini": (
        GG,
        google(tools=[{"functionDeclarations": [{"name": "f", "parametersJsonSchema": 1}]}]),
        "tools[0].functionDeclarations[0].parametersJsonSchema",
    ),
    "an image": (OC, chat({"role": "user", "content": [IMAGE]}), "messages[0].content[0].image_url.url"),
    "a sound": (
        OC,
        chat(
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "*", "format": "wav"}}],
            }
        ),
        "messages[0].content[0].input_audio.data",
    ),
    "an image of Claude": (
        AM,
        claude({"role": "user", "content": [{"type": "image", "source": BASE64}]}),
        "messages[0].content[0].source.data",
    ),
    "an image of Gemini": (
        GG,
        google({"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "iV*O"}}]}),
        "contents[0].parts[0].inlineData.data",
    ),
    "an image of Responses": (
        OR,
        responses(
            {"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,iV*O"}]}
        ),
        "input[0].content[0].image_url",
    ),
    "fewer than no tokens": (OC, chat(max_tokens=-1), "max_tokens"),
    "fewer than no tokens of Responses": (OR, responses(max_output_tokens=-1), "max_output_tokens"),
    "fewer than no tokens of Gemini": (
        GG,
        google(generationConfig={"maxOutputTokens": -1}),
        "generationConfig.maxOutputTokens",
    ),
}


@pytest.mark.parametrize(("client", "body", "path"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_member_is_refused_before_any_upstream_sees_it(client: str, body: Any, path: str) -> None:
    for upstream in {OC, OR, AM, GG} - {client}:
        with pytest.raises(MalformedMessage) as raised:
            sent(client, upstream, body)
        assert raised.value.path == path


@pytest.mark.parametrize("client", [OC, OR, AM, GG])
def test_half_a_surrogate_pair_is_refused_with_its_place(client: str) -> None:
    bodies = {
        OC: chat({"role": "user", "content": "\ud800"}),
        OR: responses({"role": "user", "content": "\ud800"}),
        AM: claude({"role": "user", "content": "\ud800"}),
        GG: google({"role": "user", "parts": [{"text": "\ud800"}]}),
    }
    paths = {
        OC: "messages[0].content",
        OR: "input[0].content",
        AM: "messages[0].content",
        GG: "contents[0].parts[0].text",
    }
    with pytest.raises(MalformedMessage) as raised:
        sent(client, OC if client != OC else AM, bodies[client])
    assert raised.value.path == paths[client]


def test_a_null_in_place_of_a_cached_content_means_none() -> None:
    body, losses = sent(GG, OC, google(cachedContent=None))
    assert body["messages"] == [USER]
    assert losses == []
