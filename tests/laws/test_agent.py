"""Ten turns of an agent that thinks and calls tools, through each official SDK against each upstream protocol.

The simulator refuses a Claude thought that was altered, is foreign, or stands in another conversation than the one it
was made in, and does not count those of OpenAI and Gemini; so it tells whether everything came back as it was.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from aiclient2api.simulator.signatures import Signer, Verdict, prefix_of
from tests.conformance.conversations import CLOCK, WEATHER
from tests.conformance.expectations import Cell
from tests.conformance.neutral import Result, Wishes
from tests.conformance.talk import Bench, Talk
from tests.laws.laws import assert_prefix
from tests.laws.native import OC, PAIRS
from tests.laws.plain import load

ERRANDS = (
    "Please use get_weather",
    "Use get_weather and clock, both",
    "Ask the clock",
    "get_weather again",
    "Use both tools",
)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_ten_turns_come_back_as_they_were_said(
    bench: Bench, client: str, upstream: str, stream: bool
) -> None:
    talk = Talk(bench, Cell(client, upstream, stream, "agent"), Wishes(thinking=True, tools=(WEATHER, CLOCK)))
    for errand in ERRANDS:
        talk.user(errand)
        calls = talk.ask().calls
        assert calls
        talk.results(*(Result(call, f"done: {call.name}") for call in calls))
        assert "done: " in talk.ask().shown.text
    assert len(talk.turns) == 10
    for shorter, longer in pairwise(load(turn.received.body) for turn in talk.turns):
        assert_prefix(upstream, shorter, longer)
    if upstream != OC:  # nothing is signed there
        assert talk.turns[-1].shown.text.endswith("[kept 9 thoughts]")


TREE = {"system": "S", "messages": [{"role": "user", "content": "a"}]}
MARKED = {
    "system": "S",
    "messages": [{"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}}],
}
OTHER = {"system": "S", "messages": [{"role": "user", "content": "b"}]}


def test_the_simulators_signature_is_bound_to_what_was_said_before() -> None:
    def prefix(tree: dict[str, object]) -> str:
        messages = tree["messages"]
        assert isinstance(messages, list)
        return prefix_of(tree, ("system",), messages)

    signer = Signer("secret", "anthropic")
    signature = signer.sign("m", "thought", prefix(dict(TREE)))
    assert signer.verify("m", "thought", signature, prefix(dict(TREE))) is Verdict.KEPT
    assert signer.verify("m", "thought", signature, prefix(dict(MARKED))) is Verdict.KEPT
    assert signer.verify("m", "thought", signature, prefix(dict(OTHER))) is Verdict.OTHER_CONVERSATION
    assert (
        signer.verify("m", "thought", signature, prefix({**TREE, "system": "T"}))
        is Verdict.OTHER_CONVERSATION
    )
    assert signer.verify("m", "other", signature, prefix(dict(TREE))) is Verdict.ALTERED
    assert Signer("secret", "openai").verify("m", "thought", signature, prefix(dict(TREE))) is Verdict.ALTERED
