"""What a Messages request must obey beyond its types, and what it means."""

from __future__ import annotations

from collections.abc import Mapping

from aiclient2api.simulator import messages_request as wire
from aiclient2api.simulator.checks import digest_of, media_from, read_as, read_tree
from aiclient2api.simulator.conversation import Conversation, Media, Tool, ToolAnswer, Transcript, Wishes
from aiclient2api.simulator.jsontext import dump, write
from aiclient2api.simulator.messages_request import VOICE, CountRequest, MessagesRequest
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, Verdict, prefix_of
from aiclient2api.simulator.voices import Refused

_VERSIONS = ("2023-06-01", "2026-10-21")
_SAMPLING = ("temperature", "top_p", "top_k")
_MOST_CACHE_MARKS = 4
_LEAST_BUDGET = 1024


def parse(
    body: bytes, headers: Mapping[str, str], settings: SimulatorSettings
) -> tuple[MessagesRequest, Conversation]:
    """A `POST /v1/messages` and what it means."""
    tree = _read(body, headers)
    request = read_as(dump(_regular(tree)), MessagesRequest, VOICE)
    _check_limits(request)
    return request, _meaning(request, tree, settings)


def parse_count(body: bytes, headers: Mapping[str, str], settings: SimulatorSettings) -> Conversation:
    """A `POST /v1/messages/count_tokens` and what it means."""
    tree = _read(body, headers)
    return _meaning(read_as(dump(_regular(tree)), CountRequest, VOICE), tree, settings)


def _read(body: bytes, headers: Mapping[str, str]) -> dict[str, object]:
    """Members that depend on the dialect or on a beta header are unknown without it."""
    version = headers.get("anthropic-version")
    if version is None:
        raise Refused("anthropic-version: header is required")
    if version not in _VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')
    tree = read_tree(body, VOICE)
    forbidden = _SAMPLING if version != _VERSIONS[0] else ()
    if "anthropic-beta" not in headers:
        forbidden = (*forbidden, *wire.BETA_MEMBERS)
    for name in forbidden:
        if name in tree:
            raise VOICE.unknown_field(name, "")
    if wire.EFFORT_BETA not in headers.get("anthropic-beta", ""):
        _refuse_efforts(tree)
    return tree


def _refuse_efforts(tree: dict[str, object]) -> None:
    for index, message in enumerate(as_list(tree.get("messages"))):
        if "output_config" in (as_object(message) or {}):
            raise VOICE.unknown_field("output_config", f"messages.{index}")


def _regular(tree: dict[str, object]) -> dict[str, object]:
    """The provider's own tools have members of their own and are set aside."""
    if not isinstance(tree.get("tools"), list):
        return tree
    return {**tree, "tools": [tool for tool in as_list(tree["tools"]) if not _is_hosted(tool)]}


def _is_hosted(tool: object) -> bool:
    return str((as_object(tool) or {}).get("type", "")).startswith(wire.HOSTED_TOOLS)


def _check_limits(request: MessagesRequest) -> None:
    if request.max_tokens < 0:
        raise Refused("max_tokens: Input should be greater than or equal to 0")
    if isinstance(request.thinking, wire.ThinkingEnabled):
        budget = request.thinking.budget_tokens
        if budget < _LEAST_BUDGET:
            text = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            raise Refused(text)
        if budget >= request.max_tokens:
            raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise Refused("temperature: Input should be less than or equal to 1")
    for index, stop in enumerate(request.stop_sequences or ()):
        if not stop.strip():
            raise Refused(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")


def _meaning(request: CountRequest, tree: dict[str, object], settings: SimulatorSettings) -> Conversation:
    _check_tools(request)
    transcript = _Reader(request, tree, Signer(settings.secret, "anthropic")).read()
    digest = digest_of(tree, settings.seed, "messages")
    return transcript.finish(request.model, digest, _wishes(request), _prefix(tree))


def _prefix(tree: dict[str, object], end: int | None = None) -> str:
    """What stands before message number `end`."""
    return prefix_of(tree, ("system", "tools"), as_list(tree["messages"])[:end])


def _check_tools(request: CountRequest) -> None:
    names: set[str] = set()
    for index, tool in enumerate(request.tools or ()):
        at = f"tools.{index}.custom.input_schema"
        if tool.input_schema.get("type") != "object":
            raise Refused(f"{at}.type: Input should be 'object'")
        if forbidden := {"oneOf", "allOf", "anyOf"} & tool.input_schema.keys():
            text = f"{at}: input_schema does not support oneOf, allOf, or anyOf at the top level"
            raise Refused(f"{text} ({', '.join(sorted(forbidden))})")
        if tool.name in names:
            raise Refused("tools: Tool names must be unique.")
        names.add(tool.name)
    if isinstance(request.tool_choice, wire.ChooseTool) and request.tool_choice.name not in names:
        raise Refused(f"Tool '{request.tool_choice.name}' not found in provided tools")
    if isinstance(request.tool_choice, wire.ChooseAny | wire.ChooseTool) and not request.tools:
        raise Refused("tool_choice: may only be specified while providing tools")


class _Reader:
    """Reads the messages in order and checks that uses and results belong together."""

    def __init__(self, request: CountRequest, tree: dict[str, object], signer: Signer) -> None:
        self._request = request
        self._tree = tree
        self._signer = signer
        self._transcript = Transcript()
        self._open: dict[str, None] = {}
        self._caller = 0

    def read(self) -> Transcript:
        """The system prompt and all messages."""
        self._system(self._request.system or "", "system")
        messages = self._request.messages
        if not messages:
            raise Refused("messages: at least one message is required")
        if messages[0].role != "user":
            raise Refused('messages: first message must use the "user" role')
        for index, message in enumerate(messages):
            self._message(message, index)
        self._expect_all_answered()
        self._check_prefill(messages[-1])
        self._check_marks()
        return self._transcript

    def _check_prefill(self, last: wire.Message) -> None:
        """An answer may be begun by the caller, as older models allow it."""
        if last.role != "assistant":
            return
        block = last.content if isinstance(last.content, str) else last.content[-1]
        text = block.text if isinstance(block, wire.Text) else block
        if isinstance(text, str) and text != text.rstrip():
            raise Refused("messages: final assistant content cannot end with trailing whitespace")

    def _message(self, message: wire.Message, index: int) -> None:
        at = f"messages.{index}"
        if message.role == "system":
            self._mid_system(message, index)
            return
        if message.output_config is not None:
            raise VOICE.unknown_field("output_config", at)
        if message.role == "assistant":
            self._expect_all_answered()
            self._caller = index
        if isinstance(message.content, str):
            self._block(wire.Text(text=message.content), message.role, at)
            return
        if not message.content:
            text = "all messages must have non-empty content except for the optional final assistant message"
            raise Refused(f"{at}: {text}")
        for place, block in enumerate(message.content):
            self._block(block, message.role, f"{at}.content.{place}")

    def _mid_system(self, message: wire.Message, index: int) -> None:
        """Only after a user or system message, and only before an assistant message or at the end."""
        following = self._request.messages[index + 1 : index + 2]
        if self._request.messages[index - 1].role == "assistant" or (
            following and following[0].role == "user"
        ):
            text = "a `system` message must follow a user message and precede an assistant message or end the list"
            raise Refused(f"messages.{index}: {text}")
        content = message.content
        if not isinstance(content, str):
            content = [block for block in content if isinstance(block, wire.Text)]
        self._system(content, f"messages.{index}")

    def _system(self, content: str | list[wire.Text], at: str) -> None:
        if isinstance(content, str):
            self._transcript.system(content)
            return
        for block in content:
            if not block.text:
                raise Refused(f"{at}: text content blocks must be non-empty")
            self._mark(block)
        self._transcript.system("\n".join(block.text for block in content))

    def _block(self, block: wire.AnyBlock, role: str, at: str) -> None:
        if role == "user" and self._open and not isinstance(block, wire.ToolResult):
            self._expect_all_answered()
        match block:
            case wire.Text():
                self._text(block, role)
            case wire.ToolResult():
                self._result(block, role, at)
            case wire.ToolUse():
                self._use(block, role, at)
            case wire.Thinking() | wire.RedactedThinking():
                self._thinking(block, role, at)
            case wire.Image() | wire.Document() | wire.SearchResult():
                self._shown(block, role, at)
        if isinstance(block, wire.Block):
            self._mark(block)

    def _text(self, block: wire.Text, role: str) -> None:
        if not block.text:
            raise Refused("messages: text content blocks must be non-empty")
        if not block.text.strip():
            raise Refused("messages: text content blocks must contain non-whitespace text")
        if role == "user":
            self._transcript.user(block.text)
        else:
            self._transcript.assistant(block.text)

    def _use(self, block: wire.ToolUse, role: str, at: str) -> None:
        if role != "assistant":
            raise Refused(f"{at}: `tool_use` blocks can only be in `assistant` messages")
        if block.id in self._transcript.calls:
            raise Refused(f"{at}: `tool_use` ids must be unique")
        self._open[block.id] = None
        self._transcript.assistant(f"{block.name} {write(block.input)}", block.id)

    def _result(self, block: wire.ToolResult, role: str, at: str) -> None:
        if role != "user":
            raise Refused(f"{at}: `tool_result` blocks can only be in `user` messages")
        if block.tool_use_id not in self._open:
            text = (
                f"{at}: unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
            raise Refused(text)
        del self._open[block.tool_use_id]
        content = block.content or ""
        media: list[Media] = []
        if not isinstance(content, str):
            media = [_media(one, at) for one in content if isinstance(one, wire.Image | wire.Document)]
            content = "\n".join(one.text for one in content if isinstance(one, wire.Text))
        answer = ToolAnswer(call=block.tool_use_id, text=content, is_error=bool(block.is_error))
        self._transcript.tool_answer(answer, media)

    def _thinking(self, block: wire.Thinking | wire.RedactedThinking, role: str, at: str) -> None:
        if role != "assistant":
            raise Refused(f"{at}: `thinking` blocks can only be in `assistant` messages")
        if isinstance(block, wire.RedactedThinking):
            raise Refused(f"{at}: Invalid `data` in `redacted_thinking` block")
        prefix = _prefix(self._tree, self._caller)
        verdict = self._signer.verify(self._request.model, block.thinking, block.signature, prefix)
        if verdict is Verdict.ALTERED:
            raise Refused(f"{at}: Invalid `signature` in `thinking` block")
        if verdict is Verdict.OTHER_CONVERSATION:
            text = "The block is bound to a different conversation."
            raise Refused(f"{at}: Invalid `signature` in `thinking` block. {text}")
        self._transcript.assistant()
        if verdict is Verdict.KEPT:
            self._transcript.thoughts += 1

    def _shown(self, block: wire.Image | wire.Document | wire.SearchResult, role: str, at: str) -> None:
        if role != "user":
            raise Refused(f"{at}: `{block.__struct_config__.tag}` blocks can only be in `user` messages")
        if isinstance(block, wire.SearchResult):
            self._transcript.user("\n".join(text.text for text in block.content))
        else:
            self._transcript.user("", [_media(block, at)])

    def _mark(self, block: wire.Block) -> None:
        self._transcript.cache_marks += block.cache_control is not None

    def _check_marks(self) -> None:
        """Blocks, tools and the request itself may be marked."""
        self._transcript.cache_marks += sum(
            tool.cache_control is not None for tool in self._request.tools or ()
        )
        if self._transcript.cache_marks > _MOST_CACHE_MARKS:
            found = self._transcript.cache_marks
            raise Refused(f"A maximum of 4 blocks with cache_control may be provided. Found {found}.")
        self._transcript.cache_marks += self._request.cache_control is not None

    def _expect_all_answered(self) -> None:
        if self._open:
            text = (
                f"messages.{self._caller}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(self._open)}. Each `tool_use` block must have a corresponding `tool_result` block in "
                "the next message."
            )
            raise Refused(text)


def _media(block: wire.Image | wire.Document, at: str) -> Media:
    kind = "image" if isinstance(block, wire.Image) else "document"
    match block.source:
        case wire.Base64Source(media_type=media_type, data=data):
            return media_from(VOICE, f".{at}.source.data", kind, media_type, data)
        case wire.UrlSource(url=url):
            return Media(kind=kind, reference=f"url {url}")
        case wire.FileSource(file_id=file_id):
            return Media(kind=kind, reference=f"file {file_id}")
        case wire.TextSource(data=data):
            return Media(kind=kind, media_type="text/plain", size=len(data.encode()))
        case wire.ContentSource(content=content):
            return Media(kind=kind, media_type="text/plain", size=len(dump(content)))


def _wishes(request: CountRequest) -> Wishes:
    choice, form = request.tool_choice, request.output_config.format if request.output_config else None
    thinking = isinstance(
        request.thinking, wire.ThinkingEnabled | wire.ThinkingAdaptive | wire.ThinkingBetweenTools
    )
    forced = isinstance(choice, wire.ChooseAny | wire.ChooseTool)
    limited = isinstance(request, MessagesRequest)
    return Wishes(
        tools=tuple(
            Tool(name=tool.name, schema=tool.input_schema, description=tool.description or "")
            for tool in request.tools or ()
        ),
        choice="none" if isinstance(choice, wire.ChooseNone) else "required" if forced else "auto",
        allowed=frozenset({choice.name}) if isinstance(choice, wire.ChooseTool) else None,
        parallel=choice is None
        or isinstance(choice, wire.ChooseNone)
        or not choice.disable_parallel_tool_use,
        thinking=thinking and not (limited and request.max_tokens == 0),
        json=form is not None,
        schema=form.schema if form is not None else None,
        max_tokens=request.max_tokens if limited else None,
        stops=tuple(request.stop_sequences or ()) if limited else (),
    )
