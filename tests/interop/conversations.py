"""What is said in the interoperability tests, and what the upstream's script makes it answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple

from google import genai
from google.genai import types as google

from tests.conformance.clients import Sdks, session
from tests.conformance.neutral import Answer, Result, Tool, Wishes
from tests.harness import Stack

CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini")
STOP = {"openai_chat": "stop", "openai_responses": "completed", "anthropic": "end_turn", "gemini": "STOP"}
TOOL_USE = {
    "openai_chat": "tool_calls",
    "openai_responses": "completed",
    "anthropic": "tool_use",
    "gemini": "STOP",
}

WEATHER = Tool(
    "get_weather",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "exact": {"type": "number"},
            "units": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city"],
    },
)
TIME = Tool("get_time", {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]})


class Call(NamedTuple):
    """A call the upstream makes."""

    name: str
    arguments: dict[str, Any]


class Step(NamedTuple):
    """Something goes up, an answer comes down: `said` by the user, or the `results` of the calls before."""

    said: str = ""
    results: tuple[str, ...] = ()
    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()


class Conversation(NamedTuple):
    """A whole conversation."""

    wishes: Wishes
    steps: tuple[Step, ...]


PARIS = Call("get_weather", {"city": "Paris", "days": 2, "exact": 1.5, "units": ["°C", 'say "Kelvin"']})
TOKYO = Call("get_time", {"zone": "Asia/Tokyo"})

CONVERSATIONS = {
    "text": Conversation(
        Wishes(), (Step("Say something naive.", text="A naïve 🌍 says:\n\n  “hello”, then \\ nothing."),)
    ),
    "system and several turns": Conversation(
        Wishes(system="Answer like a pirate."),
        (
            Step("Who goes there?", text="A friend, arr."),
            Step("Prove that.", text="Look at me parrot, matey."),
        ),
    ),
    "a tool call and its result": Conversation(
        Wishes(tools=(WEATHER, TIME)),
        (
            Step("How is the weather in Paris?", calls=(PARIS,)),
            Step(results=("sunny, 21 degrees",), text="Paris is sunny."),
        ),
    ),
    "two parallel calls": Conversation(
        Wishes(tools=(WEATHER, TIME)),
        (
            Step("Weather in Paris and time in Tokyo?", calls=(PARIS, TOKYO)),
            Step(results=("rain, 12 degrees", "09:30"), text="It rains, and it is half past nine."),
        ),
    ),
}
THINKING = {
    "thinking, then on": Conversation(
        Wishes(thinking=True),
        (
            Step("What is six times seven?", thought="Seven and seven are fourteen…", text="Forty-two."),
            Step("Are you sure of that?", text="Quite."),
        ),
    ),
    "thinking before a call": Conversation(
        Wishes(thinking=True, tools=(WEATHER,)),
        (
            Step("Think about Paris first.", thought="They want to know the weather.", calls=(PARIS,)),
            Step(results=("windy, 8 degrees",), text="Take a coat."),
        ),
    ),
}


class Lie(NamedTuple):
    """What a mock does otherwise than the real upstream, as a client sees it when it is relayed."""

    calls_end_with: str = ""
    no_call_ids: bool = False
    only_v1beta: bool = False


TRUTH = Lie()


class Callers(NamedTuple):
    """The official SDKs, as they are and with the version of Gemini's paths that older mocks know."""

    current: Sdks
    v1beta: Sdks

    def facing(self, lie: Lie) -> Sdks:
        """Those that the mock can serve."""
        return self.v1beta if lie.only_v1beta else self.current


@contextmanager
def callers(stack: Stack) -> Iterator[Callers]:
    """SDKs that talk to a gateway."""
    current = Sdks(stack.url, stack.key)
    both = Callers(current, copy(current))
    both.v1beta.google = genai.Client(
        api_key=stack.key, http_options=google.HttpOptions(base_url=stack.url, api_version="v1beta")
    )
    try:
        yield both
    finally:
        both.v1beta.google.close()
        current.close()


def hold(conversation: Conversation, protocol: str, sdks: Sdks, model: str, *, stream: bool) -> list[Answer]:
    """Hold the conversation through an official SDK; the answers it shows."""
    talk = session(protocol, sdks, model, conversation.wishes)
    answers: list[Answer] = []
    for step in conversation.steps:
        if step.results:
            calls = answers[-1].of("call")
            assert len(calls) == len(step.results)
            talk.results([Result(call, value) for call, value in zip(calls, step.results, strict=True)])
        else:
            talk.user(step.said)
        answers.append(talk.ask(stream=stream))
    return answers


def check(conversation: Conversation, protocol: str, answers: list[Answer], lie: Lie = TRUTH) -> None:
    """Content, tool names, arguments, ids, finish: as the script of the upstream has them."""
    for step, answer in zip(conversation.steps, answers, strict=True):
        calls = answer.of("call")
        assert answer.text == step.text
        assert answer.reasoning == step.thought
        assert [(call.name, json.loads(call.text)) for call in calls] == [tuple(call) for call in step.calls]
        assert len({call.id for call in calls if call.id}) == (0 if lie.no_call_ids else len(calls))
        assert answer.finish == ((lie.calls_end_with or TOOL_USE[protocol]) if step.calls else STOP[protocol])
