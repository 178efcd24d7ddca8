"""The IR to a request for an upstream.

A request of this protocol comes out as it came in; any other is sent stateless, with sealed reasoning asked for.
"""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import Shape, Text
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.cache_policies import openai_policy
from aiclient2api.protocols.openai_responses.encode_settings import encode_reasoning, encode_text, encode_tier
from aiclient2api.protocols.openai_responses.encode_tools import encode_tool_choice, encode_tools
from aiclient2api.protocols.openai_responses.encode_turns import encode_turns
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.schema import (
    COUNT_PATH,
    FAMILY,
    GENERATE_PATH,
    INCLUDE_LOGPROBS,
    INCLUDE_REASONING,
    MIN_OUTPUT,
    NAME,
    Scope,
)
from aiclient2api.protocols.openai_shared import across
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest

_Body = dict[str, object]

_UNAVAILABLE: Final = (
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "stop",
)
"""Sampling members that this protocol does not have."""


_COUNTED: Final = frozenset(
    ("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning")
)
"""What `input_tokens` takes of a request."""


def encode_request(request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
    """A `POST /responses` for an upstream."""
    scope = Scope(report=LossReport(NAME), own=request.protocol == NAME)
    shared, others = across(request, NAME) if request.ext else ({}, {})
    scope.report.foreign_members(others, "request")
    _check(request)
    body: _Body = {"model": request.model, **_conversation(request, scope)}
    tools = encode_tools(request.tools, scope)
    if tools:
        body["tools"] = tools
    if request.tool_choice is not None:
        body |= json.compact({"tool_choice": encode_tool_choice(request.tool_choice, request.tools, scope)})
    body |= json.compact({"parallel_tool_calls": request.parallel_tools})
    body |= _sampling(request, scope, profile)
    body |= _output(request, scope, profile)
    body |= _state(request, scope)
    body |= _identity(request, scope) | shared
    if request.stream != "no":
        body["stream"] = True
    body |= {name: raw for name, raw in kept(request).items() if name != "text"}
    path = GENERATE_PATH
    if request.operation == "count_tokens":
        path = COUNT_PATH
        body = {name: value for name, value in body.items() if scope.own or name in _COUNTED}
    wire = WireRequest(path=path, body=json.encode(body), headers=JSON_HEADERS)
    return Encoded(wire, scope.report.losses)


def _check(request: ModelRequest) -> None:
    if request.operation not in ("generate", "count_tokens"):
        raise Unrepresentable(f"Responses has no operation {request.operation}")
    if (request.sampling.candidates or 1) > 1:
        raise Unrepresentable("only 1 is supported by this route", "sampling.candidates")
    if request.max_output == 0:
        raise Unrepresentable("0 (cache prewarm) is only available on Anthropic routes", "max_output")


def _conversation(request: ModelRequest, scope: Scope) -> _Body:
    """`instructions` and `input`."""
    hoisted, turns = request.turns[: request.hoisted], request.turns[request.hoisted :]
    instructions = _plain_texts(hoisted)
    if hoisted and instructions is None:
        # one string has no room for several blocks or cache marks: a system item has
        hoisted, turns = [], request.turns
    for index, turn in enumerate(hoisted):
        scope.report.foreign_ext(turn, f"turns[{index}]")
    body: _Body = {"instructions": "\n\n".join(instructions)} if hoisted and instructions else {}
    if scope.own and request.shape & Shape.CONTENT_ABSENT and not turns:
        return body
    text = _only_text(turns) if scope.own and request.shape & Shape.CONTENT_STRING else None
    offset = len(request.turns) - len(turns)
    body["input"] = text if text is not None else encode_turns(turns, scope, offset)
    return body


def _plain_texts(hoisted: list[Turn]) -> list[str] | None:
    """The texts of top-level system turns that are one plain text each."""
    texts: list[str] = []
    for turn in hoisted:
        only = turn.parts[0] if len(turn.parts) == 1 else None
        if not isinstance(only, Text) or only.cache or only.ext or turn.role != "system":
            return None
        texts.append(only.text)
    return texts


def _only_text(turns: list[Turn]) -> str | None:
    if len(turns) != 1 or turns[0].role != "user" or len(turns[0].parts) != 1:
        return None
    part = turns[0].parts[0]
    return part.text if isinstance(part, Text) else None


def _sampling(request: ModelRequest, scope: Scope, profile: ModelProfile) -> _Body:
    sampling, report = request.sampling, scope.report
    report.foreign_ext(sampling, "sampling")
    for name in _UNAVAILABLE:
        if getattr(sampling, name) is not None:
            report.dropped(f"sampling.{name}", f"sampling.{name}")
    body = json.compact({"temperature": sampling.temperature, "top_p": sampling.top_p})
    if body and not scope.own and not profile.sampling:
        for name in body:
            report.dropped(f"sampling.{name}", f"sampling.{name}", "this model does not take it")
        body = {}
    return body | json.compact({"top_logprobs": sampling.top_logprobs})


def _output(request: ModelRequest, scope: Scope, profile: ModelProfile) -> _Body:
    """How long, in what form and after how much thought the answer comes."""
    body: _Body = {}
    limit = request.max_output
    if limit is not None and limit < MIN_OUTPUT and not scope.own:
        scope.report.approximated("max_output", "max_output", f"raised from {limit} to {MIN_OUTPUT}")
        limit = MIN_OUTPUT
    if limit is not None:
        body["max_output_tokens"] = limit
    if request.thinking is not None:
        reasoning = encode_reasoning(request.thinking, scope, profile)
        if reasoning or scope.own:
            body["reasoning"] = reasoning
    text = encode_text(request, scope)
    if text:
        body["text"] = text
    if request.modalities is not None and request.modalities != ["text"]:
        scope.report.dropped("modalities", "modalities")
    return body


def _state(request: ModelRequest, scope: Scope) -> _Body:
    state = request.state
    if not scope.own:
        scope.report.state(state)
        include = [INCLUDE_REASONING, *([INCLUDE_LOGPROBS] if request.sampling.logprobs else [])]
        return {"store": False, "include": include}
    if state is None:
        return {}
    return {
        **json.compact(
            {
                "previous_response_id": state.previous_id,
                "conversation": state.conversation,
                "store": state.store,
                "background": state.background,
                "truncation": state.truncation,
            }
        ),
        **kept(state),
    }


def _identity(request: ModelRequest, scope: Scope) -> _Body:
    """Who asks, for how much, and what the upstream may cache."""
    user = "user" if scope.own and request.shape & Shape.LEGACY_FUNCTION else "safety_identifier"
    body = json.compact(
        {
            "service_tier": encode_tier(request, scope),
            user: request.user,
            "metadata": request.metadata,
            "prompt_cache_key": request.cache_key,
        }
    )
    if request.protocol in FAMILY:
        return body | json.compact(
            {"prompt_cache_options": request.cache_policy, "moderation": request.safety}
        )
    if request.cache_policy is not None:
        policy = openai_policy(request, scope.report, long=True)
        body |= json.compact({"prompt_cache_options": policy})
    if request.safety is not None:
        scope.report.dropped("safety", "safety")
    return body
