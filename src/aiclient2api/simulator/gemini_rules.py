"""What a generateContent request must obey beyond its types, and what it means."""

from __future__ import annotations

import base64
import re

from aiclient2api.simulator import gemini_request as wire
from aiclient2api.simulator.checks import digest_of, media_from, read_as, read_tree
from aiclient2api.simulator.conversation import (
    Conversation,
    Media,
    MediaKind,
    Tool,
    ToolAnswer,
    Transcript,
    Wishes,
)
from aiclient2api.simulator.gemini_request import VOICE, GenerateRequest
from aiclient2api.simulator.jsontext import by_value, dump, write
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, Verdict, plain_model, prefix_of
from aiclient2api.simulator.voices import Refused

_SENTINEL = "skip_thought_signature_validator"
_SENTINELS = (_SENTINEL, base64.b64encode(_SENTINEL.encode()).decode())
_GENERATION = re.compile(r"gemini-(\d+)")
_MOST_STOPS = 5
_MOST_CANDIDATES = 8


def generation(model: str) -> int:
    """The model's generation: signatures are compulsory and calls have ids from the third on."""
    found = _GENERATION.search(plain_model(model))
    return int(found[1]) if found else 0


def parse(model: str, body: bytes, settings: SimulatorSettings) -> tuple[GenerateRequest, Conversation]:
    """A generateContent request and what it means."""
    tree = read_tree(body, VOICE)
    request = read_as(dump(wire.camel_cased(tree)), GenerateRequest, VOICE)
    _check_limits(request)
    return request, _meaning(model, request, tree, settings)


def parse_count(model: str, body: bytes, settings: SimulatorSettings) -> Conversation:
    """A countTokens request and what it means."""
    tree = read_tree(body, VOICE)
    request = read_as(dump(wire.camel_cased(tree)), wire.CountRequest, VOICE)
    return _meaning(model, request.generateContentRequest or request, tree, settings)


def call_identity(name: str, arguments: object) -> str:
    """What the signature of a function call covers."""
    return f"{name}{by_value(arguments)}"


def _meaning(
    model: str, request: GenerateRequest, tree: dict[str, object], settings: SimulatorSettings
) -> Conversation:
    regular = as_object(wire.camel_cased(tree)) or {}
    reader = _Reader(model, regular, Signer(settings.secret, "google"))
    transcript = reader.read(request)
    digest = digest_of(tree, settings.seed, "gemini", plain_model(model))
    return transcript.finish(model, digest, _wishes(request), _prefix(regular))


def _prefix(tree: dict[str, object], end: int | None = None) -> str:
    """What stands before content number `end`."""
    return prefix_of(tree, ("systemInstruction", "tools"), as_list(tree.get("contents"))[:end])


def _check_limits(request: GenerateRequest) -> None:
    if not request.contents:
        raise VOICE.missing_field("contents", "")
    if request.cachedContent is not None:
        raise Refused("CachedContent not found (or permission denied)", status=403)
    config = request.generationConfig or wire.GenerationConfig()
    if len(config.stopSequences or ()) > _MOST_STOPS:
        raise Refused("* GenerateContentRequest.generation_config.stop_sequences: at most 5 are allowed\n")
    if not 1 <= (config.candidateCount or 1) <= _MOST_CANDIDATES:
        raise Refused("* GenerateContentRequest.generation_config.candidate_count: must be between 1 and 8\n")
    if config.maxOutputTokens is not None and config.maxOutputTokens < 1:
        raise Refused("max_output_tokens must be positive.")
    if config.temperature is not None and not 0 <= config.temperature <= 2:
        raise Refused(
            "* GenerateContentRequest.generation_config.temperature: must be in the range [0.0, 2.0]\n"
        )
    thinking = config.thinkingConfig
    if thinking is not None and thinking.thinkingBudget is not None and thinking.thinkingLevel is not None:
        raise Refused("You can only set only one of thinking budget and thinking level.")
    has_schema = config.responseSchema is not None or config.responseJsonSchema is not None
    if has_schema and config.responseMimeType in (None, "text/plain"):
        raise Refused("Response schema requires response_mime_type to be application/json or text/x.enum.")


class _Call:
    """A function call that waits for its response."""

    def __init__(self, key: str, call: wire.FunctionCall) -> None:
        self.key = key
        self.name = call.name
        self.id = call.id


class _Reader:
    """Reads the contents run by run: a client may send every chunk of an answer as a content of its own."""

    def __init__(self, model: str, tree: dict[str, object], signer: Signer) -> None:
        self._model = model
        self._tree = tree
        self._before = ""
        self._signer = signer
        self._transcript = Transcript()
        self._open: list[_Call] = []
        self._needs_signatures = generation(model) >= 3

    def read(self, request: GenerateRequest) -> Transcript:
        """The instruction and all contents."""
        instruction = request.systemInstruction.parts if request.systemInstruction else None
        self._transcript.system("\n".join(part.text for part in instruction or () if part.text))
        runs = _runs(request.contents or [])
        current = max(
            (index for index, (role, parts) in enumerate(runs) if _opens_turn(role, parts)), default=0
        )
        starts = _starts(request.contents or [])
        for index, (role, parts) in enumerate(runs):
            if role == "model":
                self._before = _prefix(self._tree, starts[index])
                self._expect_all_answered()
                self._model_run(parts, is_current=index > current)
            else:
                self._user_run(parts)
        self._expect_all_answered()
        return self._transcript

    def _model_run(self, parts: list[wire.Part], *, is_current: bool) -> None:
        calls = [part for part in parts if part.functionCall is not None]
        if is_current and calls and self._needs_signatures and not calls[0].thoughtSignature:
            name = calls[0].functionCall.name if calls[0].functionCall else ""
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}`, position 1."
            )
            raise Refused(text)
        said = "".join(part.text or "" for part in parts if not part.thought)
        self._transcript.assistant(said)
        for part in parts:
            if part.functionCall is not None:
                self._call(part.functionCall)
            if part.thoughtSignature and not part.thought:
                self._verify(part, said)

    def _call(self, call: wire.FunctionCall) -> None:
        key = str(len(self._transcript.calls))
        self._open.append(_Call(key, call))
        self._transcript.assistant(f"{call.name} {write(call.args or {})}", key)

    def _verify(self, part: wire.Part, said: str) -> None:
        signature = part.thoughtSignature or ""
        if signature in _SENTINELS:
            return
        call = part.functionCall
        covered = said if call is None else call_identity(call.name, call.args or {})
        verdict = self._signer.verify(self._model, covered, signature, self._before)
        if verdict is Verdict.ALTERED:
            raise Refused("Corrupted thought signature.")
        if verdict is Verdict.KEPT:
            self._transcript.thoughts += 1

    def _user_run(self, parts: list[wire.Part]) -> None:
        responses = [part.functionResponse for part in parts if part.functionResponse is not None]
        if self._open and len(responses) != len(self._open):
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
            raise Refused(text)
        for response in responses:
            self._answer(response)
        for part in parts:
            if part.functionResponse is None:
                self._transcript.user(part.text or "", _shown(part))

    def _answer(self, response: wire.FunctionResponse) -> None:
        call = next((call for call in self._open if _belongs(response, call)), None)
        if call is None:
            raise Refused(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        self._open.remove(call)
        error = response.response.get("error")
        value = error if error is not None else response.response.get("output", response.response)
        text = value if isinstance(value, str) else write(value)
        media = [one for part in response.parts or () for one in _shown(part)]
        self._transcript.tool_answer(ToolAnswer(call=call.key, text=text, is_error=error is not None), media)

    def _expect_all_answered(self) -> None:
        if self._open:
            text = (
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
            raise Refused(text)


def _runs(contents: list[wire.Content]) -> list[tuple[str, list[wire.Part]]]:
    """Neighbouring contents of one role are one turn."""
    runs: list[tuple[str, list[wire.Part]]] = []
    for index, content in enumerate(contents):
        role = content.role or "user"
        if role not in ("user", "model"):
            raise Refused("Please use a valid role: user, model.")
        if not content.parts:
            raise Refused(
                f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n"
            )
        for place, part in enumerate(content.parts):
            _check_part(part, f"contents[{index}].parts[{place}]")
        if runs and runs[-1][0] == role:
            runs[-1][1].extend(content.parts)
        else:
            runs.append((role, list(content.parts)))
    if runs[:1] and runs[0][0] == "model":
        raise Refused("Please ensure that multiturn requests start with a user turn.")
    return runs


def _starts(contents: list[wire.Content]) -> list[int]:
    """The number of the content that each run begins with."""
    roles = [content.role or "user" for content in contents]
    return [index for index, role in enumerate(roles) if not index or role != roles[index - 1]]


def _check_part(part: wire.Part, at: str) -> None:
    data = (
        part.text, part.inlineData, part.fileData, part.functionCall, part.functionResponse,
        part.executableCode, part.codeExecutionResult,
    )  # fmt: skip
    given = sum(one is not None for one in data)
    if given > 1:
        raise Refused(f"Invalid value at '{at}' (oneof), oneof field 'data' is already set.")
    if not given and part.thoughtSignature is None:
        raise Refused(f"* GenerateContentRequest.{at}.data: required oneof field 'data' must be set\n")


def _opens_turn(role: str, parts: list[wire.Part]) -> bool:
    """Whether the user says something: function responses continue the turn."""
    return role == "user" and any(part.functionResponse is None for part in parts)


def _belongs(response: wire.FunctionResponse, call: _Call) -> bool:
    """By id where both have one, else the first open call of that name."""
    if response.id and call.id:
        return response.id == call.id
    return response.name == call.name


def _shown(part: wire.Part | wire.ResponsePart) -> list[Media]:
    if part.inlineData is not None:
        blob = part.inlineData
        return [media_from(VOICE, ".inline_data.data", _kind(blob.mimeType), blob.mimeType, blob.data)]
    if part.fileData is not None:
        uri = part.fileData.fileUri
        reference = f"url {uri}" if uri.startswith(("http://", "https://")) else f"file {uri}"
        return [Media(kind=_kind(part.fileData.mimeType or ""), reference=reference)]
    return []


def _kind(media_type: str) -> MediaKind:
    family = media_type.partition("/")[0]
    match family:
        case "image" | "audio" | "video":
            return family
        case _:
            return "document"


def _wishes(request: GenerateRequest) -> Wishes:
    config = request.generationConfig or wire.GenerationConfig()
    calling = (request.toolConfig and request.toolConfig.functionCallingConfig) or wire.CallingConfig()
    mime = config.responseMimeType
    return Wishes(
        tools=tuple(_tool(one) for tool in request.tools or () for one in tool.functionDeclarations or ()),
        choice="none" if calling.mode == "NONE" else "required" if calling.mode == "ANY" else "auto",
        allowed=frozenset(calling.allowedFunctionNames) if calling.allowedFunctionNames else None,
        thinking=_thinks(config.thinkingConfig),
        json=mime in ("application/json", "text/x.enum"),
        schema=config.responseSchema if config.responseJsonSchema is None else config.responseJsonSchema,
        enum=mime == "text/x.enum",
        max_tokens=config.maxOutputTokens,
        stops=tuple(config.stopSequences or ()),
        count=config.candidateCount or 1,
    )


def _thinks(config: wire.ThinkingConfig | None) -> bool:
    if config is None or config.thinkingBudget == 0:
        return False
    return bool(config.includeThoughts or config.thinkingBudget or config.thinkingLevel)


def _tool(declaration: wire.FunctionDeclaration) -> Tool:
    schema = declaration.parametersJsonSchema
    return Tool(
        name=declaration.name,
        schema=declaration.parameters if schema is None else schema,
        description=declaration.description or "",
    )
