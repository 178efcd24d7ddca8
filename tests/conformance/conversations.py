"""What is said in each of the nine scenarios, and what is special about it; `talk.py` checks every turn."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tests.conformance.expectations import STOPS_AT_RESPONSES, Cell
from tests.conformance.neutral import Result, Tool, Wishes
from tests.conformance.talk import Bench, Talk

NOTE = 'naïve "quoted"\n日本 🌍'
BIG = 12345678901234567890123
WEATHER = Tool(
    "get_weather",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "temperature": {"type": "number"},
            "count": {"type": "integer", "enum": [BIG]},
            "note": {"type": "string", "enum": [NOTE]},
        },
        "required": ["city"],
    },
)
CLOCK = Tool("clock", {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]})
ARGUMENTS = (
    '{"city":"text","temperature":1.50,"count":12345678901234567890123,"note":"naïve \\"quoted\\"\\n日本 🌍"}'
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "price": {"type": "number"}, "stock": {"type": "integer"}},
    "required": ["name", "price", "stock"],
    "additionalProperties": False,
}
# base64 of these bytes holds the two characters in which the alphabets differ
IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
) + bytes(range(256))


def _text(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes())
    talk.user("Hello, wörld 🌍")
    assert talk.ask().shown.text == "You said: Hello, wörld 🌍"
    return talk


def _system_turns(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(system='Be brief.\nSay "you" — always.'))
    talk.user("First")
    talk.ask()
    talk.user("Second\n\n  with spaces")
    second = talk.ask()
    assert '[system: Be brief.\nSay "you" — always.] [turn 2]' in second.shown.text
    talk.user("Third")
    assert "[turn 3]" in talk.ask().shown.text
    return talk


def _tool(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(tools=(WEATHER, CLOCK)))
    talk.user("Please use get_weather")
    turn = talk.ask()
    (call,) = turn.sent.of("call")
    assert (call.name, call.text) == ("get_weather", ARGUMENTS)
    talk.results(Result(turn.calls[0], 'sunny, 21 °C "warm"'))
    assert talk.ask().shown.text.startswith('The tool answered: sunny, 21 °C "warm"')
    talk.user("Thanks")
    assert "You said: Thanks" in talk.ask().shown.text
    return talk


def _parallel_tools(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(tools=(WEATHER, CLOCK)))
    talk.user("Use get_weather and clock, both")
    turn = talk.ask()
    assert [call.name for call in turn.sent.of("call")] == ["get_weather", "clock"]
    weather, clock = turn.calls
    talk.results(Result(clock, {"time": "12:00", "offset": 1.5}), Result(weather, "rain"))
    answer = talk.ask().shown.text
    assert answer.startswith("The tool answered: rain; {")
    assert '"12:00"' in answer
    return talk


def _image(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes())
    talk.user("What is this?", ("image/png", IMAGE))
    turn = talk.ask()
    assert turn.shown.text.startswith(f"I see 1 image (image/png, {len(IMAGE)} bytes)")
    assert turn.asked.of("image")[0].data == IMAGE
    return talk


def _thinking(bench: Bench, cell: Cell) -> Talk:
    """A thought before a text and a thought before a call, both given back."""
    talk = Talk(bench, cell, Wishes(thinking=True, tools=(WEATHER,)))
    talk.user("Consider this")
    first = talk.ask()
    assert first.shown.reasoning == "Thinking about: Consider this"
    talk.user("Now get_weather")
    second = talk.ask()
    assert "[kept" not in second.shown.text
    talk.results(Result(second.calls[0], "sunny"))
    third = talk.ask()
    assert third.shown.text == "The tool answered: sunny [turn 2] [kept 2 thoughts]"
    proofs = [item.signature for turn in (first, second) for item in turn.sent.items if item.signature]
    assert [item.signature for item in third.asked.items if item.signature] == proofs
    assert len(proofs) == (0 if cell.upstream == "openai_chat" else 2)
    return talk


def _structured(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(schema=SCHEMA))
    talk.user("Describe a product")
    assert talk.ask().shown.text == '{"name":"text","price":1.50,"stock":1}'
    return talk


def _length(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(max_tokens=16))
    talk.user(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    )
    assert talk.ask().shown.text.endswith("thirteen fourteen")
    return talk


def _stop_sequence(bench: Bench, cell: Cell) -> Talk:
    talk = Talk(bench, cell, Wishes(stop="HALT"))
    talk.user("one two HALT three")
    # a Responses upstream cannot be told, which the report says
    is_told = cell.upstream != STOPS_AT_RESPONSES.protocol
    assert talk.ask().shown.text == ("You said: one two " if is_told else "You said: one two HALT three")
    return talk


CONVERSATIONS: dict[str, Callable[[Bench, Cell], Talk]] = {
    "text": _text,
    "system_turns": _system_turns,
    "tool": _tool,
    "parallel_tools": _parallel_tools,
    "image": _image,
    "thinking": _thinking,
    "structured": _structured,
    "length": _length,
    "stop_sequence": _stop_sequence,
}


def hold(bench: Bench, cell: Cell) -> Talk:
    """The conversation of a cell."""
    return CONVERSATIONS[cell.scenario](bench, cell)
