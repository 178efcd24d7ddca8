"""A Chat Completions request: its members, its rules, its meaning."""

from __future__ import annotations

from typing import Literal

from aiclient2api.simulator.checks import Strict, media_from, media_from_url, one_of, read_as, read_tree, digest_of
from aiclient2api.simulator.conversation import Conversation, Media, Tool, ToolAnswer, Transcript, Wishes
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.voices import OpenAIVoice, Refused

VOICE = OpenAIVoice()


class CacheBreakpoint(Strict):
    """`prompt_cache_breakpoint`."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class Part(Strict, tag_field="type"):
    """A content part."""

    prompt_cache_breakpoint: CacheBreakpoint | None = None


class TextPart(Part, tag="text"):
    text: str


class RefusalPart(Part, tag="refusal"):
    refusal: str


class ImageUrl(Strict):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Part, tag="image_url"):
    image_url: ImageUrl


class InputAudio(Strict):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Part, tag="input_audio"):
    input_audio: InputAudio


class FileData(Strict):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Part, tag="file"):
    file: FileData


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
    content: str | list[TextPart | ImagePart | AudioPart | FilePart]
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
    messages: list[
        SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
    ]
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


def parse(body: bytes, settings: SimulatorSettings) -> tuple[ChatRequest, Conversation]:
    """The request and what it means."""
    tree = read_tree(body, VOICE)
    request = read_as(body, ChatRequest, VOICE)
    _check_limits(request)
    transcript = _Reader().read(request)
    digest = digest_of(tree, settings.seed, "chat")
    return request, transcript.finish(request.model, digest, _wishes(request))


def _check_limits(request: ChatRequest) -> None:
    if not request.messages:
        text = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        raise Refused(text, code="empty_array", param="messages")
    if request.functions is not None or request.function_call is not None:
        text = "Unsupported parameter: 'functions' is not supported with this model. Use 'tools' instead."
        raise Refused(text, code="unsupported_parameter", param="functions")
    one_of(request.n, 1, 128, "n")
    one_of(request.top_logprobs, 0, 20, "top_logprobs")
    one_of(request.max_tokens, 1, 10**9, "max_tokens")
    one_of(request.max_completion_tokens, 1, 10**9, "max_completion_tokens")
    if isinstance(request.stop, list) and len(request.stop) > 4:
        text = "Invalid 'stop': array too long. Expected an array with maximum length 4."
        raise Refused(text, code="array_above_max_length", param="stop")
    if request.temperature is not None and not 0 <= request.temperature <= 2:
        raise Refused("Invalid 'temperature': expected a value between 0 and 2.", param="temperature")
    if request.stream_options is not None and not request.stream:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(text, param="stream_options")
    if request.tool_choice is not None and not request.tools:
        text = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise Refused(text, param="tool_choice")


class _Reader:
    """Reads the messages in order and checks that calls and answers belong together."""

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._open: dict[str, int] = {}
        self._caller = -1

    def read(self, request: ChatRequest) -> Transcript:
        """All messages."""
        for index, message in enumerate(request.messages):
            if not isinstance(message, ToolMessage):
                self._expect_all_answered()
            match message:
                case SystemMessage():
                    self._transcript.system(_text(message.content))
                    self._count_marks(message.content)
                case UserMessage():
                    self._user(message, f"messages[{index}]")
                case AssistantMessage():
                    self._assistant(message, index)
                case ToolMessage():
                    self._tool(message, index)
        self._expect_all_answered()
        return self._transcript

    def _user(self, message: UserMessage, at: str) -> None:
        media: list[Media] = []
        if not isinstance(message.content, str):
            for place, part in enumerate(message.content):
                if not isinstance(part, TextPart):
                    media.append(_media(part, f"{at}.content[{place}]"))
        self._transcript.user(_text(message.content), media)
        self._count_marks(message.content)

    def _assistant(self, message: AssistantMessage, index: int) -> None:
        calls = message.tool_calls
        if message.content is None and not calls and message.refusal is None and message.audio is None:
            text = f"Invalid value for 'content': expected a string, got null. (messages[{index}])"
            raise Refused(text, param=f"messages[{index}].content")
        if calls is not None and not calls:
            text = f"Invalid 'messages[{index}].tool_calls': empty array. Expected an array with minimum length 1."
            raise Refused(text, code="empty_array", param=f"messages[{index}].tool_calls")
        self._transcript.assistant(_text(message.content or ""))
        self._count_marks(message.content or "")
        if message.reasoning_content:
            self._transcript.thoughts += 1
        for call in calls or ():
            if call.id in self._open:
                raise Refused(f"Duplicate value for 'tool_call_id' of '{call.id}' in message with role 'assistant'.")
            self._open[call.id] = index
            self._caller = index
            self._transcript.assistant(_called_text(call), call.id)

    def _tool(self, message: ToolMessage, index: int) -> None:
        if message.tool_call_id not in self._open:
            text = (
                "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            )
            raise Refused(text, param=f"messages[{index}].role")
        del self._open[message.tool_call_id]
        self._transcript.tool_answer(ToolAnswer(call=message.tool_call_id, text=_text(message.content)))

    def _expect_all_answered(self) -> None:
        if self._open:
            text = (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(self._open)}"
            )
            raise Refused(text, param=f"messages[{self._caller}].tool_calls")

    def _count_marks(self, content: str | list[TextPart] | list[TextPart | RefusalPart] | list[UserPart]) -> None:
        if not isinstance(content, str):
            self._transcript.cache_marks += sum(part.prompt_cache_breakpoint is not None for part in content)


UserPart = TextPart | ImagePart | AudioPart | FilePart


def _text(content: str | list[TextPart] | list[TextPart | RefusalPart] | list[UserPart]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


def _media(part: ImagePart | AudioPart | FilePart, at: str) -> Media:
    match part:
        case ImagePart():
            return media_from_url(VOICE, f"{at}.image_url.url", "image", part.image_url.url)
        case AudioPart():
            audio = part.input_audio
            return media_from(VOICE, f"{at}.input_audio.data", "audio", f"audio/{audio.format}", audio.data)
        case FilePart():
            if part.file.file_data is not None:
                return media_from_url(VOICE, f"{at}.file.file_data", "document", part.file.file_data)
            if part.file.file_id is None:
                raise VOICE.missing_field("file_id", f".{at}.file")
            return Media(kind="document", reference=f"file {part.file.file_id}")


def _called_text(call: FunctionCall | CustomCall) -> str:
    if isinstance(call, FunctionCall):
        return f"{call.function.name} {call.function.arguments}"
    return f"{call.custom.name} {call.custom.input}"


def _wishes(request: ChatRequest) -> Wishes:
    form = request.response_format
    required, allowed = _choice(request)
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return Wishes(
        tools=tuple(_tool(tool) for tool in request.tools or ()),
        choice="none" if request.tool_choice == "none" else "required" if required else "auto",
        allowed=allowed,
        parallel=request.parallel_tool_calls is not False,
        thinking=request.reasoning_effort not in (None, "none"),
        json=isinstance(form, JsonFormat | JsonSchemaFormat),
        schema=form.json_schema.schema if isinstance(form, JsonSchemaFormat) else None,
        max_tokens=limit,
        stops=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        count=request.n or 1,
    )


def _tool(tool: FunctionTool | CustomTool) -> Tool:
    if isinstance(tool, CustomTool):
        return Tool(name=tool.custom.name, free_text=True, description=tool.custom.description or "")
    function = tool.function
    return Tool(name=function.name, schema=function.parameters, description=function.description or "")


def _choice(request: ChatRequest) -> tuple[bool, frozenset[str] | None]:
    match request.tool_choice:
        case "required":
            return True, None
        case ChooseAllowed(allowed_tools=allowed):
            return allowed.mode == "required", frozenset(_chosen(tool) for tool in allowed.tools)
        case ChooseFunction() | ChooseCustom() as tool:
            return True, frozenset({_chosen(tool)})
        case _:
            return False, None


def _chosen(tool: ChooseFunction | ChooseCustom) -> str:
    return tool.function.name if isinstance(tool, ChooseFunction) else tool.custom.name
