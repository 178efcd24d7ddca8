"""What must come out, written down from the design tables: finish reasons, usage, and what has no expression."""

from __future__ import annotations

import csv
from typing import NamedTuple

from tests.wire_tables import TABLES

PROTOCOLS = ("openai_chat", "openai_responses", "anthropic", "gemini")
SCENARIOS = (
    "text", "system_turns", "tool", "parallel_tools", "image", "thinking", "structured", "length", "stop_sequence",
)  # fmt: skip


class Cell(NamedTuple):
    """One conversation of the matrix."""

    client: str
    upstream: str
    stream: bool
    scenario: str

    @property
    def label(self) -> str:
        """For test ids."""
        return f"{self.scenario}-{self.client}-{self.upstream}-{'stream' if self.stream else 'unary'}"


ALL_CELLS = [
    Cell(client, upstream, stream, scenario)
    for scenario in SCENARIOS
    for client in PROTOCOLS
    for upstream in PROTOCOLS
    for stream in (False, True)
]


class Row(NamedTuple):
    """A row of `mapping.tsv`, which says what each protocol has: N native, E extension, X nothing."""

    concept: str
    protocol: str
    says: str


STOPS_AT_RESPONSES = Row("Stop sequences", "openai_responses", "X emu/ drop")

LEFT_OUT: dict[Cell, Row] = {
    cell: STOPS_AT_RESPONSES
    for cell in ALL_CELLS
    if cell.scenario == "stop_sequence" and cell.client == "openai_responses"
}
"""Cells that cannot be asked for: a Responses client has no member for stop sequences."""

RUN = [cell for cell in ALL_CELLS if cell not in LEFT_OUT]


def has_row(row: Row) -> bool:
    """Whether `mapping.tsv` says so."""
    with (TABLES / "mapping.tsv").open(newline="", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    return any(
        one["concept"] == row.concept and one[row.protocol].startswith(row.says)
        for one in csv.DictReader(lines, delimiter="\t")
    )


# ---- losses: what the gateway must report, and nothing else


class Loss(NamedTuple):
    """An entry of the report with the row that makes it one; `is_of_the_answer` is known only to unary callers."""

    act: str
    feature: str
    row: Row | None
    clients: tuple[str, ...]
    upstreams: tuple[str, ...]
    scenarios: tuple[str, ...]
    is_of_the_answer: bool = False

    def happens(self, cell: Cell) -> bool:
        """Whether a cell meets it."""
        is_told = not (self.is_of_the_answer and cell.stream)
        is_here = cell.client in self.clients and cell.upstream in self.upstreams
        return is_told and is_here and cell.scenario in self.scenarios and cell.client != cell.upstream


_CHAT, _RESPONSES, _CLAUDE, _GEMINI = PROTOCOLS
LOSSES = [
    Loss("dropped", "sampling.stop", STOPS_AT_RESPONSES, PROTOCOLS, (_RESPONSES,), ("stop_sequence",)),
    Loss(
        "dropped", "finish.stop_sequence", Row("Which stop matched", "gemini", "X"),
        (_CHAT, _GEMINI), (_CLAUDE,), ("stop_sequence",), is_of_the_answer=True,
    ),
    Loss(
        "dropped", "output.schema.name", Row("Schema name/description", "anthropic", "X drop"),
        (_CHAT, _RESPONSES), (_CLAUDE,), ("structured",),
    ),
    Loss(
        "dropped", "output.schema.name", Row("Schema name/description", "gemini", "X drop"),
        (_CHAT, _RESPONSES), (_GEMINI,), ("structured",),
    ),
    Loss(
        "dropped", "cache_mark", Row("Several system blocks with cache marks", "gemini", "N n parts; marks X drop"),
        (_CLAUDE,), (_GEMINI,), ("system_turns",),
    ),
    # the row says N for OpenAI itself; a compatible server would refuse the member
    Loss("dropped", "cache_mark", None, (_CLAUDE,), (_CHAT,), ("system_turns",)),
    Loss(
        "approximated", "tool_result.structured", Row("Structured result (object)", "anthropic", "X JSON text"),
        (_GEMINI,), PROTOCOLS, ("parallel_tools",),
    ),
    # what only Chat says of its answers
    Loss("dropped", "ext.system_fingerprint", None, PROTOCOLS, (_CHAT,), SCENARIOS, is_of_the_answer=True),
    Loss("approximated", "reasoning.show", None, (_RESPONSES, _GEMINI), (_CHAT,), ("thinking",)),
]  # fmt: skip


def losses(cell: Cell) -> set[tuple[str, str]]:
    """What the report of a cell says was dropped or approximated."""
    return {(loss.act, loss.feature) for loss in LOSSES if loss.happens(cell)}


ROWS = sorted({*LEFT_OUT.values(), *(loss.row for loss in LOSSES if loss.row is not None)})


# ---- finish reasons: protocols.md 2.12

_FINISH_IN = {
    "openai_chat": {"stop": "stop", "length": "length", "tool_calls": "tool_use"},
    "openai_responses": {"completed": "stop", "incomplete:max_output_tokens": "length"},
    "anthropic": {
        "end_turn": "stop",
        "max_tokens": "length",
        "tool_use": "tool_use",
        "stop_sequence": "stop_sequence",
    },
    "gemini": {"STOP": "stop", "MAX_TOKENS": "length"},
}
_FINISH_OUT = {
    "openai_chat": {
        "stop": "stop", "length": "length", "tool_use": "tool_calls", "stop_sequence": "stop",
    },
    "openai_responses": {
        "stop": "completed",
        "length": "incomplete:max_output_tokens",
        "tool_use": "completed",
        "stop_sequence": "completed",
    },
    "anthropic": {
        "stop": "end_turn", "length": "max_tokens", "tool_use": "tool_use", "stop_sequence": "stop_sequence",
    },
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "tool_use": "STOP", "stop_sequence": "STOP"},
}  # fmt: skip


def finish(client: str, upstream: str, native: str, *, has_calls: bool) -> str:
    """What the client is told when the upstream said `native`: calls are a reason of their own."""
    neutral = _FINISH_IN[upstream][native]
    if neutral == "stop" and has_calls:
        neutral = "tool_use"
    return _FINISH_OUT[client][neutral]


# ---- usage: protocols.md 2.9


class Counts(NamedTuple):
    """`input` with both cache counts, `output` with reasoning."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int


def counts(upstream: str, usage: dict[str, int]) -> Counts:
    """The native counters in one form."""
    match upstream:
        case "openai_chat":
            return Counts(
                usage["prompt"],
                usage["cached"],
                usage["cache_write"],
                usage["completion"],
                usage["reasoning"],
            )
        case "openai_responses":
            return Counts(
                usage["input"], usage["cached"], usage["cache_write"], usage["output"], usage["reasoning"]
            )
        case "anthropic":
            read, write = usage["cache_read"], usage["cache_write"]
            return Counts(usage["input"] + read + write, read, write, usage["output"], usage["thinking"])
        case _:
            output = usage["candidates"] + usage["thoughts"]
            return Counts(usage["prompt"], usage["cached"], 0, output, usage["thoughts"])


def usage_for(client: str, counted: Counts) -> dict[str, int]:
    """The client's native counters."""
    input_, read, write, output, reasoning = counted
    match client:
        case "openai_chat":
            return {
                "prompt": input_, "cached": read, "cache_write": write,
                "completion": output, "reasoning": reasoning, "total": input_ + output,
            }  # fmt: skip
        case "openai_responses":
            return {
                "input": input_, "cached": read, "cache_write": write,
                "output": output, "reasoning": reasoning, "total": input_ + output,
            }  # fmt: skip
        case "anthropic":
            return {
                "input": input_ - read - write, "cache_read": read, "cache_write": write,
                "output": output, "thinking": reasoning,
            }  # fmt: skip
        case _:
            return {
                "prompt": input_, "cached": read, "candidates": output - reasoning,
                "thoughts": reasoning, "total": input_ + output,
            }  # fmt: skip


# ---- ids: protocols.md 2.8

ID_PREFIX = {"openai_chat": "chatcmpl-", "openai_responses": "resp_", "anthropic": "msg_", "gemini": ""}
