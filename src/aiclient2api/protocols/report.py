"""The loss report an encoder writes while it works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Raw

from aiclient2api.ir.loss import Act, Loss
from aiclient2api.ir.parts import Citation, Ext, Media, Node, Text
from aiclient2api.ir.request import State, Thinking, ToolChoice
from aiclient2api.ir.response import Finish
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL

HEADERS_SUFFIX = ".headers"
"""Ends the `ext` namespace of request headers that mean something to the client's own protocol only."""
ECHO_SUFFIX = ".echo"
"""Ends the `ext` namespace of members that repeat the client's own request: nothing is lost with them."""


_QUOTES_ITSELF = "gemini"
_PLACES: Final = {
    "reasoning.effort": "thinking.effort",
    "reasoning.budget": "thinking.budget",
    "reasoning.show": "thinking.show",
    "output.schema.name": "output.name",
}
"""Settings that are always told by one path, whatever the target calls them; of sampling, the feature is the path."""
_TAKEN_APART: Final = frozenset(
    (
        *("function", "custom", "image_url", "video_url", "input_audio", "file", "json_schema", "text"),
        *("stream_options", "extra_content", "prompt_tokens_details", "completion_tokens_details"),
        *("output_config", "metadata", "generationConfig", "toolConfig"),
        *("inlineData", "fileData", "functionCall", "functionResponse"),
    )
)
"""Objects that decoders take apart: of these `ext` keeps what is unknown inside, and that is what is lost."""
MESSAGE_MEMBERS: Final = "$item"
"""The key in a first part's ext under which the unknown members of its whole message wait (Responses)."""

LONGEST_FEATURE: Final = 200
"""Characters: names of unknown members are the client's or the upstream's, and go into the log and a header."""


def lost_members(members: Mapping[str, Raw]) -> Iterator[str]:
    """The names of unknown members, those inside of known objects by their own path; none for a null."""
    for name, value in members.items():
        if value == NULL:
            continue
        if name == MESSAGE_MEMBERS:
            yield from lost_members(json.decode(value, dict[str, Raw]))
        elif name in _TAKEN_APART and json.is_object(bytes(value)):
            yield from (f"{name}.{inner}" for inner in lost_members(json.decode(value, dict[str, Raw])))
        else:
            yield name


def thinking_wish(thinking: Thinking) -> str:
    """The feature by which a request says how much to think."""
    return "reasoning.budget" if thinking.budget is not None else "reasoning.effort"


def media_feature(media: Media) -> str:
    """`media.image`, `media.audio`, `media.video` or `media.document`."""
    return f"media.{'document' if media.kind == 'file' else media.kind}"


class LossReport:
    """Collects what `target` could not take as it was. Each entry once per feature and path."""

    __slots__ = ("_seen", "losses", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self.losses: list[Loss] = []
        self._seen: set[tuple[str, str]] = set()

    def _add(self, act: Act, feature: str, path: str, note: str | None) -> None:
        if len(feature) > LONGEST_FEATURE:
            feature = f"{feature[:LONGEST_FEATURE]}..."
        path = feature if feature.startswith("sampling.") else _PLACES.get(feature, path)
        if (feature, path) in self._seen:
            return
        self._seen.add((feature, path))
        self.losses.append(Loss(feature, path, act, self.target, note))

    def dropped(self, feature: str, path: str, note: str | None = None) -> None:
        """The target has no place for it."""
        self._add("dropped", feature, path, note)

    def approximated(self, feature: str, path: str, note: str | None = None) -> None:
        """The nearest value was sent."""
        self._add("approximated", feature, path, note)

    def emulated(self, feature: str, path: str, note: str | None = None) -> None:
        """The same effect by other means."""
        self._add("emulated", feature, path, note)

    def defaulted(self, feature: str, path: str, note: str | None = None) -> None:
        """The target requires a value and the source had none."""
        self._add("defaulted", feature, path, note)

    def foreign_ext(self, node: Node, path: str) -> None:
        """Members of other protocols that stay behind: one loss each, but none for a null, which says nothing."""
        if node.ext:
            self.foreign_members(node.ext, path)

    def foreign_members(self, ext: Ext, path: str) -> None:
        """See foreign_ext."""
        for protocol, members in ext.items():
            if protocol.endswith(HEADERS_SUFFIX) and protocol != f"{self.target}{HEADERS_SUFFIX}":
                for name in members:
                    self.dropped(f"headers.{name}", path, protocol.removesuffix(HEADERS_SUFFIX))
        for protocol, members in ext.items():
            if protocol != self.target and not protocol.endswith((ECHO_SUFFIX, HEADERS_SUFFIX)):
                for name in lost_members(members):
                    self.dropped(f"ext.{name}", path, protocol)

    def idle_choice(self, choice: ToolChoice | None) -> None:
        """A tool choice that stays behind because no function goes along; `auto` and `none` then say nothing."""
        if choice is None:
            return
        self.foreign_ext(choice, "tool_choice")
        if choice.names or choice.mode not in ("auto", "none"):
            self.dropped("tool_choice", "tool_choice", "there is no function to call")

    def state(self, state: State | None) -> None:
        """What a request asks of its own provider's store, where the target has none."""
        if state is None:
            return
        self.foreign_ext(state, "state")
        if state.truncation not in (None, "disabled"):
            self.dropped("state.truncation", "state.truncation")
        if state.store:
            self.dropped("state.store", "state.store", "nothing is stored")

    def thinking_told_twice(self, thinking: Thinking, sent: str) -> None:
        """A request may give an effort and a budget at once; a target takes one: `sent` is `effort` or `budget`."""
        effort, budget = thinking.effort not in (None, "none"), (thinking.budget or 0) > 0
        if thinking.is_off and effort:
            self.dropped("reasoning.effort", "thinking.effort", "thinking is off")
        elif effort and budget and sent == "effort":
            self.dropped("reasoning.budget", "thinking.budget", "the effort is sent")
        elif effort and budget:
            self.dropped("reasoning.effort", "thinking.effort", "the budget is sent")

    def shown_thoughts(self, thinking: Thinking, sent: str) -> None:
        """Words for how thoughts are shown that only one protocol has."""
        if thinking.show in ("concise", "detailed", "updates"):
            self.approximated("reasoning.show", "thinking.show", f"{thinking.show} sent as {sent}")

    def quote(self, citation: Citation, path: str) -> None:
        """The cited words of a source, where the target's citations have none. Google quotes the answer itself."""
        if citation.quote and citation.protocol not in (self.target, _QUOTES_ITSELF):
            self.dropped("citation.quote", path)

    def call_id(self, original: str, sent: str, path: str) -> str:
        """`sent`, and a word about it where the target does not take the id as it was."""
        if sent != original:
            self.emulated("tool_call.id", path, "the id is replaced, in the call and its result")
        return sent

    def phase(self, text: Text, path: str) -> None:
        """Only Responses tells a commentary from a final answer."""
        if text.phase is not None:
            self.dropped("message.phase", path, text.phase)

    def tier(self, tier: str | None, told: object) -> None:
        """The tier that served an answer; `told` is what the client reads of it, if anything."""
        if tier is not None and told is None:
            self.dropped("tier", "tier", tier)

    def finish_details(self, finish: Finish, path: str, told: str = "") -> None:
        """Why an answer was declined, where the target has no member for it; `told` is what it says instead."""
        for name, value in (("category", finish.category), ("explanation", finish.explanation)):
            if value and value not in told:
                self.dropped(f"finish.{name}", path)
