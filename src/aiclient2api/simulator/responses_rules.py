"""What a Responses request must obey beyond its types, and what it means."""

from __future__ import annotations

from aiclient2api.simulator import responses_request as wire
from aiclient2api.simulator.checks import digest_of, media_from_url, one_of, read_as, read_tree
from aiclient2api.simulator.conversation import Conversation, Media, Tool, ToolAnswer, Transcript, Wishes
from aiclient2api.simulator.jsontext import dump
from aiclient2api.simulator.responses_request import VOICE, ResponsesRequest
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, Verdict, prefix_of
from aiclient2api.simulator.voices import Refused


def parse(
    body: bytes, settings: SimulatorSettings
) -> tuple[ResponsesRequest, Conversation, dict[str, object]]:
    """The request, what it means, and its members as they came (the answer repeats them)."""
    tree = read_tree(body, VOICE)
    request = read_as(dump(_regular(tree)), ResponsesRequest, VOICE)
    _check_limits(request)
    transcript = _Reader(request, tree, Signer(settings.secret, "openai")).read()
    digest = digest_of(tree, settings.seed, "responses")
    return request, transcript.finish(request.model, digest, _wishes(request), _prefix(tree)), tree


def _prefix(tree: dict[str, object], end: int | None = None) -> str:
    """What stands before item number `end`; a text is one message."""
    text = tree.get("input")
    items = [{"role": "user", "content": text}] if isinstance(text, str) else as_list(text)
    return prefix_of(tree, ("instructions", "tools"), items[:end])


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
    return (as_object(tool) or {}).get("type") in wire.HOSTED_TOOLS


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

    def __init__(self, request: ResponsesRequest, tree: dict[str, object], signer: Signer) -> None:
        self._request = request
        self._tree = tree
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
                case wire.Message():
                    self._message(item, at)
                case wire.FunctionCall() | wire.CustomCall():
                    self._call(item)
                case wire.FunctionCallOutput() | wire.CustomCallOutput():
                    self._output(item, at)
                case wire.ReasoningItem():
                    self._reasoning(item, at, _prefix(self._tree, index))
                case wire.ItemReference():
                    raise _not_found(item.id)
        self._expect_no_lonely_thought()
        if self._open:
            raise Refused(f"No tool output found for function call {next(iter(self._open))}.", param="input")
        return self._transcript

    def _message(self, item: wire.Message, at: str) -> None:
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
            marks = [
                part
                for part in item.content
                if isinstance(part, wire.InputPart) and part.prompt_cache_breakpoint
            ]
            self._transcript.cache_marks += len(marks)

    def _call(self, item: wire.FunctionCall | wire.CustomCall) -> None:
        self._lonely_thought = None
        if item.call_id in self._transcript.calls:
            raise Refused(f"Duplicate function call with call_id {item.call_id}.", param="input")
        self._open[item.call_id] = None
        said = item.arguments if isinstance(item, wire.FunctionCall) else item.input
        self._transcript.assistant(f"{item.name} {said}", item.call_id)

    def _output(self, item: wire.FunctionCallOutput | wire.CustomCallOutput, at: str) -> None:
        self._expect_no_lonely_thought()
        if item.call_id not in self._open:
            text = f"No tool call found for function call output with call_id {item.call_id}."
            raise Refused(text, param="input")
        del self._open[item.call_id]
        if isinstance(item.output, str):
            self._transcript.tool_answer(ToolAnswer(call=item.call_id, text=item.output))
            return
        text = "\n".join(part.text for part in item.output if isinstance(part, wire.InputText))
        media = [_media(part, f"{at}.output") for part in item.output if not isinstance(part, wire.InputText)]
        self._transcript.tool_answer(ToolAnswer(call=item.call_id, text=text), media)

    def _reasoning(self, item: wire.ReasoningItem, at: str, prefix: str) -> None:
        self._lonely_thought = item.id or "rs"
        if item.encrypted_content is None:
            if self._request.store is False and item.id is not None:
                raise _not_found(item.id)
            return
        thought = "".join(part.text for part in item.summary)
        verdict = self._signer.verify(self._request.model, thought, item.encrypted_content, prefix)
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
                f"Item '{self._lonely_thought}' of type 'reasoning' was provided without its required following "
                "item."
            )
            raise Refused(text, param="input")


def _not_found(item: str) -> Refused:
    text = f"Item with id '{item}' not found. Items are not persisted when `store` is set to false."
    return Refused(text, status=404, param="input")


def _text(item: wire.Message, at: str) -> str:
    if isinstance(item.content, str):
        return item.content
    texts: list[str] = []
    for place, part in enumerate(item.content):
        is_output = isinstance(part, wire.OutputText | wire.RefusalPart)
        if is_output != (item.role == "assistant"):
            supported = (
                "'output_text' and 'refusal'"
                if item.role == "assistant"
                else "'input_text', 'input_image' and 'input_file'"
            )
            kind = str(part.__struct_config__.tag)
            text = f"Invalid value: '{kind}'. Supported values are: {supported}."
            raise Refused(text, code="invalid_value", param=f"{at}.content[{place}]")
        if isinstance(part, wire.InputText | wire.OutputText):
            texts.append(part.text)
    return "\n".join(texts)


def _media_of(item: wire.Message, at: str) -> list[Media]:
    if isinstance(item.content, str):
        return []
    return [
        _media(part, f"{at}.content[{place}]")
        for place, part in enumerate(item.content)
        if isinstance(part, wire.InputImage | wire.InputFile)
    ]


def _media(part: wire.InputImage | wire.InputFile, at: str) -> Media:
    kind = "image" if isinstance(part, wire.InputImage) else "document"
    url = part.image_url if isinstance(part, wire.InputImage) else part.file_data or part.file_url
    if url is not None:
        return media_from_url(VOICE, at, kind, url)
    if part.file_id is None:
        raise VOICE.missing_field("file_id", f".{at}")
    return Media(kind=kind, reference=f"file {part.file_id}")


def _wishes(request: ResponsesRequest) -> Wishes:
    form = request.text.format if request.text else None
    choice = request.tool_choice
    allowed = None
    if isinstance(choice, wire.ChooseFunction | wire.ChooseCustom):
        allowed = frozenset({choice.name})
    elif isinstance(choice, wire.ChooseAllowed):
        allowed = frozenset(str(tool.get("name")) for tool in choice.tools)
    forced = choice == "required" or isinstance(choice, wire.ChooseFunction | wire.ChooseCustom)
    forced = forced or (isinstance(choice, wire.ChooseAllowed) and choice.mode == "required")
    return Wishes(
        tools=tuple(_tool(tool) for tool in request.tools or ()),
        choice="none" if choice == "none" else "required" if forced else "auto",
        allowed=allowed,
        parallel=request.parallel_tool_calls is not False,
        thinking=request.reasoning is not None and request.reasoning.effort != "none",
        json=isinstance(form, wire.JsonFormat | wire.SchemaFormat),
        schema=form.schema if isinstance(form, wire.SchemaFormat) else None,
        max_tokens=request.max_output_tokens,
    )


def _tool(tool: wire.FunctionTool | wire.CustomTool) -> Tool:
    if isinstance(tool, wire.CustomTool):
        return Tool(name=tool.name, free_text=True, description=tool.description or "")
    return Tool(name=tool.name, schema=tool.parameters, description=tool.description or "")
