"""Ten thousand streams, each broken at a random place: not one may look complete that is not."""

from __future__ import annotations

import pytest

from tests.faults.asking import Seen
from tests.faults.deep import run_shard
from tests.faults.drawing import draw
from tests.faults.many import verdict

SEED, STREAMS = 20_261_125, 10_000


@pytest.mark.timeout(900)  # a minute and a half on a quiet machine
def test_no_faulted_stream_of_ten_thousand_is_a_false_success_or_a_silent_truncation() -> None:
    tally = run_shard(SEED, range(STREAMS), sdk=False)

    assert tally.streams == STREAMS
    assert dict(tally.lies) == {}, tally.examples
    assert min(sum(count for name, count in tally.outcomes.items() if name.startswith(outcome)) for outcome in ("whole", "broken off")) > 500  # fmt: skip


def test_a_stream_is_drawn_the_same_way_again() -> None:
    assert [draw(1, number) for number in range(50)] == [draw(1, number) for number in range(50)]
    assert len({draw(1, number).kind for number in range(200)}) == 8


def test_the_judge_of_random_streams_sees_a_false_success() -> None:
    drawn = next(d for d in (draw(1, n) for n in range(1000)) if d.client == "openai_chat" and d.stream and not d.harmless and not d.doubtful)  # fmt: skip
    body = b'data: {"choices":[{"delta":{"content":"H\xc3\xa9llo "},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    _, lies = verdict(drawn, Seen(status=200, body=body, complete=True), 1)

    assert [lie.split(":")[0] for lie in lies] == ["false success", "silent truncation"]
