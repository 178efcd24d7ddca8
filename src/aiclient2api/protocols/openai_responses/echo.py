"""The response object: a Responses answer repeats the configuration of its request."""

from __future__ import annotations

from typing import Final, cast

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish
from aiclient2api.protocols.openai_responses.encode_settings import encode_format
from aiclient2api.protocols.openai_responses.encode_tools import encode_tool_choice, encode_tools
from aiclient2api.protocols.openai_responses.errors import response_error
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.schema import NAME, Scope
from aiclient2api.protocols.report import LossReport

_INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "context_length": "max_output_tokens",
    "continuation": "max_output_tokens",
    "content_filter": "content_filter",
    "recitation": "content_filter",
    "steered": "steered",
}

ECHOED: Final = frozenset(
    (
        "background",
        "completed_at",
        "frequency_penalty",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    )
)
"""The members of a response that only repeat its request."""

_FAILED: Final = frozenset(("malformed", "error"))


def request_echo(request: ModelRequest) -> dict[str, object]:
    """The members of a response that repeat the request, all that the SDK's type requires among them."""
    # the request is the client's own, and nothing of it gets lost by being repeated
    scope = Scope(report=LossReport(NAME), own=True)
    state, sampling, thinking = request.state, request.sampling, request.thinking
    choice = request.tool_choice
    ext = kept(request)
    return {
        "background": False,
        "completed_at": None,
        # settings that the client did not give or that the protocol knows only here: what the API says of its defaults
        "frequency_penalty": 0,
        "instructions": _instructions(request),
        "max_output_tokens": request.max_output,
        "max_tool_calls": ext.get("max_tool_calls"),
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tools is not False,
        "presence_penalty": 0,
        "previous_response_id": state.previous_id if state else None,
        "prompt_cache_key": request.cache_key,
        "reasoning": {
            "effort": thinking.effort if thinking else None,
            "summary": thinking.show if thinking else None,
        },
        "safety_identifier": request.user,
        "service_tier": "default",
        # the truth: an answer that was converted is kept nowhere
        "store": False,
        "temperature": 1 if sampling.temperature is None else sampling.temperature,
        "text": _text(request, scope),
        "tool_choice": (encode_tool_choice(choice, request.tools, scope) if choice else None) or "auto",
        "tools": [_whole_tool(tool) for tool in encode_tools(request.tools, scope)],
        "top_logprobs": sampling.top_logprobs or 0,
        "top_p": 1 if sampling.top_p is None else sampling.top_p,
        "truncation": (state.truncation if state else None) or "disabled",
        "user": None,
    }


def _whole_tool(tool: object) -> object:
    """A function with all the members that the API's own type requires."""
    if not isinstance(tool, dict) or "type" not in tool or tool["type"] != "function":
        return tool  # pyright: ignore[reportUnknownVariableType] # a hosted tool is repeated as it came
    return {"description": None, "parameters": None, "strict": None, **cast("dict[str, object]", tool)}


def _instructions(request: ModelRequest) -> str | None:
    texts = [
        part.text
        for turn in request.turns[: request.hoisted]
        for part in turn.parts
        if isinstance(part, Text)
    ]
    return "\n\n".join(texts) if texts else None


def _text(request: ModelRequest, scope: Scope) -> dict[str, object]:
    form = encode_format(request.output, scope) if request.output else None
    text: dict[str, object] = {"format": form or {"type": "text"}}
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return text


def outcome(finish: Finish | None, has_refusal: bool) -> dict[str, object]:
    """`status`, `incomplete_details` and `error` of an answer that ended."""
    reason = finish.reason if finish else "stop"
    if reason == "refusal" and not has_refusal:
        reason = "content_filter"
    if reason in _FAILED:
        explanation = (finish.explanation if finish else None) or "the upstream's answer was not usable"
        error = response_error(ErrorInfo(kind="upstream", message=explanation))
        return {"status": "failed", "incomplete_details": None, "error": error}
    if reason == "cancelled":
        return {"status": "cancelled", "incomplete_details": None, "error": None}
    incomplete = _INCOMPLETE.get(reason)
    if incomplete is None:
        return {"status": "completed", "incomplete_details": None, "error": None}
    return {"status": "incomplete", "incomplete_details": {"reason": incomplete}, "error": None}


def note_finish(finish: Finish | None, report: LossReport) -> None:
    """Which stop sequence matched has no place in a response, nor why it was declined."""
    if finish is None:
        return
    if finish.stop_sequence is not None:
        report.dropped("finish.stop_sequence", "response")
    told = finish.explanation if finish.reason in _FAILED else None
    report.finish_details(finish, "response", told or "")


def created_at(created: float | None) -> float | int:
    """Seconds as the wire writes them; 0 where the source has no clock."""
    if created is None:
        return 0
    return int(created) if created.is_integer() else created
