"""What a client asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Raw

from aiclient2api.ir.embedding import EmbedRequest
from aiclient2api.ir.parts import CacheMark, Node, Origin, Part, Protocol, Shape, Text

Role = Literal["system", "developer", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Operation = Literal["generate", "count_tokens", "embed", "list_models", "get_model"]
StreamMode = Literal["no", "sse", "json_array"]


class Turn(Node, frozen=True, kw_only=True):
    """One speaker's contribution. Tool results are `ToolResult` parts of a turn with role `tool`."""

    role: Role
    parts: list[Part]
    name: str | None = None
    origin: Origin | None = None


def is_empty(turn: Turn) -> bool:
    """Whether a turn has no content at all: not even state that a part without text carries."""
    return all(isinstance(part, Text) and not part.text and part.opaque is None for part in turn.parts)


def is_plain(turns: Sequence[Turn]) -> bool:
    """Whether a conversation is nothing but words: no other parts, no state, none that go on where others stopped."""
    for turn in turns:
        for part in turn.parts:
            if type(part) is not Text or part.opaque is not None or part.shape & Shape.CONTINUES:
                return False
    return True


def kinds_of(turns: Sequence[Turn]) -> set[type[Part]]:
    """The kinds of parts that a conversation holds."""
    return {type(part) for turn in turns for part in turn.parts}


class Schema(msgspec.Struct, frozen=True):
    """A schema, verbatim."""

    raw: Raw
    dialect: Literal["json_schema", "openapi"] = "json_schema"


class FunctionTool(Node, frozen=True, kw_only=True, tag_field="tool", tag="function"):
    """A function the client runs. `parameters` None means that the source gave none."""

    name: str
    description: str | None = None
    parameters: Schema | None = None
    output: Schema | None = None
    strict: bool | None = None
    cache: CacheMark | None = None


class CustomTool(Node, frozen=True, kw_only=True, tag_field="tool", tag="custom"):
    """A tool with free text as input; `format` may hold a grammar."""

    name: str
    description: str | None = None
    format: Raw | None = None


class HostedTool(Node, frozen=True, kw_only=True, tag_field="tool", tag="hosted"):
    """A tool the provider runs or defines; native to its protocol. A namespace holds the tools that it names."""

    protocol: Protocol
    wire_type: str
    raw: Raw
    family: str = "other"
    namespace: str | None = None
    description: str | None = None
    tools: list[Tool] = []


Tool = FunctionTool | CustomTool | HostedTool


class ToolChoice(Node, frozen=True, kw_only=True):
    """`mode` tool: exactly `names[0]`. Otherwise `names` is the allowed subset, if any."""

    mode: Literal["auto", "none", "required", "tool", "hosted"]
    names: list[str] | None = None
    kind: Literal["function", "custom"] = "function"
    validated: bool = False
    """Gemini's VALIDATED: like auto, with arguments held to the schema."""
    raw: Raw | None = None
    """The native value, for its own protocol."""


class OutputFormat(Node, frozen=True, kw_only=True):
    """How the answer must look."""

    kind: Literal["text", "json", "schema", "enum"]
    schema: Schema | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Thinking(Node, frozen=True, kw_only=True):
    """How much to think and what to show of it. `budget` in tokens: 0 off, -1 dynamic."""

    effort: Effort | None = None
    budget: int | None = None
    mode: Literal["off", "fixed", "adaptive", "between_tools"] | None = None
    show: Literal["off", "auto", "concise", "detailed", "summarized", "omitted", "updates"] | None = None

    @property
    def is_off(self) -> bool:
        """Whether the model is told not to think."""
        return self.mode == "off" or self.effort == "none" or self.budget == 0


class Sampling(Node, frozen=True, kw_only=True):
    """How tokens are drawn."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    stop: list[str] | None = None
    candidates: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class State(Node, frozen=True, kw_only=True):
    """Server-side state of the Responses protocol."""

    previous_id: str | None = None
    conversation: Raw | None = None
    store: bool | None = None
    background: bool | None = None
    truncation: str | None = None
    stored: str | None = None
    """The member that refers to content which only its own provider has (a cached content, a stored prompt)."""


class ModelRequest(Node, frozen=True, kw_only=True):
    """A request in any protocol. The first `hoisted` turns came from a top-level system field."""

    protocol: Protocol
    model: str
    dialect: str = ""
    operation: Operation = "generate"
    stream: StreamMode = "no"
    include_usage: bool = True
    """The client wants usage in its stream (Chat's `stream_options`)."""
    embedding: EmbedRequest | None = None
    """Set for the operation `embed`, and then instead of turns."""
    turns: list[Turn] = []
    hoisted: int = 0
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output: int | None = None
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    state: State | None = None
    tier: str | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    cache_key: str | None = None
    cache_policy: Raw | None = None
    safety: Raw | None = None
