"""Calls that stay in this protocol, and lists of models."""

from __future__ import annotations

import json

import pytest

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.base import Splice, SystemPrompt
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.protocols.gemini.gemini_samples import GEMINI, Json, wire_request

BODY = b'{ "contents": [{"parts":[{"text":"hi"}]}],\n "x": 1.50 }'


def request(
    method: str = "generateContent", body: bytes = BODY, query: str = "", version: str = "v1"
) -> WireRequest:
    return WireRequest(
        path=f"/{version}/models/alias:{method}",
        query=query,
        body=body,
        headers=(("x-goog-api-key", "secret"), ("content-type", "application/json"), ("user-agent", "x")),
    )


def test_a_relayed_body_is_not_touched() -> None:
    sent = GEMINI.splice(request("streamGenerateContent", query="key=secret&alt=sse"), Splice(model="org/m"))

    assert sent == WireRequest(
        path="/v1/models/org/m:streamGenerateContent",
        query="alt=sse",
        body=BODY,
        headers=(("content-type", "application/json"),),
    )


def test_without_alt_the_query_is_empty() -> None:
    assert GEMINI.splice(request("streamGenerateContent", query="key=secret"), Splice(model="m")).query == ""
    assert GEMINI.splice(request(query="alt=sse"), Splice(model="m")).query == ""


SYSTEM = SystemPrompt(mode="append", text='own "text"')
REPLACE = SystemPrompt(mode="replace", text="own")


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({}, SYSTEM, {"systemInstruction": {"parts": [{"text": 'own "text"'}]}}),
        (
            {"systemInstruction": {"role": "system", "parts": [{"text": "a"}]}},
            SYSTEM,
            {"systemInstruction": {"role": "system", "parts": [{"text": "a"}, {"text": 'own "text"'}]}},
        ),
        (
            {"system_instruction": {"parts": {"text": "a"}}},
            SYSTEM,
            {"system_instruction": {"parts": [{"text": "a"}, {"text": 'own "text"'}]}},
        ),
        (
            {"systemInstruction": {"parts": [{"text": "a"}]}},
            REPLACE,
            {"systemInstruction": {"parts": [{"text": "own"}]}},
        ),
    ],
)
def test_the_operators_text_joins_the_instruction(before: Json, change: SystemPrompt, after: Json) -> None:
    body = json.dumps({"contents": [], **before}).encode()

    sent = GEMINI.splice(request(body=body), Splice(model="alias", system=change))

    assert json.loads(sent.body) == {"contents": [], **after}


def test_other_members_keep_their_bytes_beside_the_operators_text() -> None:
    sent = GEMINI.splice(request(), Splice(model="alias", system=SYSTEM))

    assert b'[{"parts":[{"text":"hi"}]}]' in sent.body and b"1.50" in sent.body


def test_the_model_inside_embeddings_and_counts_follows_the_path() -> None:
    batch = b'{"requests":[{"model":"models/alias","content":{"a":1.50}},{"content":{}}]}'
    count = b'{"generateContentRequest":{"model":"models/alias","contents":[]}}'

    assert GEMINI.splice(request("batchEmbedContents", batch), Splice(model="m")).body == (
        b'{"requests":[{"model":"models/m","content":{"a":1.50}},{"content":{}}]}'
    )
    assert GEMINI.splice(request("countTokens", count), Splice(model="m")).body == (
        b'{"generateContentRequest":{"model":"models/m","contents":[]}}'
    )
    assert GEMINI.splice(request("countTokens", count), Splice(model="alias")).body is count


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("countTokens", b'{"generateContentRequest":{"model":"models/other","contents":[]}}'),
        ("countTokens", b'{"generateContentRequest":{"mod\\u0065l":"models/other","contents":[]}}'),
        ("batchEmbedContents", b'{"requests":[{"model":"models/alias"},{"model":"other"}]}'),
        ("embedContent", b'{"model":"models/other","content":{}}'),
        ("generateContent", b'{"model":{"is":"other"},"contents":[]}'),
    ],
)
def test_a_model_inside_that_is_not_the_one_of_the_path_is_not_sent(method: str, body: bytes) -> None:
    """The client's key may be for the path's model only, and an upstream might obey the other one."""
    sent = GEMINI.splice(request(method, body), Splice(model="alias")).body
    assert b"other" not in sent
    assert b'"model":"models/alias"' in sent


@pytest.mark.parametrize(
    "path", ["/v1/models/:generateContent", "/v1/models/m", "/v2/models/m:generateContent", "/"]
)
def test_other_paths_are_malformed(path: str) -> None:
    with pytest.raises(MalformedMessage):
        GEMINI.peek(WireRequest(path=path))


FIRST = (
    b'{"candidates":[{"content":{"parts":[{"text":"\\"finishReason\\""}]}}],'
    b'"responseId":"r","usageMetadata":{"promptTokenCount":2}}'
)
LAST = b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3}}'


def test_a_tap_sees_begin_end_and_counts() -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    first, last = (Frame(b"data: " + data + b"\r\n\r\n", data) for data in (FIRST, LAST))

    assert tap.feed(first) is first.raw
    assert (tap.content, tap.ended, tap.response_id) == (True, False, "r")
    assert tap.feed(last) is last.raw
    assert (tap.ended, tap.usage) == (False, Usage(input=2, output=3))
    assert (tap.close(), tap.ended, tap.failure) == (b"", True, None)


def test_a_delimiter_that_the_network_cut_in_two_stays_as_it_is() -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    frames = GEMINI.frames("text/event-stream")
    sent = b"data: " + FIRST + b"\r\n\r", b"\ndata: " + LAST + b"\r\n\r\n"

    assert tuple(tap.feed(frame) for piece in sent for frame in frames.feed(piece)) == sent


def test_a_tap_that_was_cut_knows_the_counts_so_far() -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    tap.feed(Frame(b"", FIRST))
    tap.fail(ErrorInfo(kind="upstream", message="cut"))

    assert (tap.finished, tap.ended, tap.usage) == (False, False, Usage(input=2))


def _framed(data: bytes) -> Frame:
    return Frame(b"data: " + data + b"\n\n", data)


def test_content_behind_the_end_is_dropped_unless_the_reason_is_repeated() -> None:
    once = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    often = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    both = b'{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}'
    counts = b'{"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3}}'

    assert once.feed(_framed(both)) == _framed(both).raw
    assert (once.finished, once.goes_on) == (True, False)
    assert once.feed(_framed(FIRST)) == b""
    assert once.feed(_framed(counts)) == _framed(counts).raw
    assert [often.feed(_framed(both)) for _ in range(2)] == [_framed(both).raw] * 2
    assert (often.finished, often.goes_on) == (True, True)
    once.close()
    assert once.usage == Usage(input=2, output=3)


@pytest.mark.parametrize(
    ("before", "behind"),
    [(b"data:", b"\n\n"), (b": hello\ndata: ", b"\n\n"), (b"data: ", b"\nid: 7\nretry: 1\n\n")],
)
def test_events_that_googles_sdks_cannot_read_are_written_anew(before: bytes, behind: bytes) -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))

    assert tap.feed(Frame(before + FIRST + behind, FIRST)) == b"data: " + FIRST + b"\r\n\r\n"
    assert tap.feed(Frame(b": a comment\n\n", b"")) == b""


@pytest.mark.parametrize(
    ("part", "shows"),
    [
        (b'{"text":""}', False),
        (b'{"text":"","thought":true}', False),
        (b'{"text":"x"}', True),
        (b'{"text":"","thoughtSignature":"QQ=="}', True),
        (b'{"functionCall":{"name":"f"}}', True),
    ],
)
def test_a_part_with_an_empty_text_is_no_content(part: bytes, shows: bool) -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    tap.feed(Frame(b"data: x\n\n", b'{"candidates":[{"content":{"parts":[%b]}}]}' % part))

    assert tap.content is shows


def test_several_candidates_finish_one_by_one() -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent", b'{"generationConfig":{"candidateCount":2}}'))
    tap.feed(Frame(b"1", b'{"candidates":[{"index":0,"finishReason":"STOP"}]}'))
    assert (tap.finished, tap.goes_on) == (True, True)
    tap.feed(Frame(b"2", b'{"candidates":[{"index":1,"content":{"parts":[{"text":"x"}]}}]}'))
    assert not tap.finished


def test_a_tap_sees_errors_and_refused_prompts() -> None:
    broken = GEMINI.stream_tap(request("streamGenerateContent"))
    assert broken.feed(Frame(b"x", b'{"error":{"code":500,"message":"m","status":"INTERNAL"}}')) == b""
    refused = GEMINI.stream_tap(request("streamGenerateContent"))
    refused.feed(Frame(b"x", b'{"promptFeedback":{"blockReason":"SAFETY"}}'))
    refused.feed(Frame(b"]", b""))

    assert broken.failure is not None and broken.failure.kind == "internal"
    assert (refused.ended, refused.failure) == (True, None)


@pytest.mark.parametrize(("sent", "missing"), [(b"[" + LAST + b"]", b""), (b"[" + LAST, b"]")])
def test_a_relayed_array_ends_with_its_bracket(sent: bytes, missing: bytes) -> None:
    tap, frames = GEMINI.stream_tap(request("streamGenerateContent")), GEMINI.frames("application/json")

    relayed = b"".join(tap.feed(frame) for frame in frames.feed(sent))

    assert relayed == sent
    assert (tap.ended, tap.close(), tap.ended) == (not missing, missing, True)


def test_nothing_follows_a_closed_array() -> None:
    tap = GEMINI.stream_tap(request("streamGenerateContent"))
    tap.feed(Frame(b'[{"candidates":[]}', b'{"candidates":[]}'))
    tap.feed(Frame(b"]", b""))

    assert (tap.ended, tap.fail(ErrorInfo(kind="upstream", message="m"))) == (False, b"")


def test_a_relayed_stream_that_dies_says_so() -> None:
    error = ErrorInfo(kind="timeout", message="m")
    sse = GEMINI.stream_tap(request("streamGenerateContent", query="alt=sse"))
    array = GEMINI.stream_tap(request("streamGenerateContent"))
    fresh = GEMINI.stream_tap(request("streamGenerateContent"))
    sent = array.feed(Frame(b'[{"candidates":[]}', b'{"candidates":[]}')) + array.ping() + array.fail(error)

    body = b'{"error":{"code":504,"message":"m","status":"DEADLINE_EXCEEDED"}}'
    assert (sse.fail(error), sse.ping()) == (b"data: " + body + b"\n\n", b"\n")
    assert json.loads(sent)[1] == json.loads(body)
    assert fresh.fail(error) == b"[" + body + b"]"


def test_counts_of_a_complete_answer() -> None:
    def usage(body: bytes) -> Usage | None:
        return GEMINI.usage(WireResponse(status=200, body=body))

    assert usage(LAST) == Usage(input=2, output=3)
    assert usage(b"{}") is None
    assert usage(b"<html>") is None


def test_lists_of_models() -> None:
    asked = GEMINI.list_models_request()
    wire = GEMINI.encode_models(["gemini-3", "openai/gpt"])

    assert (asked.method, asked.path, asked.query) == ("GET", "/v1beta/models", "pageSize=1000")
    assert GEMINI.decode_models(wire) == ["gemini-3", "openai/gpt"]
    assert json.loads(wire.body)["models"][0]["name"] == "models/gemini-3"
    assert json.loads(GEMINI.encode_model("m").body) == {
        "name": "models/m",
        "displayName": "m",
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }
    with pytest.raises(MalformedMessage):
        GEMINI.decode_models(WireResponse(status=200, body=b'{"models":[{}]}'))


def test_a_tap_refuses_bytes_that_are_no_json() -> None:
    with pytest.raises(MalformedMessage):
        GEMINI.stream_tap(wire_request({}, "/v1/models/m:streamGenerateContent")).feed(
            Frame(b"", b'"finishReason"}')
        )
