# ruff: noqa: D101 - the classes are the provider's own objects
"""A generateContent request: its members, in either casing."""

from __future__ import annotations

import re
from typing import Literal, cast

from aiclient2api.simulator.checks import Strict
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.voices import GeminiVoice

VOICE = GeminiVoice()

_OPAQUE = frozenset(
    {
        "args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema",
        "partMetadata", "labels",
    }
)  # fmt: skip
"""Members whose content is the caller's own: its keys are left as they are."""
_SNAKE = re.compile(r"_([a-z0-9])")


def camel_cased(value: object) -> object:
    """Google accepts `snake_case` and `camelCase` for every member; this makes all of them camelCase."""
    if isinstance(value, list):
        return [camel_cased(item) for item in as_list(cast(object, value))]
    members = as_object(value)
    if members is None:
        return value
    renamed = {_SNAKE.sub(lambda found: found[1].upper(), name): member for name, member in members.items()}
    return {name: member if name in _OPAQUE else camel_cased(member) for name, member in renamed.items()}


class Blob(Strict):
    data: str
    mimeType: str
    displayName: str | None = None


class FileData(Strict):
    fileUri: str
    mimeType: str | None = None
    displayName: str | None = None


class FunctionCall(Strict):
    name: str
    args: dict[str, object] | None = None
    id: str | None = None


class ResponsePart(Strict):
    inlineData: Blob | None = None
    fileData: FileData | None = None
    mediaResolution: dict[str, object] | None = None
    videoMetadata: dict[str, object] | None = None


class FunctionResponse(Strict):
    name: str
    response: dict[str, object]
    id: str | None = None
    parts: list[ResponsePart] | None = None
    willContinue: bool | None = None
    scheduling: str | None = None


class Part(Strict):
    """One of five kinds of data, with modifiers."""

    text: str | None = None
    inlineData: Blob | None = None
    fileData: FileData | None = None
    functionCall: FunctionCall | None = None
    functionResponse: FunctionResponse | None = None
    executableCode: dict[str, object] | None = None
    codeExecutionResult: dict[str, object] | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    videoMetadata: dict[str, object] | None = None
    mediaResolution: dict[str, object] | None = None
    partMetadata: dict[str, object] | None = None


class Content(Strict):
    parts: list[Part] | None = None
    role: str | None = None


class FunctionDeclaration(Strict):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    parametersJsonSchema: dict[str, object] | None = None
    response: dict[str, object] | None = None
    responseJsonSchema: dict[str, object] | None = None
    behavior: str | None = None


class Tool(Strict):
    functionDeclarations: list[FunctionDeclaration] | None = None
    googleSearch: dict[str, object] | None = None
    googleSearchRetrieval: dict[str, object] | None = None
    urlContext: dict[str, object] | None = None
    codeExecution: dict[str, object] | None = None
    computerUse: dict[str, object] | None = None
    googleMaps: dict[str, object] | None = None
    fileSearch: dict[str, object] | None = None
    mcpServers: list[dict[str, object]] | None = None


class CallingConfig(Strict):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] | None = None
    allowedFunctionNames: list[str] | None = None
    streamFunctionCallArguments: bool | None = None


class ToolConfig(Strict):
    functionCallingConfig: CallingConfig | None = None
    retrievalConfig: dict[str, object] | None = None
    includeServerSideToolInvocations: bool | None = None


class ThinkingConfig(Strict):
    includeThoughts: bool | None = None
    thinkingBudget: int | None = None
    thinkingLevel: (
        Literal["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]
        | Literal["minimal", "low", "medium", "high", "xhigh"]  # as Google's own curl lines write them
        | None
    ) = None


class GenerationConfig(Strict):
    temperature: float | None = None
    topP: float | None = None
    topK: float | None = None
    candidateCount: int | None = None
    maxOutputTokens: int | None = None
    stopSequences: list[str] | None = None
    seed: int | None = None
    presencePenalty: float | None = None
    frequencyPenalty: float | None = None
    responseLogprobs: bool | None = None
    logprobs: int | None = None
    responseMimeType: Literal["text/plain", "application/json", "text/x.enum"] | None = None
    responseSchema: dict[str, object] | None = None
    responseJsonSchema: dict[str, object] | None = None
    responseFormat: list[dict[str, object]] | None = None
    responseModalities: list[str] | None = None
    mediaResolution: str | None = None
    speechConfig: dict[str, object] | None = None
    imageConfig: dict[str, object] | None = None
    thinkingConfig: ThinkingConfig | None = None
    audioTranscriptionConfig: dict[str, object] | None = None
    translationConfig: dict[str, object] | None = None
    enableAffectiveDialog: bool | None = None
    enableEnhancedCivicAnswers: bool | None = None


class SafetySetting(Strict):
    category: str
    threshold: str


class GenerateRequest(Strict):
    """The members of the request; `model` may repeat the one of the path."""

    contents: list[Content] | None = None
    systemInstruction: Content | None = None
    tools: list[Tool] | None = None
    toolConfig: ToolConfig | None = None
    safetySettings: list[SafetySetting] | None = None
    generationConfig: GenerationConfig | None = None
    cachedContent: str | None = None
    labels: dict[str, str] | None = None
    serviceTier: str | None = None
    store: bool | None = None
    continuationToken: str | None = None
    model: str | None = None


class CountRequest(GenerateRequest):
    """countTokens: contents alone or a whole request."""

    generateContentRequest: GenerateRequest | None = None


class EmbedRequest(Strict):
    content: Content
    model: str | None = None
    taskType: str | None = None
    title: str | None = None
    outputDimensionality: int | None = None


class BatchEmbedRequest(Strict):
    requests: list[EmbedRequest]
