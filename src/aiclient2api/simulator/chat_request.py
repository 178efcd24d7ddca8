# ruff: noqa: D101 - the classes are the provider's own objects
"""A Chat Completions request: its members, as OpenAI accepts them."""

from __future__ import annotations

from typing import Literal

from aiclient2api.simulator.checks import Strict
from aiclient2api.simulator.voices import OpenAIVoice

VOICE = OpenAIVoice()


class CacheBreakpoint(Strict):
    """`prompt_cache_breakpoint`."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class Part(Strict, tag_field="type"):
    """A content part."""

    prompt_cache_breakpoint: CacheBreakpoint | None = None


class TextPart(Part, tag="text", kw_only=True):
    text: str


class RefusalPart(Part, tag="refusal", kw_only=True):
    refusal: str


class ImageUrl(Strict):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Part, tag="image_url", kw_only=True):
    image_url: ImageUrl


class InputAudio(Strict):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Part, tag="input_audio", kw_only=True):
    input_audio: InputAudio


class FileData(Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Part, tag="file", kw_only=True):
    file: FileData


UserPart = TextPart | ImagePart | AudioPart | FilePart


class CalledFunction(Strict):
    name: str
    arguments: str


class CalledTool(Strict):
    name: str
    input: str


class FunctionCall(Strict, tag_field="type", tag="function"):
    id: str
    function: CalledFunction


class CustomCall(Strict, tag_field="type", tag="custom"):
    id: str
    custom: CalledTool


class AudioReference(Strict):
    id: str


class SystemMessage(Strict, tag_field="role", tag="system"):
    content: str | list[TextPart]
    name: str | None = None


class DeveloperMessage(SystemMessage, tag="developer"):
    pass


class UserMessage(Strict, tag_field="role", tag="user"):
    content: str | list[UserPart]
    name: str | None = None


class AssistantMessage(Strict, tag_field="role", tag="assistant"):
    """`reasoning_content` is what answers carry; `annotations` is null when an SDK repeats an answer."""

    content: str | list[TextPart | RefusalPart] | None = None
    name: str | None = None
    refusal: str | None = None
    audio: AudioReference | None = None
    annotations: list[dict[str, object]] | None = None
    tool_calls: list[FunctionCall | CustomCall] | None = None
    function_call: CalledFunction | None = None
    reasoning_content: str | None = None


class ToolMessage(Strict, tag_field="role", tag="tool"):
    content: str | list[TextPart]
    tool_call_id: str


class FunctionDefinition(Strict):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class CustomDefinition(Strict):
    name: str
    description: str | None = None
    format: dict[str, object] | None = None


class FunctionTool(Strict, tag_field="type", tag="function"):
    function: FunctionDefinition


class CustomTool(Strict, tag_field="type", tag="custom"):
    custom: CustomDefinition


class Name(Strict):
    name: str


class ChooseFunction(Strict, tag_field="type", tag="function"):
    function: Name


class ChooseCustom(Strict, tag_field="type", tag="custom"):
    custom: Name


class AllowedTools(Strict):
    mode: Literal["auto", "required"]
    tools: list[ChooseFunction | ChooseCustom]


class ChooseAllowed(Strict, tag_field="type", tag="allowed_tools"):
    allowed_tools: AllowedTools


class SchemaFormat(Strict):
    name: str
    description: str | None = None
    schema: dict[str, object] | None = None
    strict: bool | None = None


class TextFormat(Strict, tag_field="type", tag="text"):
    pass


class JsonFormat(Strict, tag_field="type", tag="json_object"):
    pass


class JsonSchemaFormat(Strict, tag_field="type", tag="json_schema"):
    json_schema: SchemaFormat


class StreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CacheOptions(Strict):
    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


class AudioOutput(Strict):
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    voice: str | dict[str, str]


class Prediction(Strict):
    type: Literal["content"]
    content: str | list[TextPart]


class ChatRequest(Strict):
    """The 37 members of the request."""

    model: str
    messages: list[SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage]
    audio: AudioOutput | None = None
    frequency_penalty: float | None = None
    function_call: str | Name | None = None
    functions: list[FunctionDefinition] | None = None
    logit_bias: dict[str, int] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: dict[str, object] | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    prediction: Prediction | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    tool_choice: (
        Literal["none", "auto", "required"] | ChooseFunction | ChooseCustom | ChooseAllowed | None
    ) = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, object] | None = None
