"""Faults on demand: which requests go wrong, how, and how often."""

from __future__ import annotations

from typing import Literal

import msgspec
import yaml

FAULT_HEADER = "x-sim-fault"

Malformation = Literal["half_event", "broken_json", "invalid_utf8"]
ProtocolName = Literal["openai_chat", "openai_responses", "anthropic", "gemini"]


class ScenarioError(ValueError):
    """A scenario or a fault header that says something unknown."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to go wrong. Members combine; counts are in stream events.

    `status` alone answers with the protocol's own error form; `code` and `message` refine it, `body` replaces it.
    On an answer that is not streamed, the `…_after_events` faults happen after half of the body.
    """

    status: int | None = None
    code: str | None = None
    message: str | None = None
    body: str | dict[str, object] | None = None
    headers: dict[str, str] = {}
    retry_after: float | None = None
    content_type: str | None = None
    html: bool = False
    empty: bool = False
    delay: float = 0.0
    reset: bool = False
    stall_after_events: int | None = None
    cut_after_events: int | None = None
    malformed_after_events: int | None = None
    malformed: Malformation = "half_event"
    error_event_after_events: int | None = None
    no_terminal: bool = False
    drop_usage: bool = False

    @property
    def replaces_answer(self) -> bool:
        """Whether the fault is a whole answer of its own."""
        return self.status is not None or self.body is not None or self.html or self.empty


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a rule is about; what is not given matches everything. `nth` counts from 1."""

    key: str | None = None
    model: str | None = None
    path: str | None = None
    protocol: ProtocolName | None = None
    prompt: str | None = None
    nth: int | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A fault for the first `times` requests that match (every one when `times` is not given)."""

    fault: Fault
    match: Match = Match()
    times: int | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What rules look at."""

    key: str
    model: str
    path: str
    protocol: str
    body: bytes


class Scenario:
    """An ordered list of rules and how often each one was used; the first rule that applies wins."""

    def __init__(self, rules: list[Rule] | None = None) -> None:
        self.rules = rules or []
        self._seen = [0] * len(self.rules)
        self._used = [0] * len(self.rules)
        self._header_uses: dict[tuple[str, bytes], int] = {}

    @classmethod
    def load(cls, text: str) -> Scenario:
        """A scenario from YAML: a list of rules."""
        try:
            tree: object = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ScenarioError(f"not valid YAML: {error}") from None
        try:
            return cls(msgspec.convert(tree or [], list[Rule]))
        except msgspec.ValidationError as error:
            raise ScenarioError(str(error)) from None

    def add(self, rule: Rule) -> None:
        """Append a rule while the simulator runs."""
        self.rules.append(rule)
        self._seen.append(0)
        self._used.append(0)

    def fault_for(self, call: Call, header: str | None) -> Fault | None:
        """The fault this request meets, counted as used."""
        if header is not None and (fault := self._from_header(call, header)) is not None:
            return fault
        chosen: Fault | None = None
        for index, rule in enumerate(self.rules):
            if not _fits(rule.match, call):
                continue
            self._seen[index] += 1
            if chosen is not None or not self._is_due(index, rule):
                continue
            self._used[index] += 1
            chosen = rule.fault
        return chosen

    def _is_due(self, index: int, rule: Rule) -> bool:
        if rule.match.nth is not None and rule.match.nth != self._seen[index]:
            return False
        return rule.times is None or self._used[index] < rule.times

    def _from_header(self, call: Call, header: str) -> Fault | None:
        """A retry repeats header and body, so `times` is counted for the pair."""
        fault, times = parse_header(header)
        identity = (header, call.body)
        used = self._header_uses.get(identity, 0)
        if times is not None and used >= times:
            return None
        self._header_uses[identity] = used + 1
        return fault


def parse_header(header: str) -> tuple[Fault, int | None]:
    """`status=529; times=1; retry-after=3` as a fault and how often it happens."""
    members: dict[str, object] = {}
    for item in header.split(";"):
        name, equals, value = item.strip().partition("=")
        if name:
            members[name.strip().replace("-", "_")] = value.strip() if equals else "true"
    times = members.pop("times", None)
    try:
        fault = msgspec.convert(members, Fault, strict=False)
        return fault, None if times is None else msgspec.convert(times, int, strict=False)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{FAULT_HEADER}: {error}") from None


def _fits(match: Match, call: Call) -> bool:
    """Whether every given condition but `nth` holds."""
    return (
        match.key in (None, call.key)
        and match.model in (None, call.model)
        and match.protocol in (None, call.protocol)
        and (match.path is None or call.path.startswith(match.path))
        and (match.prompt is None or match.prompt.encode() in call.body)
    )
