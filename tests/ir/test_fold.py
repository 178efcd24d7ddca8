from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec import Raw

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    NativeEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import StreamFailed, fold, unfold
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
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
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from tests.fakes.generated import ANSWERS

SIGNATURE = Opaque("anthropic.signature", "EqQB")
CITATION = Citation(kind="url", url="https://example.com", span=(0, 2))
LOGPROB = TokenLogprob(token="Hi", logprob=-0.5)
STOP = CandidateEnd(Finish(reason="stop"))


def part_of(*events: StreamEvent) -> Part:
    response = fold([ResponseStart(), *events, STOP, ResponseEnd()], "anthropic")
    (part,) = response.candidates[0].turn.parts
    return part


@given(ANSWERS)
@settings(max_examples=100)
def test_an_answer_unfolds_to_a_stream_that_folds_back_to_it(answer: ModelResponse) -> None:
    assert fold(unfold(answer), answer.protocol) == answer


@given(ANSWERS)
@settings(max_examples=100)
def test_the_pieces_alone_make_the_same_parts(answer: ModelResponse) -> None:
    events = [
        PartEnd(event.number, None, event.candidate) if isinstance(event, PartEnd) else event
        for event in unfold(answer)
    ]

    assert fold(events, answer.protocol) == answer


@given(ANSWERS)
@settings(max_examples=50)
def test_an_unfolded_answer_keeps_the_order_of_a_stream(answer: ModelResponse) -> None:
    events = unfold(answer)
    open_parts: set[tuple[int, int]] = set()
    begun: list[tuple[int, int]] = []
    ended: set[int] = set()

    assert isinstance(events[0], ResponseStart)
    assert isinstance(events[-1], ResponseEnd)
    for event in events[1:-1]:
        match event:
            case PartStart():
                assert event.candidate not in ended
                open_parts.add((event.candidate, event.number))
                begun.append((event.candidate, event.number))
            case PartDelta():
                assert (event.candidate, event.number) in open_parts
            case PartEnd():
                open_parts.remove((event.candidate, event.number))
            case CandidateEnd():
                assert event.candidate not in ended
                ended.add(event.candidate)
            case _:
                assert isinstance(event, UsageReport)
    assert not open_parts
    assert len(set(begun)) == len(begun)


@pytest.mark.parametrize(
    ("events", "part"),
    [
        pytest.param(
            [
                PartStart(0, Text(text="", id="msg_1")),
                PartDelta(0, "Hel"),
                PartDelta(0, "lo"),
                PartDelta(0, "", "citation", 0, CITATION),
                PartDelta(0, "", "logprobs", 0, [LOGPROB]),
                PartDelta(0, "", "logprobs", 0, [LOGPROB]),
                PartDelta(0, "", "opaque", 0, SIGNATURE),
            ],
            Text(
                text="Hello",
                id="msg_1",
                citations=[CITATION],
                logprobs=[LOGPROB, LOGPROB],
                opaque=SIGNATURE,
            ),
            id="text",
        ),
        pytest.param(
            [
                PartStart(0, Reasoning()),
                PartDelta(0, "b1", "summary", 1),
                PartDelta(0, "a1", "summary", 0),
                PartDelta(0, "b2", "summary", 1),
                PartDelta(0, "r", "raw", 0),
                PartDelta(0, "", "opaque", 0, SIGNATURE),
            ],
            Reasoning(summary=["a1", "b1b2"], raw=["r"], opaque=SIGNATURE),
            id="reasoning in sections",
        ),
        pytest.param(
            [
                PartStart(0, ToolCall(call_id="c1", name="f", opaque=SIGNATURE)),
                PartDelta(0, '{"a":', "arguments"),
                PartDelta(0, " 1.50}", "arguments"),
            ],
            ToolCall(call_id="c1", name="f", arguments='{"a": 1.50}', opaque=SIGNATURE),
            id="tool call",
        ),
        pytest.param(
            [PartStart(0, Refusal()), PartDelta(0, "I ", "refusal"), PartDelta(0, "cannot", "refusal")],
            Refusal(text="I cannot"),
            id="refusal",
        ),
        pytest.param(
            [
                PartStart(0, Media(kind="audio", source=Inline("audio/pcm", "AAAA"))),
                PartDelta(0, "BBBB", "audio"),
                PartDelta(0, "hel", "transcript"),
                PartDelta(0, "lo", "transcript"),
            ],
            Media(kind="audio", source=Inline("audio/pcm", "AAAABBBB"), transcript="hello"),
            id="sound",
        ),
        pytest.param(
            [
                PartStart(0, HostedCall(protocol="anthropic", wire_type="x", raw=Raw(b"{}"))),
                PartDelta(0, "", "opaque", 0, SIGNATURE),
            ],
            HostedCall(protocol="anthropic", wire_type="x", raw=Raw(b"{}"), opaque=SIGNATURE),
            id="a block of the provider",
        ),
    ],
)
def test_pieces_become_the_part(events: list[StreamEvent], part: Part) -> None:
    assert part_of(*events, PartEnd(0)) == part


def test_the_sources_own_whole_wins_over_its_pieces() -> None:
    part = part_of(PartStart(0, Text(text="")), PartDelta(0, "Helo"), PartEnd(0, Text(text="Hello")))

    assert part == Text(text="Hello")


def test_parts_that_stream_at_the_same_time_keep_their_places() -> None:
    response = fold(
        [
            ResponseStart("r", "m"),
            PartStart(0, ToolCall(call_id="a", name="f")),
            PartStart(1, ToolCall(call_id="b", name="g")),
            PartDelta(1, "{}", "arguments"),
            PartDelta(0, "[]", "arguments"),
            PartEnd(1),
            PartEnd(0),
            STOP,
            ResponseEnd(),
        ],
        "openai_chat",
    )

    assert response.candidates[0].turn.parts == [
        ToolCall(call_id="a", name="f", arguments="[]"),
        ToolCall(call_id="b", name="g", arguments="{}"),
    ]


def test_candidates_are_kept_apart_and_in_order() -> None:
    response = fold(
        [
            ResponseStart(),
            PartStart(0, Text(text=""), 1),
            PartStart(0, Text(text=""), 0),
            PartDelta(0, "second", candidate=1),
            PartDelta(0, "first", candidate=0),
            PartEnd(0, None, 1),
            PartEnd(0, None, 0),
            CandidateEnd(Finish(reason="length"), 1),
            CandidateEnd(Finish(reason="stop"), 0),
            ResponseEnd(),
        ],
        "openai_chat",
    )

    assert response.candidates == [
        Candidate(
            turn=Turn(role="assistant", parts=[Text(text="first")]), finish=Finish(reason="stop"), index=0
        ),
        Candidate(
            turn=Turn(role="assistant", parts=[Text(text="second")]), finish=Finish(reason="length"), index=1
        ),
    ]


def test_the_last_usage_report_counts() -> None:
    response = fold(
        [
            ResponseStart(usage=Usage(input=5, output=1)),
            UsageReport(Usage(input=5, output=9), final=True),
            Ping(),
            NativeEvent("anthropic", "new_event", Raw(b"{}")),
            ResponseEnd(),
        ],
        "anthropic",
    )

    assert response.usage == Usage(input=5, output=9)
    assert response.candidates == []


def test_members_of_both_ends_are_kept_and_the_later_wins() -> None:
    response = fold(
        [
            ResponseStart(ext={"anthropic": {"container": Raw(b"1"), "x": Raw(b"1")}}, tier="auto"),
            ResponseEnd(ext={"anthropic": {"x": Raw(b"2")}, "gemini": {"y": Raw(b"3")}}, tier="standard"),
        ],
        "anthropic",
    )

    assert response.ext == {"anthropic": {"container": Raw(b"1"), "x": Raw(b"2")}, "gemini": {"y": Raw(b"3")}}
    assert response.tier == "standard"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([ResponseStart()], id="no end"),
        pytest.param([ResponseStart(), PartStart(0, Text(text="")), ResponseEnd()], id="an open part"),
    ],
)
def test_a_cut_stream_is_no_answer(events: list[StreamEvent]) -> None:
    with pytest.raises(MalformedMessage):
        fold(events, "anthropic")


def test_a_failure_is_raised_with_its_error() -> None:
    error = ErrorInfo(kind="overloaded", message="try later")

    with pytest.raises(StreamFailed) as raised:
        fold([ResponseStart(), Failure(error)], "anthropic")

    assert raised.value.error is error


def test_usage_adds_up() -> None:
    assert Usage(input=10, cache_read=4, tool_input=2, output=5, reasoning=3).total == 17
    assert Usage().total == 0
