"""Settings of a request as this protocol writes them; a response repeats the same members."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import Effort, ModelRequest, OutputFormat, Thinking
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.schema import (
    FAMILY,
    SUMMARIES,
    TIERS,
    Scope,
    schema_text,
)
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import thinking_wish
from aiclient2api.wire import json

_BUDGETS: Final[tuple[tuple[int, Effort], ...]] = ((1024, "low"), (8192, "medium"), (24576, "high"))
"""The largest thinking budget of each effort; beyond the last it is `xhigh`."""

_TIERS: Final = {"standard": "default", "standard_only": "default", "unspecified": "auto"}


def encode_reasoning(thinking: Thinking, scope: Scope, profile: ModelProfile) -> dict[str, object]:
    """The `reasoning` member; empty when there is nothing to say."""
    scope.report.foreign_ext(thinking, "thinking")
    if scope.own:
        summary = "generate_summary" if thinking.shape & Shape.LEGACY_FUNCTION else "summary"
        return json.compact({"effort": thinking.effort, summary: thinking.show}) | kept(thinking)
    if profile.thinking == "none":
        if not thinking.is_off and (thinking.effort or thinking.budget or thinking.mode):
            scope.report.dropped(thinking_wish(thinking), "thinking", "this model does not think")
        return {}
    scope.report.thinking_told_twice(thinking, "effort")
    effort = _effort(thinking, scope)
    if effort == "none" and not profile.thinking_off:
        scope.report.approximated("reasoning.effort", "thinking", "this model cannot stop thinking")
        effort = "low"
    if effort == "none":
        return {"effort": effort}
    if thinking.show == "updates":
        scope.report.shown_thoughts(thinking, "auto")
    return json.compact({"effort": effort, "summary": _summary(thinking)})


def _effort(thinking: Thinking, scope: Scope) -> Effort | None:
    if thinking.mode == "off" or thinking.effort == "none":
        return "none"
    if thinking.mode == "between_tools":
        scope.report.approximated("reasoning.effort", "thinking", "thinking between tools only")
    if thinking.effort is not None:
        return thinking.effort
    budget = thinking.budget
    if budget is None or budget < 0:
        return None
    if budget == 0:
        return "none"
    scope.report.approximated("reasoning.budget", "thinking", "sent as an effort")
    for limit, effort in _BUDGETS:
        if budget <= limit:
            return effort
    return "xhigh"


def _summary(thinking: Thinking) -> str | None:
    """What to show. Other protocols show thoughts unless they are told not to; here nothing is shown unasked."""
    if thinking.show in ("off", "omitted"):
        return None
    return thinking.show if thinking.show in SUMMARIES else "auto"


def encode_text(request: ModelRequest, scope: Scope) -> dict[str, object]:
    """The `text` member: format and verbosity; empty when there is nothing to say."""
    body: dict[str, object] = {}
    if request.output is not None:
        form = encode_format(request.output, scope)
        if form is not None:
            body["format"] = form
    if request.verbosity is not None:
        body["verbosity"] = request.verbosity
    unknown = kept(request).get("text")
    return body | (json.decode(unknown, dict[str, Raw]) if unknown is not None else {})


def encode_format(output: OutputFormat, scope: Scope) -> dict[str, object] | None:
    """One output format, flat as this protocol has it."""
    scope.report.foreign_ext(output, "output")
    match output.kind:
        case "text":
            return {"type": "text", **kept(output)}
        case "json":
            return {"type": "json_object", **kept(output)}
        case "enum":
            scope.report.dropped("output.format", "output", "a bare enumeration")
            return None
        case "schema":
            return _schema_format(output, scope)


def _schema_format(output: OutputFormat, scope: Scope) -> dict[str, object]:
    if output.schema is None:
        return {"type": "json_object", **kept(output)}
    if output.name is None:
        scope.report.defaulted("output.schema.name", "output")
    return {
        "type": "json_schema",
        "name": output.name or "response",
        "schema": schema_text(output.schema),
        **json.compact({"description": output.description, "strict": output.strict}),
        **kept(output),
    }


def encode_tier(request: ModelRequest, scope: Scope) -> str | None:
    """The service tier, where both sides mean the same by it."""
    tier = request.tier
    if tier is None or request.protocol in FAMILY:
        return tier
    known = _TIERS.get(tier, tier)
    if known not in TIERS:
        scope.report.dropped("tier", "tier", tier)
        return None
    return known


def client_tier(tier: str | None) -> str | None:
    """The tier an upstream served the answer with, in this protocol's words."""
    if tier is None:
        return None
    known = _TIERS.get(tier, tier)
    return known if known in TIERS else None
