"""What a target cannot take is in the report: odd values and places that the feature atoms of the laws do not build."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest
from tests.fakes.sealing import CARRIER
from tests.protocols.exchanges import streamed
from tests.protocols.test_pairs import BUILTIN, CONVERTERS, PATHS

OC, OR, AM, GG = "openai_chat", "openai_responses", "anthropic", "gemini"
OLD = ModelProfile(thinking="budget")
USER: Any = {"role": "user", "content": "hi"}
FUNCTION: Any = {"name": "f", "parameters": {"type": "object", "properties": {}}}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
CHAR = {
    "type": "char_location",
    "cited_text": "c",
    "document_index": 0,
    "start_char_index": 0,
    "end_char_index": 1,
}


def sent(client: str, upstream: str, body: Any, profile: ModelProfile | None = None) -> tuple[Any, list[Any]]:
    """The upstream's body, and feature and act of every loss, as the gateway converts."""
    inbound = Inbound(
        CONVERTERS[client], WireRequest(path=PATHS[client], body=json.dumps(body).encode()), "t"
    )
    target = Target(model="m", profile=profile or ModelProfile())
    conversion = ConverterFactory(BUILTIN, CARRIER).convert(inbound, upstream, target)
    return json.loads(conversion.request.body), [(loss.feature, loss.act) for loss in conversion.losses]


def chat(*messages: Any, **members: Any) -> Any:
    return {"model": "m", "messages": [*messages] or [USER], **members}


def claude(*messages: Any, **members: Any) -> Any:
    return {"model": "m", "max_tokens": 100, "messages": [*messages] or [USER], **members}


def responses(*items: Any, **members: Any) -> Any:
    return {"model": "m", "input": [*items] or [USER], **members}


def google(*contents: Any, **members: Any) -> Any:
    return {"contents": [*contents] or [{"role": "user", "parts": [{"text": "hi"}]}], **members}


def _signed(data: str) -> Any:
    return {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": data}]}


USED = [
    USER,
    {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "cache_control": {"type": "ephemeral"}}
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "content": "r",
                "cache_control": {"type": "ephemeral"},
            }
        ],
    },
]
CITED = {"role": "user", "content": [{"type": "text", "text": "hi", "citations": [CHAR]}]}
NAMED = {"type": "function_call", "call_id": "c", "name": "f", "namespace": "ns", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "r"}
FILE = {
    "type": "input_file",
    "file_data": "data:application/pdf;base64,JVBE",
    "filename": "x.pdf",
    "detail": "high",
}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "iVBO", "displayName": "d"}}
THOUGHT = {
    "role": "model",
    "parts": [{"text": "Hm", "thought": True, "thoughtSignature": "c2ln"}, {"text": "a"}],
}
BOTH = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "output_config": {"effort": "medium"}}
DROPPED = "dropped"

CASES: dict[str, tuple[str, list[str], Any, tuple[str, str]]] = {
    "a tool choice without tools": (
        OC,
        [AM, GG],
        chat(tool_choice={"type": "function", "function": {"name": "f"}}),
        ("tool_choice", DROPPED),
    ),
    "an unknown tool choice": (AM, [OC, GG], claude(tool_choice={"type": "x"}), ("tool_choice", DROPPED)),
    "an unknown mode": (
        GG,
        [AM, OC, OR],
        google(toolConfig={"functionCallingConfig": {"mode": "X"}}),
        ("ext.mode", DROPPED),
    ),
    "a budget beside an effort": (AM, [OC, OR, GG], claude(**BOTH), ("reasoning.budget", DROPPED)),
    "citations in the user's text": (AM, [OC, OR, GG], claude(CITED), ("citation", DROPPED)),
    "cache marks of calls and results": (AM, [OC, OR, GG], claude(*USED), ("cache_mark", DROPPED)),
    "the namespace of a call": (
        OR,
        [OC, AM, GG],
        responses(USER, NAMED, OUTPUT),
        ("tool.namespace", "approximated"),
    ),
    "a function's output schema": (
        OR,
        [OC, AM],
        responses(tools=[{"type": "function", **FUNCTION, "output_schema": {"type": "object"}}]),
        ("tool.output", DROPPED),
    ),
    "the detail of a file": (
        OR,
        [OC, AM],
        responses({"role": "user", "content": [FILE]}),
        ("media.detail", DROPPED),
    ),
    "how a summary is written": (
        OR,
        [OC, AM, GG],
        responses(reasoning={"effort": "low", "summary": "concise"}),
        ("reasoning.show", "approximated"),
    ),
    "what a Responses client wants included": (
        OR,
        [OC, AM, GG],
        responses(include=["web_search_call.action.sources"]),
        ("ext.include", DROPPED),
    ),
    "the name of an image": (
        GG,
        [OC, OR, AM],
        google({"role": "user", "parts": [IMAGE]}),
        ("media.filename", DROPPED),
    ),
    "signed thoughts of Claude": (
        AM,
        [OC, OR, GG],
        claude(USER, _signed("SIG"), USER),
        ("reasoning.text", DROPPED),
    ),
    "signed thoughts of Gemini": (
        GG,
        [OC, OR, AM],
        google(
            {"role": "user", "parts": [{"text": "a"}]}, THOUGHT, {"role": "user", "parts": [{"text": "b"}]}
        ),
        ("reasoning.text", DROPPED),
    ),
}


@pytest.mark.parametrize(
    ("client", "upstream", "body", "loss"),
    [(client, one, body, loss) for client, targets, body, loss in CASES.values() for one in targets],
    ids=[f"{name}: {client} to {one}" for name, (client, targets, *_) in CASES.items() for one in targets],
)
def test_what_stays_behind_is_reported(client: str, upstream: str, body: Any, loss: tuple[str, str]) -> None:
    assert loss in sent(client, upstream, body)[1]


def test_every_cache_mark_that_stays_behind_has_an_entry_of_its_own() -> None:
    assert sent(AM, OC, claude(*USED))[1].count(("cache_mark", DROPPED)) == 2


@pytest.mark.parametrize("upstream", [AM, GG, OR, OC])
def test_reasoning_and_logprobs_are_asked_for_elsewhere_and_no_loss_of_include(upstream: str) -> None:
    body = responses(include=["reasoning.encrypted_content"])
    assert ("ext.include", DROPPED) not in sent(OR, upstream, body)[1]


@pytest.mark.parametrize(("effort", "budget"), [("xhigh", 24576), ("max", -1)])
def test_an_effort_that_a_budget_cannot_tell_apart_is_an_approximation(effort: str, budget: int) -> None:
    body, losses = sent(OC, GG, chat(reasoning_effort=effort), OLD)
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == budget
    assert ("reasoning.effort", "approximated") in losses


def test_a_summary_of_thoughts_that_cannot_be_switched_off_is_reported() -> None:
    body = responses(reasoning={"effort": "none", "summary": "auto"})
    losses = sent(OR, AM, body, ModelProfile(thinking_off=False))[1]
    assert losses[-2:] == [("reasoning.effort", "approximated"), ("reasoning.show", DROPPED)]


def test_an_effort_with_a_budget_of_its_own_is_none() -> None:
    assert sent(OC, GG, chat(reasoning_effort="high"), OLD)[1] == []


def test_the_budget_goes_to_a_model_that_counts_and_the_effort_is_named() -> None:
    body, losses = sent(AM, GG, claude(**BOTH), OLD)
    assert body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 2048
    assert ("reasoning.effort", DROPPED) in losses


@pytest.mark.parametrize("number", [0, -1])
def test_less_than_one_choice_is_malformed(number: int) -> None:
    with pytest.raises(MalformedMessage) as raised:
        sent(OC, AM, chat(n=number))
    assert raised.value.path == "n"


SILENT = {"role": "assistant", "content": ""}


@pytest.mark.parametrize("content", ["", None])
def test_an_empty_message_of_the_assistant_stays_where_it_can_stand(content: str | None) -> None:
    messages = [USER, SILENT | {"content": content}, USER]
    assert sent(OC, OR, chat(*messages))[0]["input"][1] == SILENT
    contents = sent(OC, GG, chat(*messages))[0]["contents"]
    assert contents[1] == {"role": "model", "parts": [{"text": ""}]}


@pytest.mark.parametrize("content", ["", None])
def test_where_an_empty_message_of_the_assistant_cannot_stand_it_is_reported(content: str | None) -> None:
    assert ("message.empty", DROPPED) in sent(OC, AM, chat(USER, SILENT | {"content": content}, USER))[1]


@pytest.mark.parametrize("upstream", [OC, OR, AM])
def test_property_ordering_becomes_the_order_of_the_properties(upstream: str) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}, "c": {"type": "STRING"}},
        "propertyOrdering": ["c", "a"],
    }
    body, _ = sent(
        GG, upstream, google(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])
    )
    tool = body["tools"][0]
    written = tool.get("input_schema") or tool.get("parameters") or tool["function"]["parameters"]
    assert list(written["properties"]) == ["c", "a", "b"]


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}


@pytest.mark.parametrize("upstream", [AM, GG, OC])
@pytest.mark.parametrize(
    ("form", "acts"), [({"type": "text"}, ["emulated"]), (GRAMMAR, ["emulated", "approximated"])]
)
def test_only_a_grammar_is_told_in_the_description(upstream: str, form: Any, acts: list[str]) -> None:
    body = responses(tools=[{"type": "custom", "name": "sql", "description": "Run", "format": form}])
    told, losses = sent(OR, upstream, body, ModelProfile(developer_role=False))
    assert [act for feature, act in losses if feature == "tool.custom"] == acts
    assert ("start: " in json.dumps(told)) == (form is GRAMMAR)


def test_a_title_that_heads_its_text_is_no_loss() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "plain"}
    document = {"type": "document", "source": source, "title": "T"}
    body, losses = sent(AM, OC, claude({"role": "user", "content": [document]}))
    assert body["messages"][0]["content"] == "T\n\nplain"
    assert losses == [("media.document", "approximated")]


UPDATE = {"type": "configuration_update", "reasoning": {"effort": "low"}}


@pytest.mark.parametrize("upstream", [OC, AM, GG])
def test_an_effort_from_here_on_is_dropped_without_a_message_in_its_place(upstream: str) -> None:
    body, losses = sent(OR, upstream, responses(USER, UPDATE, USER))
    plain, _ = sent(OR, upstream, responses(USER, USER))
    assert body == plain
    assert ("control.configuration_update", DROPPED) in losses


def test_an_effort_from_here_on_of_claude_is_the_item_that_says_so() -> None:
    change = {"role": "system", "content": [], "output_config": {"effort": "low"}}
    body, losses = sent(AM, OR, claude(USER, {"role": "assistant", "content": "a"}, USER, change))
    assert body["input"][-1] == UPDATE
    assert losses == []


@pytest.mark.parametrize("upstream", [OC, OR, AM, GG])
def test_a_search_of_another_provider_is_told_as_text_and_emulated_everywhere(upstream: str) -> None:
    answer = {"role": "assistant", "content": [SEARCH, FOUND, {"type": "text", "text": "a"}]}
    client, body = (
        (OR, responses(USER, SEARCHED, USER)) if upstream == AM else (AM, claude(USER, answer, USER))
    )
    acts = {act for feature, act in sent(client, upstream, body)[1] if feature == "tool.hosted"}
    assert acts == {"emulated"}


SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
SEARCHED = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}


def _chunk(delta: Any, finish: str | None = None, choice: Any = None, **members: Any) -> Any:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}]
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **members,
    }


UNKNOWN: dict[str, Any] = {"hologram": {"depth": 1}}
TEXT: Any = {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize(
    "chunks",
    [
        [_chunk(TEXT, **UNKNOWN), _chunk({}, "stop")],
        [_chunk(TEXT, choice=UNKNOWN), _chunk({}, "stop")],
        [_chunk({**TEXT, **UNKNOWN}), _chunk({}, "stop")],
        [_chunk(TEXT), _chunk({}, "stop", **UNKNOWN)],
        [_chunk(TEXT), _chunk({}, "stop", choice=UNKNOWN)],
        [_chunk(TEXT), _chunk(UNKNOWN, "stop")],
        [{**_chunk(TEXT, **UNKNOWN), "choices": []}, _chunk(TEXT), _chunk({}, "stop")],
    ],
    ids=["first", "first choice", "first delta", "end", "end choice", "end delta", "before the first"],
)
@pytest.mark.parametrize("client", [OR, AM, GG])
def test_a_member_that_nobody_knows_is_told_wherever_a_chat_stream_begins_or_ends(
    client: str, chunks: list[Any]
) -> None:
    _, _, losses = streamed(client, OC, chunks)
    assert [(loss.feature, loss.act) for loss in losses] == [("ext.hologram", "dropped")]
