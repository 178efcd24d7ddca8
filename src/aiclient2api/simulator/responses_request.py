"""A Responses request: its members, its items, its rules, its meaning."""

from __future__ import annotations

from typing import Literal

import msgspec

from aiclient2api.simulator.checks import (
    Strict,
    digest_of,
    media_from_url,
    one_of,
    read_as,
    read_tree,
)
from aiclient2api.simulator.conversation import Conversation, Media, Tool, ToolAnswer, Transcript, Wishes
from aiclient2api.simulator.jsontext import dump
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, Verdict
from aiclient2api.simulator.voices import Refused, ResponsesVoice

VOICE = ResponsesVoice()

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


class InputText(InputPart, tag="input_text"):
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


class FunctionCall(CallItem, tag="function_call"):
    arguments: str
    status: Status | None = None


class CustomCall(CallItem, tag="custom_tool_call"):
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
    tool_choice: Literal["none", "auto", "required"] | ChooseFunction | ChooseCustom | ChooseAllowed | None = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None


def parse(
    body: bytes, settings: SimulatorSettings
) -> tuple[ResponsesRequest, Conversation, dict[str, object]]:
    """The request, what it means, and its members as they came (the answer repeats them)."""
    tree = read_tree(body, VOICE)
    request = read_as(dump(_regular(tree)), ResponsesRequest, VOICE)
    _check_limits(request)
    transcript = _Reader(request, Signer(settings.secret, "openai")).read()
    digest = digest_of(tree, settings.seed, "responses")
    return request, transcript.finish(request.model, digest, _wishes(request)), tree


def _regular(tree: dict[str, object]) -> dict[str, object]:
    """Messages may omit their type; hosted tools have members of their own and are set aside."""
    regular = dict(tree)
    if items := as_list(tree.get("input")):
        regular["input"] = [_typed(item) for item in items]
    if isinstance(tree.get("tools"), list):
        regular["tools"] = [tool for tool in as_list(tree["tools"]) if not _is_hosted(tool)]
    if _is_hosted(tree.get("tool_choice")):
        regular["tool_choice"] = "auto"
    return regular


def _typed(item: object) -> object:
    members = as_object(item)
    return item if members is None or "type" in members else {"type": "message", **members}


def _is_hosted(tool: object) -> bool:
    return (as_object(tool) or {}).get("type") in HOSTED_TOOLS


def _check_limits(request: ResponsesRequest) -> None:
    one_of(request.max_output_tokens, 16, 10**9, "max_output_tokens")
    one_of(request.top_logprobs, 0, 20, "top_logprobs")
    if request.previous_response_id is not None:
        text = f"Previous response with id '{request.previous_response_id}' not found."
        raise Refused(text, code="previous_response_not_found", param="previous_response_id")
    if request.conversation is not None:
        raise Refused("Conversation not found.", status=404, param="conversation")
    if request.background:
        text = "Background mode is not supported with this model."
        raise Refused(text, code="unsupported_parameter", param="background")
    if request.stream_options is not None and not request.stream:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(text, param="stream_options")


class _Reader:
    """Reads the items in order and checks what belongs together."""

    def __init__(self, request: ResponsesRequest, signer: Signer) -> None:
        self._request = request
        self._signer = signer
        self._transcript = Transcript()
        self._open: dict[str, None] = {}
        self._lonely_thought: str | None = None

    def read(self) -> Transcript:
        """Instructions and all items."""
        self._transcript.system(self._request.instructions or "")
        if isinstance(self._request.input, str):
            self._transcript.user(self._request.input)
            return self._transcript
        for index, item in enumerate(self._request.input):
            at = f"input[{index}]"
            match item:
                case Message():
                    self._message(item, at)
                case FunctionCall() | CustomCall():
                    self._call(item)
                case FunctionCallOutput() | CustomCallOutput():
                    self._output(item, at)
                case ReasoningItem():
                    self._reasoning(item, at)
                case ItemReference():
                    raise _not_found(item.id)
        self._expect_no_lonely_thought()
        if self._open:
            raise Refused(f"No tool output found for function call {next(iter(self._open))}.", param="input")
        return self._transcript

    def _message(self, item: Message, at: str) -> None:
        if item.role == "assistant":
            self._lonely_thought = None
            self._transcript.assistant(_text(item, at))
            return
        self._expect_no_lonely_thought()
        text, media = _text(item, at), _media_of(item, at)
        if item.role == "user":
            self._transcript.user(text, media)
        else:
            self._transcript.system(text)
        if not isinstance(item.content, str):
            marks = [part for part in item.content if isinstance(part, InputPart) and part.prompt_cache_breakpoint]
            self._transcript.cache_marks += len(marks)

    def _call(self, item: FunctionCall | CustomCall) -> None:
        self._lonely_thought = None
        if item.call_id in self._transcript.calls:
            raise Refused(f"Duplicate function call with call_id {item.call_id}.", param="input")
        self._open[item.call_id] = None
        said = item.arguments if isinstance(item, FunctionCall) else item.input
        self._transcript.assistant(f"{item.name} {said}", item.call_id)

    def _output(self, item: FunctionCallOutput | CustomCallOutput, at: str) -> None:
        self._expect_no_lonely_thought()
        if item.call_id not in self._open:
            text = f"No tool call found for function call output with call_id {item.call_id}."
            raise Refused(text, param="input")
        del self._open[item.call_id]
        if isinstance(item.output, str):
            self._transcript.tool_answer(ToolAnswer(call=item.call_id, text=item.output))
            return
        text = "\n".join(part.text for part in item.output if isinstance(part, InputText))
        media = [_media(part, f"{at}.output") for part in item.output if not isinstance(part, InputText)]
        self._transcript.tool_answer(ToolAnswer(call=item.call_id, text=text), media)

    def _reasoning(self, item: ReasoningItem, at: str) -> None:
        self._lonely_thought = item.id or "rs"
        if item.encrypted_content is None:
            if self._request.store is False and item.id is not None:
                raise _not_found(item.id)
            return
        thought = "".join(part.text for part in item.summary)
        verdict = self._signer.verify(self._request.model, thought, item.encrypted_content)
        if verdict is Verdict.ALTERED:
            text = (
                f"The encrypted content {item.encrypted_content[:4]}... could not be verified. "
                "Reason: Encrypted content could not be decrypted or parsed."
            )
            raise Refused(text, code="invalid_encrypted_content", param=at)
        if verdict is Verdict.KEPT:
            self._transcript.thoughts += 1

    def _expect_no_lonely_thought(self) -> None:
        if self._lonely_thought is not None:
            text = (
                f"Item '{self._lonely_thought}' of type 'reasoning' was provided without its required following item."
            )
            raise Refused(text, param="input")


def _not_found(item: str) -> Refused:
    text = f"Item with id '{item}' not found. Items are not persisted when `store` is set to false."
    return Refused(text, status=404, param="input")


def _text(item: Message, at: str) -> str:
    if isinstance(item.content, str):
        return item.content
    texts: list[str] = []
    for place, part in enumerate(item.content):
        is_output = isinstance(part, OutputText | RefusalPart)
        if is_output != (item.role == "assistant"):
            supported = "'output_text' and 'refusal'" if item.role == "assistant" else "'input_text', 'input_image' and 'input_file'"
            kind = str(part.__struct_config__.tag)
            text = f"Invalid value: '{kind}'. Supported values are: {supported}."
            raise Refused(text, code="invalid_value", param=f"{at}.content[{place}]")
        if isinstance(part, InputText | OutputText):
            texts.append(part.text)
    return "\n".join(texts)


def _media_of(item: Message, at: str) -> list[Media]:
    if isinstance(item.content, str):
        return []
    return [
        _media(part, f"{at}.content[{place}]")
        for place, part in enumerate(item.content)
        if isinstance(part, InputImage | InputFile)
    ]


def _media(part: InputImage | InputFile, at: str) -> Media:
    kind = "image" if isinstance(part, InputImage) else "document"
    url = part.image_url if isinstance(part, InputImage) else part.file_data or part.file_url
    if url is not None:
        return media_from_url(VOICE, at, kind, url)
    if part.file_id is None:
        raise VOICE.missing_field("file_id", f".{at}")
    return Media(kind=kind, reference=f"file {part.file_id}")


def _wishes(request: ResponsesRequest) -> Wishes:
    form = request.text.format if request.text else None
    choice = request.tool_choice
    allowed = None
    if isinstance(choice, ChooseFunction | ChooseCustom):
        allowed = frozenset({choice.name})
    elif isinstance(choice, ChooseAllowed):
        allowed = frozenset(str(tool.get("name")) for tool in choice.tools)
    forced = choice == "required" or isinstance(choice, ChooseFunction | ChooseCustom)
    forced = forced or (isinstance(choice, ChooseAllowed) and choice.mode == "required")
    return Wishes(
        tools=tuple(_tool(tool) for tool in request.tools or ()),
        choice="none" if choice == "none" else "required" if forced else "auto",
        allowed=allowed,
        parallel=request.parallel_tool_calls is not False,
        thinking=request.reasoning is not None and request.reasoning.effort != "none",
        json=isinstance(form, JsonFormat | SchemaFormat),
        schema=form.schema if isinstance(form, SchemaFormat) else None,
        max_tokens=request.max_output_tokens,
    )


def _tool(tool: FunctionTool | CustomTool) -> Tool:
    if isinstance(tool, CustomTool):
        return Tool(name=tool.name, free_text=True, description=tool.description or "")
    return Tool(name=tool.name, schema=tool.parameters, description=tool.description or "")
