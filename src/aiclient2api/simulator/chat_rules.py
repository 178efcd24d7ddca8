"""What a Chat Completions request must obey beyond its types, and what it means."""

from __future__ import annotations

from aiclient2api.simulator import chat_request as wire
from aiclient2api.simulator.chat_request import VOICE, ChatRequest
from aiclient2api.simulator.checks import digest_of, media_from, media_from_url, one_of, read_as, read_tree
from aiclient2api.simulator.conversation import Conversation, Media, Tool, ToolAnswer, Transcript, Wishes
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.voices import Refused

Content = str | list[wire.TextPart] | list[wire.TextPart | wire.RefusalPart] | list[wire.UserPart]


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
        text = "Invalid 'messages': empty array. Expected an array with minimum length 1."
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
            if not isinstance(message, wire.ToolMessage):
                self._expect_all_answered()
            match message:
                case wire.SystemMessage():
                    self._transcript.system(_text(message.content))
                    self._count_marks(message.content)
                case wire.UserMessage():
                    self._user(message, f"messages[{index}]")
                case wire.AssistantMessage():
                    self._assistant(message, index)
                case wire.ToolMessage():
                    self._tool(message, index)
        self._expect_all_answered()
        return self._transcript

    def _user(self, message: wire.UserMessage, at: str) -> None:
        media: list[Media] = []
        if not isinstance(message.content, str):
            for place, part in enumerate(message.content):
                if not isinstance(part, wire.TextPart):
                    media.append(_media(part, f"{at}.content[{place}]"))
        self._transcript.user(_text(message.content), media)
        self._count_marks(message.content)

    def _assistant(self, message: wire.AssistantMessage, index: int) -> None:
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
                raise Refused(
                    f"Duplicate value for 'tool_call_id' of '{call.id}' in message with role 'assistant'."
                )
            self._open[call.id] = index
            self._caller = index
            self._transcript.assistant(_called_text(call), call.id)

    def _tool(self, message: wire.ToolMessage, index: int) -> None:
        if message.tool_call_id not in self._open:
            text = (
                "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'."
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

    def _count_marks(
        self,
        content: Content,
    ) -> None:
        if not isinstance(content, str):
            self._transcript.cache_marks += sum(part.prompt_cache_breakpoint is not None for part in content)


def _text(
    content: Content,
) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, wire.TextPart))


def _media(part: wire.ImagePart | wire.AudioPart | wire.FilePart, at: str) -> Media:
    match part:
        case wire.ImagePart():
            return media_from_url(VOICE, f"{at}.image_url.url", "image", part.image_url.url)
        case wire.AudioPart():
            audio = part.input_audio
            return media_from(VOICE, f"{at}.input_audio.data", "audio", f"audio/{audio.format}", audio.data)
        case wire.FilePart():
            if part.file.file_data is not None:
                return media_from_url(VOICE, f"{at}.file.file_data", "document", part.file.file_data)
            if part.file.file_id is None:
                raise VOICE.missing_field("file_id", f".{at}.file")
            return Media(kind="document", reference=f"file {part.file.file_id}")


def _called_text(call: wire.FunctionCall | wire.CustomCall) -> str:
    if isinstance(call, wire.FunctionCall):
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
        json=isinstance(form, wire.JsonFormat | wire.JsonSchemaFormat),
        schema=form.json_schema.schema if isinstance(form, wire.JsonSchemaFormat) else None,
        max_tokens=limit,
        stops=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
        count=request.n or 1,
    )


def _tool(tool: wire.FunctionTool | wire.CustomTool) -> Tool:
    if isinstance(tool, wire.CustomTool):
        return Tool(name=tool.custom.name, free_text=True, description=tool.custom.description or "")
    function = tool.function
    return Tool(name=function.name, schema=function.parameters, description=function.description or "")


def _choice(request: ChatRequest) -> tuple[bool, frozenset[str] | None]:
    match request.tool_choice:
        case "required":
            return True, None
        case wire.ChooseAllowed(allowed_tools=allowed):
            return allowed.mode == "required", frozenset(_chosen(tool) for tool in allowed.tools)
        case wire.ChooseFunction() | wire.ChooseCustom() as tool:
            return True, frozenset({_chosen(tool)})
        case _:
            return False, None


def _chosen(tool: wire.ChooseFunction | wire.ChooseCustom) -> str:
    return tool.function.name if isinstance(tool, wire.ChooseFunction) else tool.custom.name
