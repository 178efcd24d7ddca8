"""Limits, sampling, thinking, the answer's form and the members of the request itself, for an upstream."""

from __future__ import annotations

import re

from msgspec import Raw

from aiclient2api.ir.request import (
    Effort,
    ModelRequest,
    OutputFormat,
    Thinking,
)
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.ext import kept, restore
from aiclient2api.protocols.gemini.schema import BUDGET_OUT, EFFORT_LIMITS, LEVEL_OUT, NAME, TIER_OUT
from aiclient2api.protocols.gemini.schema_writer import SchemaWriter
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport, thinking_wish
from aiclient2api.wire import json

_STOP_LIMIT = 5
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


class SettingsEncoder:
    """Encodes everything of one request but its turns and tools."""

    def __init__(self, request: ModelRequest, profile: ModelProfile, report: LossReport) -> None:
        self._request = request
        self._profile = profile
        self._report = report
        self._own = request.protocol == NAME
        self._schemas = SchemaWriter(profile, report, own=self._own)

    def generation_config(self) -> Wire | None:
        """Limits, sampling, thinking and the form of the answer."""
        wire = self._sampling()
        request = self._request
        if request.max_output is not None:
            wire["maxOutputTokens"] = request.max_output
        if request.modalities is not None and (self._own or request.modalities != ["text"]):
            wire["responseModalities"] = [name.upper() for name in request.modalities]
        if request.output is not None:
            self._output(wire, request.output)
        thinking = self._thinking(request.thinking) if request.thinking is not None else None
        if thinking is not None:
            wire["thinkingConfig"] = thinking
        own = kept(request).get("generationConfig")
        if own is not None:
            wire.update(json.decode(own, dict[str, Raw]))
        return wire or None

    def _sampling(self) -> Wire:
        sampling, allowed = self._request.sampling, self._own or self._profile.sampling
        wire: Wire = {}
        for name, feature, value in (
            ("temperature", "sampling.temperature", sampling.temperature),
            ("topP", "sampling.top_p", sampling.top_p),
            ("topK", "sampling.top_k", _whole(sampling.top_k)),
        ):
            if value is not None and allowed:
                wire[name] = value
            elif value is not None:
                self._report.dropped(feature, feature)
        for name, value in (
            ("candidateCount", sampling.candidates),
            ("seed", sampling.seed),
            ("presencePenalty", sampling.presence_penalty),
            ("frequencyPenalty", sampling.frequency_penalty),
            ("responseLogprobs", sampling.logprobs),
            ("logprobs", sampling.top_logprobs),
        ):
            if value is not None:
                wire[name] = value
        if sampling.logit_bias is not None:
            self._report.dropped("sampling.logit_bias", "sampling.logit_bias")
        self._stop(wire, sampling.stop)
        return wire

    def _stop(self, wire: Wire, stop: list[str] | None) -> None:
        if stop is None:
            return
        limit = self._profile.stop_limit or _STOP_LIMIT
        if self._own or (self._profile.stop and len(stop) <= limit):
            wire["stopSequences"] = stop
        elif not self._profile.stop:
            self._report.dropped("sampling.stop", "sampling.stop")
        else:
            self._report.approximated("sampling.stop", "sampling.stop", f"only the first {limit}")
            wire["stopSequences"] = stop[:limit]

    def _output(self, wire: Wire, output: OutputFormat) -> None:
        if not self._own:
            self._report.foreign_ext(output, "output")
            if output.name is not None or output.description is not None:
                self._report.dropped("output.schema.name", "output.name")
        mimes = {"text": "text/plain", "enum": "text/x.enum"}
        if output.kind == "text" and not self._own:
            return
        wire["responseMimeType"] = mimes.get(output.kind, "application/json")
        if output.schema is not None:
            names = ("responseJsonSchema", "responseSchema")
            self._schemas.put(wire, names, output.schema, "output.schema", "output.schema")

    def _thinking(self, thinking: Thinking) -> Wire | None:
        wire: Wire = {}
        if self._own:
            if thinking.show is not None:
                wire["includeThoughts"] = thinking.show != "off"
            if thinking.budget is not None:
                wire["thinkingBudget"] = thinking.budget
            if thinking.effort is not None:
                wire["thinkingLevel"] = LEVEL_OUT[thinking.effort]
            return restore(thinking, wire)
        self._report.foreign_ext(thinking, "thinking")
        is_off = thinking.is_off
        if self._profile.thinking == "none":
            if not is_off:
                self._report.dropped(thinking_wish(thinking), "thinking", "the model does not think")
            return None
        if self._profile.thinking == "effort":
            self._report.thinking_told_twice(thinking, "effort")
            self._level(wire, thinking, is_off=is_off)
        else:
            self._report.thinking_told_twice(thinking, "budget")
            self._budget(wire, thinking, is_off=is_off)
        if not is_off and thinking.show not in ("off", "omitted"):
            self._report.shown_thoughts(thinking, "includeThoughts")
            wire["includeThoughts"] = True
        return wire or None

    def _level(self, wire: Wire, thinking: Thinking, *, is_off: bool) -> None:
        """Gemini 3: levels; thinking cannot be switched off."""
        if is_off:
            self._report.approximated("reasoning.effort", "thinking", "cannot be switched off: MINIMAL")
            wire["thinkingLevel"] = "MINIMAL"
        elif thinking.effort is not None:
            if thinking.effort == "max":
                self._report.approximated("reasoning.effort", "thinking.effort", "XHIGH")
            wire["thinkingLevel"] = LEVEL_OUT[thinking.effort]
        elif thinking.budget is not None and thinking.budget > 0:
            level = LEVEL_OUT[_effort_of(thinking.budget)]
            self._report.approximated("reasoning.budget", "thinking.budget", level)
            wire["thinkingLevel"] = level

    def _budget(self, wire: Wire, thinking: Thinking, *, is_off: bool) -> None:
        """Gemini 2.5: tokens; 0 is off, -1 leaves it to the model."""
        if is_off and not self._profile.thinking_off:
            self._report.approximated("reasoning.effort", "thinking", "cannot be switched off")
            wire["thinkingBudget"] = BUDGET_OUT["minimal"]
        elif is_off:
            wire["thinkingBudget"] = 0
        elif thinking.budget is not None:
            wire["thinkingBudget"] = thinking.budget
        elif thinking.effort is not None:
            wire["thinkingBudget"] = BUDGET_OUT[thinking.effort]
            if thinking.effort in ("xhigh", "max"):
                told = "24576 tokens, as high" if thinking.effort == "xhigh" else "-1: the model decides"
                self._report.approximated("reasoning.effort", "thinking.effort", told)
        elif thinking.mode == "adaptive":
            wire["thinkingBudget"] = -1

    def top_level(self) -> Wire:
        """Members of the request itself that have a place in the IR."""
        request, wire = self._request, Wire()
        if self._own:
            if request.safety is not None:
                wire["safetySettings"] = request.safety
            if request.metadata is not None:
                wire["labels"] = request.metadata
            if request.state is not None and request.state.store is not None:
                wire["store"] = request.state.store
            if request.tier is not None:
                wire["serviceTier"] = TIER_OUT.get(request.tier, request.tier) or "unspecified"
            return wire
        self._labels(wire)
        if request.tier is not None and request.tier not in TIER_OUT:
            self._report.dropped("tier", "tier")
        elif request.tier is not None and TIER_OUT[request.tier] is not None:
            wire["serviceTier"] = TIER_OUT[request.tier]
        self._drop_rest()
        return wire

    def _labels(self, wire: Wire) -> None:
        labels: dict[str, str] = {}
        for name, value in (self._request.metadata or {}).items():
            if _LABEL.fullmatch(name) and _LABEL.fullmatch(value):
                labels[name] = value
            else:
                self._report.dropped("metadata", f"metadata.{name}", "not a legal label")
        if labels:
            wire["labels"] = labels

    def _drop_rest(self) -> None:
        """Settings that only other protocols have."""
        request = self._request
        for feature, is_set in (
            ("safety", request.safety is not None),
            ("user", request.user is not None),
            ("cache_key", request.cache_key is not None),
            ("cache_policy", request.cache_policy is not None),
            ("verbosity", request.verbosity is not None),
        ):
            if is_set:
                self._report.dropped(feature, feature)
        self._report.state(request.state)
        self._report.foreign_ext(request, "request")
        self._report.foreign_ext(request.sampling, "sampling")


def _effort_of(budget: int) -> Effort:
    for limit, effort in EFFORT_LIMITS:
        if budget <= limit:
            return effort
    return "xhigh"


def _whole(number: float | None) -> float | int | None:
    """`40` stays `40`: the field is an integer to some of Google's servers."""
    return int(number) if number is not None and number.is_integer() else number
