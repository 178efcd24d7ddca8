"""The parts that the deltas of an upstream's stream become."""

from __future__ import annotations

import pytest

from aiclient2api.ir.parts import (
    Citation,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.protocols.ids import SYNTHETIC
from tests.protocols.openai_chat.chat_chunks import CALLS_END, END, call, parts
from tests.protocols.openai_chat.chat_wire import delta

PARTS: dict[str, tuple[list[dict[str, object]], list[Part]]] = {
    "a switch of kind closes the part": (
        [
            delta({"reasoning_content": "a"}),
            delta({"content": "b"}),
            delta({"reasoning": "c"}),
            delta({"refusal": "d"}),
        ],
        [Reasoning(raw=["a"]), Text(text="b"), Reasoning(raw=["c"]), Refusal(text="d")],
    ),
    "all in one chunk": (
        [delta({"reasoning_content": "a", "content": "b", "tool_calls": [call(0, "{}", id="c", name="f")]})],
        [Reasoning(raw=["a"]), Text(text="b"), ToolCall(call_id="c", name="f", arguments="{}")],
    ),
    "parallel calls interleave": (
        [
            delta({"tool_calls": [call(0, "", id="a", name="f"), call(1, "", id="b", name="g")]}),
            delta({"tool_calls": [call(0, '{"x"')]}),
            delta({"tool_calls": [call(1, "{}")]}),
            delta({"tool_calls": [call(0, ":1.50}")]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments='{"x":1.50}'),
            ToolCall(call_id="b", name="g", arguments="{}"),
        ],
    ),
    "an index that is used again": (
        [
            delta({"tool_calls": [call(0, "{}", id="a", name="f")]}),
            delta({"tool_calls": [call(0, "{}", id="b", name="f")]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments="{}"),
            ToolCall(call_id="b", name="f", arguments="{}"),
        ],
    ),
    "no index, id repeated": (
        [
            delta({"tool_calls": [call(None, '{"a"', id="a", name="f")]}),
            delta({"tool_calls": [call(None, ":1}", id="a", name="f")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments='{"a":1}')],
    ),
    "empty ids and names afterwards": (
        [
            delta({"tool_calls": [call(0, "", id="a", name="f")]}),
            delta({"tool_calls": [call(0, "{}", id="", name="")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments="{}")],
    ),
    "the name comes late": (
        [
            delta({"tool_calls": [call(0, '{"a"', id="a")]}),
            delta({"tool_calls": [call(0, ":1}", name="f")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments='{"a":1}')],
    ),
    "a custom call": (
        [
            delta(
                {
                    "tool_calls": [
                        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "s", "input": "SELECT"}}
                    ]
                }
            ),
            delta({"tool_calls": [{"index": 0, "custom": {"input": " 1"}}]}),
        ],
        [ToolCall(call_id="a", name="s", arguments="SELECT 1", kind="custom")],
    ),
    "signatures on calls, early and late": (
        [
            delta(
                {
                    "tool_calls": [
                        call(
                            0,
                            "{}",
                            id="a",
                            name="f",
                            extra_content={"google": {"thought_signature": "S1"}},
                        )
                    ]
                }
            ),
            delta({"tool_calls": [call(1, "{}", id="b", name="f")]}),
            delta({"tool_calls": [call(1, "", extra_content={"google": {"thought_signature": "S2"}})]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments="{}", opaque=Opaque("gemini.signature", "S1")),
            ToolCall(call_id="b", name="f", arguments="{}", opaque=Opaque("gemini.signature", "S2")),
        ],
    ),
    "a signature on a text, and one alone": (
        [
            delta({"content": "x"}),
            delta({"extra_content": {"google": {"thought_signature": "S1"}}}),
            delta({"extra_content": {"google": {"thought_signature": "S2"}}}),
        ],
        [
            Text(text="x", opaque=Opaque("gemini.signature", "S1")),
            Text(text="", opaque=Opaque("gemini.signature", "S2")),
        ],
    ),
    "details in pieces": (
        [
            delta(
                {
                    "reasoning": "a",
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "a", "index": 0, "signature": None}
                    ],
                }
            ),
            delta(
                {"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}
            ),
            delta({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
            delta({"reasoning_details": [{"type": "reasoning.encrypted", "data": "g", "index": 1}]}),
            delta({"content": "x"}),
        ],
        [
            Reasoning(
                raw=["ab"],
                opaque=Opaque(
                    "openai_chat.details",
                    '{"type":"reasoning.text","text":"ab","index":0,"signature":"s"}',
                ),
            ),
            Reasoning(
                opaque=Opaque("openai_chat.details", '{"type":"reasoning.encrypted","data":"g","index":1}')
            ),
            Text(text="x"),
        ],
    ),
    "content in parts": (
        [
            delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]}),
            delta({"content": [{"type": "text", "text": "x"}]}),
        ],
        [Reasoning(raw=["t"]), Text(text="x")],
    ),
    "citations and logprobs": (
        [
            delta(
                {"content": "a"},
                logprobs={"content": [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": None}]},
            ),
            delta({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x"}}]}),
        ],
        [
            Text(
                text="a",
                citations=[Citation(kind="url", url="https://x", protocol="openai_chat")],
                logprobs=[TokenLogprob(token="a", logprob=-1)],
            )
        ],
    ),
    "speech and images": (
        [
            delta({"audio": {"id": "audio_1", "transcript": "hi"}}),
            delta({"audio": {"data": "Ukl"}}),
            delta({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]}),
            delta({"audio": {"data": "G"}}),
        ],
        [
            Media(kind="audio", id="audio_1", source=Inline("audio/wav", "UklG"), transcript="hi"),
            Media(kind="image", source=Inline("image/png", "iVBO")),
        ],
    ),
}


def _without_raw(part: Part) -> Part:
    if isinstance(part, Text) and part.citations:
        citations = [
            Citation(kind=each.kind, url=each.url, protocol=each.protocol) for each in part.citations
        ]
        return Text(text=part.text, citations=citations, logprobs=part.logprobs)
    return part


@pytest.mark.parametrize(("chunks", "expected"), PARTS.values(), ids=PARTS.keys())
def test_deltas_become_parts(chunks: list[dict[str, object]], expected: list[Part]) -> None:
    assert [_without_raw(part) for part in parts(*chunks, END)] == expected


def test_a_call_without_an_id_gets_a_derived_one() -> None:
    chunks = [delta({"tool_calls": [call(i, "{}", name="f") for i in (0, 1)]}), CALLS_END]
    first, second = parts(*chunks)
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert first.synthetic_id and first.call_id.startswith(SYNTHETIC) and first.call_id != second.call_id
    assert parts(*chunks) == [first, second]


def test_a_legacy_function_call_is_a_call() -> None:
    (part,) = parts(
        delta({"function_call": {"name": "f", "arguments": ""}}),
        delta({"function_call": {"arguments": "{}"}}),
        delta({}, "function_call"),
    )
    assert isinstance(part, ToolCall) and (part.name, part.arguments) == ("f", "{}")
