"""Thinking, sampling and output settings, as far as the model takes them."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.request import ModelRequest, OutputFormat, Sampling, Thinking
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.input_schema import is_recursive
from aiclient2api.protocols.anthropic.schema import (
    DYNAMIC_BUDGET,
    EFFORT_BUDGETS,
    EFFORTS,
    MIN_BUDGET,
    STRICT_VERSION,
    THINKING_TYPES,
    effort_of_budget,
)
from aiclient2api.protocols.anthropic.schema_dialect import claude_schema
from aiclient2api.protocols.openapi_schema import to_json_schema
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport, thinking_wish

Wire = dict[str, object]


def native_thinking(thinking: Thinking | None) -> tuple[Wire, str | None]:
    """The member `thinking` and the effort, as the client wrote them."""
    if thinking is None:
        return {}, None
    wire: Wire = {}
    if thinking.mode is not None:
        wire["type"] = THINKING_TYPES[thinking.mode]
    if thinking.budget is not None:
        wire["budget_tokens"] = thinking.budget
    if thinking.show is not None:
        wire["display"] = thinking.show
    return {**wire, **kept(thinking)}, thinking.effort


class ThinkingWriter:
    """Fits a foreign client's wish to think to the model's own form."""

    def __init__(self, profile: ModelProfile, report: LossReport, limit: int | None) -> None:
        self._profile = profile
        self._report = report
        self._limit = limit

    def write(self, thinking: Thinking | None, *, forced: bool) -> tuple[Wire, str | None]:
        """The member `thinking` and the effort. `forced`: a tool must be called, which excludes thinking."""
        if thinking is None:
            return {}, None
        self._report.foreign_ext(thinking, "thinking")
        if thinking.is_off:
            self._report.thinking_told_twice(thinking, "effort")
            return self._off(thinking)
        if thinking.mode is None and thinking.effort is None and thinking.budget is None:
            return self._only_shown(thinking, forced=forced)
        if self._profile.thinking == "none":
            self._report.dropped(thinking_wish(thinking), "thinking", "this model does not think")
            return {}, None
        self._report.thinking_told_twice(thinking, self._profile.thinking)
        if self._profile.thinking == "effort":
            return self._with_effort(thinking, forced=forced)
        return self._with_budget(thinking, forced=forced)

    def _off(self, thinking: Thinking) -> tuple[Wire, str | None]:
        if self._profile.thinking == "none":
            return {}, None
        if self._profile.thinking_off:
            return {"type": "disabled"}, None
        self._report.approximated("reasoning.effort", "thinking", "this model always thinks: lowest effort")
        if thinking.show not in (None, "off", "omitted"):
            self._report.dropped(
                "reasoning.show", "thinking", "nothing is shown of thoughts that were to be off"
            )
        return {}, "low" if self._profile.thinking == "effort" else None

    def _only_shown(self, thinking: Thinking, *, forced: bool) -> tuple[Wire, str | None]:
        """A client that says nothing but how thoughts are shown: never a reason to switch thinking on or off."""
        if thinking.show in (None, "off", "omitted"):
            return {}, None
        if self._profile.thinking != "effort" or forced:
            self._report.dropped("reasoning.show", "thinking")
            return {}, None
        return {"type": "adaptive", "display": self._display(thinking)}, None

    def _display(self, thinking: Thinking) -> str:
        if thinking.show in ("off", "omitted"):
            return "omitted"
        if thinking.show in ("concise", "detailed", "updates"):
            self._report.approximated("reasoning.show", "thinking", f"{thinking.show} sent as summarized")
        return "summarized"

    def _with_effort(self, thinking: Thinking, *, forced: bool) -> tuple[Wire, str | None]:
        effort: str | None = None
        if thinking.effort is not None:
            effort = EFFORTS[thinking.effort]
            if effort != thinking.effort:
                self._report.approximated(
                    "reasoning.effort", "thinking", f"{thinking.effort} sent as {effort}"
                )
        elif thinking.budget is not None and thinking.budget > 0:
            effort = effort_of_budget(thinking.budget)
            self._report.approximated("reasoning.budget", "thinking", f"sent as effort {effort}")
        if forced:
            self._report.dropped("reasoning.show", "thinking", "no thinking while a tool is forced")
            return {}, effort
        return {"type": "adaptive", "display": self._display(thinking)}, effort

    def _with_budget(self, thinking: Thinking, *, forced: bool) -> tuple[Wire, str | None]:
        ceiling = self._limit - 1 if self._limit is not None else self._profile.max_output - 1
        if forced or ceiling < MIN_BUDGET:
            reason = "no thinking while a tool is forced" if forced else "max_tokens leaves no room for it"
            self._report.dropped(thinking_wish(thinking), "thinking", reason)
            return {}, None
        wanted = self._budget(thinking, ceiling)
        budget = min(max(MIN_BUDGET, wanted), ceiling)
        if budget != thinking.budget:
            self._report.approximated(thinking_wish(thinking), "thinking", f"sent as {budget} tokens")
        wire: Wire = {"type": "enabled", "budget_tokens": budget}
        # what is shown unasked depends on the model
        return wire if thinking.show is None else {**wire, "display": self._display(thinking)}, None

    def _budget(self, thinking: Thinking, ceiling: int) -> int:
        if thinking.budget is not None and thinking.budget > 0:
            return thinking.budget
        if thinking.effort == "max":
            return ceiling
        return DYNAMIC_BUDGET if thinking.effort is None else EFFORT_BUDGETS[thinking.effort]


def native_sampling(sampling: Sampling) -> Wire:
    """The sampling members as the client wrote them."""
    wire: Wire = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": _whole(sampling.top_k),
        "stop_sequences": sampling.stop,
    }
    return {name: value for name, value in wire.items() if value is not None}


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and value.is_integer() else value


class SamplingWriter:
    """Fits a foreign client's sampling settings to what the model takes."""

    def __init__(self, profile: ModelProfile, report: LossReport, *, thinks: bool) -> None:
        self._profile = profile
        self._report = report
        self._drawn = profile.sampling and not thinks and profile.anthropic_version < STRICT_VERSION

    def write(self, sampling: Sampling) -> Wire:
        """The sampling members."""
        report = self._report
        report.foreign_ext(sampling, "sampling")
        for name in ("seed", "presence_penalty", "frequency_penalty", "logit_bias"):
            if getattr(sampling, name) is not None:
                report.dropped(f"sampling.{name}", "sampling")
        if sampling.logprobs or sampling.top_logprobs is not None:
            report.dropped("logprobs", "sampling")
        wire = self._tokens(sampling) if self._drawn else self._none(sampling)
        stop = self._stop(sampling.stop)
        return {**wire, "stop_sequences": stop} if stop else wire

    def _none(self, sampling: Sampling) -> Wire:
        """Temperature must be 1 beside thinking, and newer models take no sampling settings at all."""
        for name in ("temperature", "top_p", "top_k"):
            if getattr(sampling, name) is not None:
                self._report.dropped(
                    f"sampling.{name}", "sampling", "not accepted by this model or beside thinking"
                )
        return {}

    def _tokens(self, sampling: Sampling) -> Wire:
        wire: Wire = {}
        if sampling.temperature is not None:
            wire["temperature"] = min(1.0, sampling.temperature)
            if sampling.temperature > 1:
                self._report.approximated("sampling.temperature", "sampling", "sent as 1, the highest")
            if sampling.top_p is not None:
                self._report.dropped("sampling.top_p", "sampling", "not accepted together with temperature")
        elif sampling.top_p is not None:
            wire["top_p"] = sampling.top_p
        if sampling.top_k is not None:
            wire["top_k"] = int(sampling.top_k)
        return wire

    def _stop(self, stop: list[str] | None) -> list[str]:
        if not stop:
            return []
        if not self._profile.stop:
            self._report.dropped("sampling.stop", "sampling")
            return []
        # a sequence of white space is answered with 400
        sent = [item for item in stop if item.strip()][: self._profile.stop_limit]
        if len(sent) < len(stop):
            self._report.approximated("sampling.stop", "sampling", f"{len(sent)} of {len(stop)} sent")
        return sent


def output_format(output: OutputFormat | None, report: LossReport, *, native: bool) -> Wire | None:
    """`output_config.format`."""
    if output is None or output.kind == "text":
        return None
    report.foreign_ext(output, "output")
    if output.kind != "schema" or output.schema is None:
        note = "a bare enumeration" if output.kind == "enum" else f"{output.kind} needs a schema"
        report.dropped("output.format", "output", note)
        return None
    schema: Raw = output.schema.raw
    if output.schema.dialect == "openapi":
        schema = to_json_schema(schema)
    if not native and is_recursive(schema):
        report.dropped("output.format", "output", "its schema refers to itself")
        return None
    if not native:
        schema = claude_schema(schema, report, "output.schema", "output.schema")
    if output.name is not None or output.description is not None:
        report.dropped("output.schema.name", "output")
    if output.strict is False:
        report.approximated("output.schema", "output", "always strict")
    return {"type": "json_schema", "schema": schema, **(kept(output) if native else {})}


def max_tokens(request: ModelRequest, profile: ModelProfile, report: LossReport) -> int:
    """The limit, which the provider requires."""
    if request.max_output is not None:
        return request.max_output
    report.defaulted("max_output", "max_output", f"{profile.max_output} tokens")
    return profile.max_output
