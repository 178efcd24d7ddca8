"""Settings of a request: limits, sampling, thinking, output."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import Effort, ModelRequest, OutputFormat, Sampling, Thinking
from aiclient2api.protocols.cache_policies import openai_policy
from aiclient2api.protocols.openai_chat.encode_parts import Target, Wire
from aiclient2api.protocols.openai_chat.encode_tools import json_schema
from aiclient2api.protocols.openai_chat.ext import restore
from aiclient2api.protocols.openai_chat.schema import MAX_TOKENS_ALIAS, TIERS, USER_ALIAS
from aiclient2api.protocols.report import thinking_wish
from aiclient2api.wire import json

_TIER = {"standard": "default", "standard_only": "default", "unspecified": "auto", "ultrafast": "fast"}
_STOP_LIMIT = 4
_FAMILY = ("openai_chat", "openai_responses")
_UNSAID = Sampling()


def encode_limits(request: ModelRequest, target: Target) -> Wire:
    """The answer's length."""
    if request.max_output is None:
        return {}
    if target.own:
        alias = request.shape & MAX_TOKENS_ALIAS
        return {"max_tokens" if alias else "max_completion_tokens": request.max_output}
    if request.max_output < 1:
        raise Unrepresentable("0 (cache prewarm) is only available on Anthropic routes", "max_output")
    return {target.profile.max_tokens_field: request.max_output}


def encode_sampling(request: ModelRequest, target: Target) -> Wire:
    """How tokens are drawn."""
    sampling, report, profile = request.sampling, target.report, target.profile
    if sampling == _UNSAID:
        return {}
    report.foreign_ext(sampling, "sampling")
    drawn: dict[str, object | None] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logit_bias": sampling.logit_bias,
    }
    body = json.compact(drawn)
    # a request of this protocol goes out as the client wrote it: a relay would not change it either
    accepted = target.own or profile.sampling
    if not accepted:
        for name in body:
            report.dropped(f"sampling.{name}", name)
        body = {}
    if sampling.top_k is not None and target.own:
        body["top_k"] = int(sampling.top_k) if sampling.top_k.is_integer() else sampling.top_k
    elif sampling.top_k is not None:
        report.dropped("sampling.top_k", "top_k")
    body |= json.compact(
        {
            "seed": sampling.seed,
            "n": sampling.candidates if target.own else sampling.candidates or None,
            "logprobs": sampling.logprobs,
            "top_logprobs": sampling.top_logprobs,
        }
    )
    if sampling.stop is not None:
        body |= _stop(sampling.stop, bool(sampling.shape & Shape.SINGLE_STOP_STRING), target)
    return body


def _stop(stop: list[str], single: bool, target: Target) -> Wire:
    if target.own:
        return {"stop": stop[0] if single and stop else stop}
    if not target.profile.stop:
        target.report.dropped("sampling.stop", "stop")
        return {}
    limit = target.profile.stop_limit or _STOP_LIMIT
    if len(stop) > limit:
        target.report.approximated("sampling.stop", "stop", f"only the first {limit}")
        stop = stop[:limit]
    return {"stop": stop[0] if single and stop else stop}


def encode_thinking(request: ModelRequest, target: Target) -> Wire:
    """How much to think."""
    thinking, report = request.thinking, target.report
    if thinking is None:
        return {}
    if target.own:
        return _own_thinking(thinking)
    report.foreign_ext(thinking, "thinking")
    report.thinking_told_twice(thinking, "effort")
    if thinking.show in ("off", "omitted"):
        report.dropped("reasoning.show", "thinking", "servers of this protocol show what they have")
    elif thinking.show is not None:
        report.approximated("reasoning.show", "thinking", "servers of this protocol show what they have")
    if target.profile.thinking == "none":
        if not thinking.is_off and (thinking.effort or thinking.budget or thinking.mode):
            report.dropped(thinking_wish(thinking), "thinking", "the model does not think")
        return {}
    effort = thinking.effort
    if effort is None and thinking.budget is not None and thinking.budget > 0:
        effort = _effort_of(thinking.budget)
        report.approximated("reasoning.budget", "thinking", f"effort {effort}")
    if thinking.mode == "off" or thinking.budget == 0:
        effort = "none"
    if effort == "none" and not target.profile.thinking_off:
        effort = "minimal"
        report.approximated("reasoning.effort", "thinking", "the model always thinks")
    return {"reasoning_effort": effort} if effort is not None else {}


def _own_thinking(thinking: Thinking) -> Wire:
    body: Wire = {"reasoning_effort": thinking.effort} if thinking.effort is not None else {}
    if thinking.mode == "off":
        body["thinking"] = {"type": "disabled"}
    elif thinking.mode == "fixed" and thinking.budget is not None:
        body["thinking"] = {"type": "enabled", "budget_tokens": thinking.budget}
    return body


def _effort_of(budget: int) -> Effort:
    if budget <= 1024:
        return "low"
    if budget <= 8192:
        return "medium"
    return "high" if budget <= 24576 else "xhigh"


def encode_output(output: OutputFormat | None, target: Target) -> Wire:
    """How the answer must look."""
    if output is None:
        return {}
    target.report.foreign_ext(output, "output")
    match output.kind:
        case "text":
            return {"response_format": restore(output, {"type": "text"})} if target.own else {}
        case "json":
            return {"response_format": restore(output, {"type": "json_object"})}
        case "schema" | "enum":
            return {"response_format": _json_schema(output, target)}


def _json_schema(output: OutputFormat, target: Target) -> Wire:
    if output.kind == "enum":
        target.report.approximated("output.format", "output", "a schema in JSON, not bare text")
    if output.name is None:
        target.report.defaulted("output.schema.name", "output", "response")
    schema: object = json_schema(output.schema) if output.schema is not None else None
    inner = json.compact(
        {
            "name": output.name or "response",
            "description": output.description,
            "schema": schema,
            "strict": output.strict,
        }
    )
    return restore(output, {"type": "json_schema", "json_schema": inner})


def encode_settings(request: ModelRequest, target: Target) -> Wire:
    """Verbosity, modalities, tier, caches and safety."""
    body: Wire = {}
    if request.verbosity is not None and target.compatible and not target.own:
        target.report.dropped("verbosity", "verbosity")
    elif request.verbosity is not None:
        body["verbosity"] = request.verbosity
    if request.modalities is not None:
        body |= _modalities(request.modalities, target)
    if request.tier is not None:
        tier = request.tier if target.own else _TIER.get(request.tier.lower(), request.tier.lower())
        if target.own or tier in TIERS:
            body["service_tier"] = tier
        else:
            target.report.dropped("tier", "tier", request.tier)
    if request.cache_policy is not None:
        body |= _cache_policy(request.cache_policy, request, target)
    return body | _safety(request.safety, request.protocol, target) if request.safety is not None else body


def _cache_policy(policy: Raw, request: ModelRequest, target: Target) -> Wire:
    if target.own:
        return {"prompt_cache_options": policy}
    if target.compatible:
        target.report.dropped("cache_policy", "cache_policy")
        return {}
    options = openai_policy(request, target.report, long=False)
    return json.compact({"prompt_cache_options": options})


def _modalities(modalities: list[str], target: Target) -> Wire:
    if target.own:
        return {"modalities": modalities}
    known = [name.lower() for name in modalities]
    if known != ["text"]:
        # spoken answers need a voice and a format that other protocols do not name
        target.report.dropped("modalities", "modalities")
    return {}


def _safety(safety: Raw, source: str, target: Target) -> Wire:
    """A setting that only the two OpenAI protocols understand."""
    if source in _FAMILY and (target.own or not target.compatible):
        return {"moderation": safety}
    target.report.dropped("safety", "safety")
    return {}


def encode_identity(request: ModelRequest, target: Target) -> Wire:
    """Who asks."""
    body: Wire = {}
    if request.user is not None:
        alias = request.shape & USER_ALIAS if target.own else target.compatible
        body["user" if alias else "safety_identifier"] = request.user
    for member, value in (("metadata", request.metadata), ("prompt_cache_key", request.cache_key)):
        if value is None:
            continue
        if target.compatible and not target.own:
            feature = "metadata" if member == "metadata" else "cache_key"
            target.report.dropped(feature, feature)
        else:
            body[member] = value
    return body


def encode_state(request: ModelRequest, target: Target) -> Wire:
    """Server-side state."""
    if request.state is None:
        return {}
    if target.own:
        return json.compact({"store": request.state.store})
    target.report.state(request.state)
    return {}
