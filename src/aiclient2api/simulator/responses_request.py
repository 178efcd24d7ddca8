# ruff: noqa: D101 - the classes are the provider's own objects
"""A Responses request: its members and items, as OpenAI accepts them."""

from __future__ import annotations

from typing import Literal

import msgspec

from aiclient2api.simulator.checks import Strict
from aiclient2api.simulator.voices import OpenAIVoice

VOICE = OpenAIVoice()

HOSTED_TOOLS = frozenset(
    {
        "namespace", "file_search", "web_search", "web_search_2025_08_26", "web_search_preview",
        "code_interpreter", "image_generation", "mcp", "computer", "computer_use_preview", "shell",
        "local_shell", "apply_patch", "tool_search", "programmatic_tool_calling",
    }
)  # fmt: skip
"""Tools the provider runs itself: accepted and echoed, never called by the simulator."""

Status = Literal["in_progress", "completed", "incomplete"]


class CacheBreakpoint(Strict):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class InputPart(Strict, tag_field="type"):
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputText(InputPart, tag="input_text", kw_only=True):
    text: str


class InputImage(InputPart, tag="input_image"):
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None


class InputFile(InputPart, tag="input_file"):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class OutputText(Strict, tag_field="type", tag="output_text"):
    text: str
    annotations: list[dict[str, object]] | None = None
    logprobs: list[dict[str, object]] | None = None


class RefusalPart(Strict, tag_field="type", tag="refusal"):
    refusal: str


class Message(Strict, tag_field="type", tag="message"):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | InputImage | InputFile | OutputText | RefusalPart]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None


class CallItem(Strict, tag_field="type"):
    call_id: str
    name: str
    id: str | None = None
    caller: dict[str, object] | None = None
    namespace: str | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class FunctionCall(CallItem, tag="function_call", kw_only=True):
    arguments: str
    status: Status | None = None


class CustomCall(CallItem, tag="custom_tool_call", kw_only=True):
    input: str


class OutputItem(Strict, tag_field="type"):
    output: str | list[InputText | InputImage | InputFile]
    call_id: str
    id: str | None = None
    caller: dict[str, object] | None = None
    name: str | None = None
    namespace: str | None = None
    status: Status | None = None


class FunctionCallOutput(OutputItem, tag="function_call_output"):
    pass


class CustomCallOutput(OutputItem, tag="custom_tool_call_output"):
    pass


class Summary(Strict, tag_field="type", tag="summary_text"):
    text: str


class ReasoningText(Strict, tag_field="type", tag="reasoning_text"):
    text: str


class ReasoningItem(Strict, tag_field="type", tag="reasoning"):
    summary: list[Summary]
    id: str | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


class ItemReference(Strict, tag_field="type", tag="item_reference"):
    id: str


class FunctionTool(Strict, tag_field="type", tag="function"):
    name: str
    parameters: dict[str, object] | None
    strict: bool | None = None
    description: str | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    output_schema: dict[str, object] | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class CustomTool(Strict, tag_field="type", tag="custom"):
    name: str
    description: str | None = None
    format: dict[str, object] | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class ChooseFunction(Strict, tag_field="type", tag="function"):
    name: str


class ChooseCustom(Strict, tag_field="type", tag="custom"):
    name: str


class ChooseAllowed(Strict, tag_field="type", tag="allowed_tools"):
    mode: Literal["auto", "required"]
    tools: list[dict[str, object]]


class TextFormat(Strict, tag_field="type", tag="text"):
    pass


class JsonFormat(Strict, tag_field="type", tag="json_object"):
    pass


class SchemaFormat(Strict, tag_field="type", tag="json_schema"):
    name: str
    schema: dict[str, object]
    description: str | None = None
    strict: bool | None = None


class TextConfig(Strict):
    format: TextFormat | JsonFormat | SchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


Include = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class ResponsesRequest(Strict):
    """The members of the request."""

    model: str
    input: (
        str
        | list[
            Message
            | FunctionCall
            | CustomCall
            | FunctionCallOutput
            | CustomCallOutput
            | ReasoningItem
            | ItemReference
        ]
    )
    access_programs: dict[str, object] | None = None
    background: bool | None = None
    background_options: dict[str, object] | None = None
    client_metadata: dict[str, str] | None = None
    """In no reference, but OpenAI's own Codex CLI sends it (github.com/openai/codex, `ResponsesApiRequest`)."""
    context_management: list[dict[str, object]] | None = None
    conversation: str | dict[str, object] | None = None
    image: dict[str, object] | None = None
    include: list[Include] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    moderation: dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt: dict[str, object] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, object] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning: ReasoningConfig | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: dict[Literal["include_obfuscation"], bool] | None = None
    temperature: float | None = None
    text: TextConfig | None = None
    tool_choice: (
        Literal["none", "auto", "required"] | ChooseFunction | ChooseCustom | ChooseAllowed | None
    ) = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
