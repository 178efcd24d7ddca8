"""A stream with every kind of item, and the request that it answers."""

from __future__ import annotations

from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.parts import Citation, Opaque, Reasoning, Refusal, Text, TokenLogprob, ToolCall
from aiclient2api.ir.response import Finish, Usage
from tests.protocols.openai_responses.responses_wire import decode

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
REQUEST = decode(
    {
        "model": "m",
        "input": "hi",
        "tools": [{"type": "custom", "name": "sql"}, {"type": "function", "name": "f"}],
    }
)
START = ResponseStart(id="resp_1", model="gpt", created=5.0)

FULL: list[StreamEvent] = [
    ResponseStart(id="msg_1", model="claude"),
    PartStart(0, Reasoning(id="rs_1")),
    PartDelta(0, "A", "summary", 0),
    PartDelta(0, "B", "summary", 1),
    PartDelta(0, "R", "raw", 0),
    PartDelta(0, "", "opaque", 0, Opaque("envelope", "Z3ctY2Fycnkx")),
    PartEnd(0),
    PartStart(1, Text(text="", id="msg_1", phase="commentary")),
    PartDelta(1, 'Hel"'),
    PartDelta(1, "lo"),
    PartDelta(1, "", "logprobs", 0, [TokenLogprob(token="lo", logprob=-1.0)]),
    PartDelta(1, "", "citation", 0, Citation(kind="url", url="https://a")),
    PartEnd(1),
    PartStart(2, Refusal()),
    PartDelta(2, "no", "refusal"),
    PartEnd(2),
    PartStart(3, ToolCall(id="fc_1", call_id="c1", name="f")),
    PartStart(4, ToolCall(id="ctc_1", call_id="c2", name="sql")),
    PartDelta(3, '{"a":', "arguments"),
    PartDelta(4, '{"input":"SELECT 1"}', "arguments"),
    PartDelta(3, "1.50}", "arguments"),
    PartEnd(4),
    PartEnd(3),
    PartStart(5, Text(text="", new_item=True)),
    PartDelta(5, "end"),
    PartEnd(5),
    UsageReport(Usage(input=10, output=5), final=True),
    CandidateEnd(Finish(reason="tool_use")),
    ResponseEnd(),
]
