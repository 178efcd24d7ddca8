# ruff: noqa: D101 - the classes are the provider's own objects
"""A Messages request: its members and content blocks, as Anthropic accepts them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aiclient2api.simulator.checks import Strict
from aiclient2api.simulator.voices import AnthropicVoice

VOICE = AnthropicVoice()

HOSTED_TOOLS = (
    "bash_", "text_editor_", "memory_", "computer_", "browser_", "web_search_", "web_fetch_",
    "code_execution_", "tool_search_tool_", "mcp_toolset",
)  # fmt: skip
"""How the types of tools with a schema of the provider begin: accepted, never called by the simulator."""


class CacheControl(Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(Strict, tag_field="type"):
    """What most content blocks have in common."""

    cache_control: CacheControl | None = None


class Text(Block, tag="text", kw_only=True):
    text: str
    citations: list[dict[str, object]] | None = None


class Base64Source(Strict, tag_field="type", tag="base64"):
    media_type: str
    data: str


class UrlSource(Strict, tag_field="type", tag="url"):
    url: str


class FileSource(Strict, tag_field="type", tag="file"):
    file_id: str


class TextSource(Strict, tag_field="type", tag="text"):
    media_type: Literal["text/plain"]
    data: str


class ContentSource(Strict, tag_field="type", tag="content"):
    content: str | list[dict[str, object]]


class Image(Block, tag="image", kw_only=True):
    source: Base64Source | UrlSource | FileSource
    transformations: dict[str, object] | None = None


class Citations(Strict):
    enabled: bool | None = None


class Document(Block, tag="document", kw_only=True):
    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResult(Block, tag="search_result", kw_only=True):
    source: str
    title: str
    content: list[Text]
    citations: Citations | None = None


class Thinking(Strict, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class RedactedThinking(Strict, tag_field="type", tag="redacted_thinking"):
    data: str


class ToolUse(Block, tag="tool_use", kw_only=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: str
    input: dict[str, object]
    caller: dict[str, object] | None = None
    toolset_name: str | None = None


class ToolReference(Block, tag="tool_reference", kw_only=True):
    tool_name: str


class ToolResult(Block, tag="tool_result", kw_only=True):
    tool_use_id: str
    content: str | list[Text | Image | Document | SearchResult | ToolReference] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None


AnyBlock = Text | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult


class MessageConfig(Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class Message(Strict):
    role: Literal["user", "assistant", "system"]
    content: str | list[AnyBlock]
    output_config: MessageConfig | None = None
    """A beta of `system` messages: the effort from here on."""


class Tool(Strict):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, object]
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    input_examples: list[dict[str, object]] | None = None
    eager_input_streaming: bool | None = None


class ChooseAuto(Strict, tag_field="type", tag="auto"):
    disable_parallel_tool_use: bool | None = None


class ChooseAny(Strict, tag_field="type", tag="any"):
    disable_parallel_tool_use: bool | None = None


class ChooseTool(Strict, tag_field="type", tag="tool"):
    name: str
    disable_parallel_tool_use: bool | None = None


class ChooseNone(Strict, tag_field="type", tag="none"):
    pass


Display = Literal["summarized", "omitted", "updates"]


class ThinkingMode(Strict, tag_field="type"):
    display: Display | None = None
    block_binding: dict[str, object] | None = None


class ThinkingEnabled(ThinkingMode, tag="enabled", kw_only=True):
    budget_tokens: int


class ThinkingAdaptive(ThinkingMode, tag="adaptive"):
    pass


class ThinkingBetweenTools(ThinkingMode, tag="between_tools"):
    pass


class ThinkingDisabled(ThinkingMode, tag="disabled"):
    pass


class JsonFormat(Strict, tag_field="type", tag="json_schema"):
    schema: dict[str, object]


class OutputConfig(Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None
    task_budget: dict[str, object] | None = None


class Metadata(Strict):
    user_id: str | None = None


class CountRequest(Strict):
    """What both operations take."""

    model: str
    messages: list[Message]
    system: str | list[Text] | None = None
    tools: list[Tool] | None = None
    tool_choice: ChooseAuto | ChooseAny | ChooseTool | ChooseNone | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingBetweenTools | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    user_profile_id: str | None = None
    workspace_id: str | None = None
    context_management: dict[str, object] | None = None
    mcp_servers: list[dict[str, object]] | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """The members of `POST /v1/messages`, the last five of them beta."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    inference_geo: str | None = None
    container: str | dict[str, object] | None = None
    diagnostics: dict[str, object] | None = None
    compaction: dict[str, object] | None = None
    fallbacks: list[dict[str, object]] | None = None
    fallback_credit_token: str | None = None
    thread: dict[str, object] | None = None
    billing_policy: dict[str, object] | None = None


EFFORT_BETA = "mid-conversation-output-config-2026-07-01"
BETA_MEMBERS = (
    "context_management", "mcp_servers", "compaction", "fallbacks", "fallback_credit_token", "thread",
    "billing_policy",
)  # fmt: skip
