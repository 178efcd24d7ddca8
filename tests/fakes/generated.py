"""Answers as hypothesis strategies: everything an upstream's converter may put into a turn."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.ir.parts import (
    Citation,
    Ext,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
    Url,
)
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, FinishReason, ModelResponse, Usage

KINDS = (
    "anthropic.signature",
    "anthropic.redacted",
    "openai.encrypted",
    "openai_chat.details",
    "gemini.signature",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
RAWS = st.sampled_from(
    [
        Raw(b"1.50"),
        Raw(b'{"b":1, "a":[ 1e3 ]}'),
        Raw(b'"\\u00e9"'),
        Raw(b"12345678901234567890123"),
        Raw(b"true"),
    ]
)
EXTS: st.SearchStrategy[Ext | None] = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["anthropic", "gemini"]),
        st.dictionaries(st.sampled_from(["x", "y"]), RAWS, min_size=1),
    ),
)
OPAQUES: st.SearchStrategy[Opaque | None] = st.one_of(
    st.none(), st.builds(Opaque, st.sampled_from(KINDS), st.text("ABC+/=", min_size=1, max_size=16))
)
CITATIONS = st.builds(
    Citation,
    kind=st.sampled_from(["url", "document"]),
    url=st.one_of(st.none(), TEXTS),
    span=st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(9, 20))),
    raw=st.one_of(st.none(), RAWS),
    protocol=st.just("anthropic"),
)
LOGPROBS = st.builds(TokenLogprob, token=TEXTS, logprob=st.sampled_from([0.0, -0.25, -3.5]))
IDS = st.one_of(st.none(), st.sampled_from(["msg_1", "rs_2"]))

REASONINGS = st.builds(
    Reasoning,
    summary=st.lists(TEXTS, max_size=3),
    raw=st.lists(TEXTS, max_size=2),
    redacted=st.booleans(),
    id=IDS,
    opaque=OPAQUES,
    ext=EXTS,
    shape=st.sampled_from([0, 16]),
)

PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(
        Text,
        text=TEXTS,
        citations=st.lists(CITATIONS, max_size=2),
        logprobs=st.one_of(st.none(), st.lists(LOGPROBS, min_size=1, max_size=2)),
        phase=st.sampled_from([None, "commentary"]),
        id=IDS,
        opaque=OPAQUES,
        ext=EXTS,
    ),
    REASONINGS,
    st.builds(
        ToolCall,
        call_id=st.sampled_from(["call_1", "toolu_2"]),
        name=st.sampled_from(["search", "run"]),
        arguments=st.sampled_from(["", "{}", '{"n": 1.50}']),
        kind=st.sampled_from(["function", "custom"]),
        id=IDS,
        opaque=OPAQUES,
        ext=EXTS,
    ),
    st.builds(Refusal, text=TEXTS, opaque=OPAQUES),
    st.builds(
        Media,
        kind=st.sampled_from(["image", "audio"]),
        source=st.sampled_from([Inline("image/png", "iVBORw=="), Url("https://example.com/a.png")]),
        transcript=st.sampled_from([None, "hello"]),
        opaque=OPAQUES,
    ),
    st.builds(HostedCall, protocol=st.just("anthropic"), wire_type=st.just("server_tool_use"), raw=RAWS),
    st.builds(Native, protocol=st.just("gemini"), wire_type=st.sampled_from([None, "new"]), raw=RAWS),
)
TURNS = st.builds(Turn, role=st.just("assistant"), parts=st.lists(PARTS, max_size=5))
REASONS: tuple[FinishReason, ...] = ("stop", "length", "tool_use", "refusal")
FINISHES = st.builds(Finish, reason=st.sampled_from(REASONS), raw=st.one_of(st.none(), TEXTS))
COUNTS = st.one_of(st.none(), st.integers(0, 1000))
USAGES = st.builds(Usage, input=COUNTS, cache_read=COUNTS, output=COUNTS, reasoning=COUNTS)


def _answer(
    turns: list[tuple[Turn, Finish]],
    usage: Usage | None,
    blocked: Finish | None,
    tier: str | None,
    ext: Ext | None,
) -> ModelResponse:
    return ModelResponse(
        protocol="anthropic",
        id="msg_1",
        model="claude",
        created=1700000000.0,
        candidates=[
            Candidate(turn=turn, index=index, finish=finish) for index, (turn, finish) in enumerate(turns)
        ],
        usage=usage,
        blocked=None if turns else blocked,
        tier=tier,
        ext=ext,
    )


ANSWERS = st.builds(
    _answer,
    st.lists(st.tuples(TURNS, FINISHES), max_size=2),
    st.one_of(st.none(), USAGES),
    st.one_of(st.none(), FINISHES),
    st.sampled_from([None, "standard"]),
    EXTS,
)
