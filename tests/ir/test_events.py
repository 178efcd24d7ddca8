from __future__ import annotations

import pytest

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
    is_content,
)
from aiclient2api.ir.parts import Opaque, Reasoning, Text
from aiclient2api.ir.response import Finish, Usage


@pytest.mark.parametrize(
    ("event", "shows"),
    [
        pytest.param(PartStart(0, Text(text="")), False, id="a text begins"),
        pytest.param(PartStart(0, Text(text="Hi")), True, id="a whole text"),
        pytest.param(PartStart(0, Reasoning()), False, id="a thought begins"),
        pytest.param(PartStart(0, Reasoning(redacted=True)), True, id="a thought that nobody may read"),
        pytest.param(PartDelta(0, "Hi"), True, id="text"),
        pytest.param(PartDelta(0, "", "opaque", 0, Opaque("gemini.signature", "A")), True, id="state"),
        pytest.param(PartDelta(0, ""), False, id="empty text"),
        pytest.param(ResponseStart("msg_1", "m"), False, id="the answer begins"),
        pytest.param(PartEnd(0), False, id="a part ends"),
        pytest.param(UsageReport(Usage(input=1)), False, id="usage"),
        pytest.param(CandidateEnd(Finish(reason="stop")), False, id="a candidate ends"),
        pytest.param(ResponseEnd(), False, id="the answer ends"),
        pytest.param(Ping(), False, id="a sign of life"),
        pytest.param(Failure(ErrorInfo(kind="upstream", message="x")), False, id="a failure"),
    ],
)
def test_only_parts_and_their_pieces_are_content(event: StreamEvent, shows: bool) -> None:
    assert is_content(event) is shows
