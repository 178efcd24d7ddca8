"""`generationConfig`."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from aiclient2api.ir.request import (
    OutputFormat,
    Sampling,
    Thinking,
)
from aiclient2api.protocols.gemini.decode_tools import decode_schema
from aiclient2api.protocols.gemini.ext import keep
from aiclient2api.protocols.gemini.fields import child
from aiclient2api.protocols.gemini.schema import LEVELS, NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


class Config(Struct, frozen=True, kw_only=True):
    """What `generationConfig` says."""

    sampling: Sampling
    max_output: int | None = None
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    modalities: list[str] | None = None


def decode_config(config: Members) -> Config:
    """Take apart `generationConfig`; what is left in `config` has no place in the IR."""
    modalities = config.take("responseModalities", list[str])
    return Config(
        sampling=_sampling(config),
        max_output=config.count("maxOutputTokens"),
        thinking=_thinking(child(config, "thinkingConfig")),
        output=_output(config),
        modalities=[name.lower() for name in modalities] if modalities is not None else None,
    )


def _sampling(config: Members) -> Sampling:
    return Sampling(
        temperature=config.take("temperature", float),
        top_p=config.take("topP", float),
        top_k=config.take("topK", float),
        seed=config.take("seed", int),
        presence_penalty=config.take("presencePenalty", float),
        frequency_penalty=config.take("frequencyPenalty", float),
        stop=config.take("stopSequences", list[str]),
        candidates=config.take("candidateCount", int),
        logprobs=config.take("responseLogprobs", bool),
        top_logprobs=config.take("logprobs", int),
    )


def _thinking(config: Members | None) -> Thinking | None:
    if config is None:
        return None
    show = config.take("includeThoughts", bool)
    budget = config.take("thinkingBudget", int)
    level = config.take("thinkingLevel", str)
    effort = LEVELS.get((level or "").upper())
    thinking = Thinking(
        effort=effort,
        budget=budget,
        mode="off" if budget == 0 else "adaptive" if budget == -1 else None,
        show=None if show is None else "auto" if show else "off",
    )
    ext = keep(config)
    if level is not None and effort is None:
        ext = ext or {NAME: {}}
        ext[NAME]["thinkingLevel"] = json.raw(level)
    return msgspec.structs.replace(thinking, ext=ext)


def _output(config: Members) -> OutputFormat | None:
    """A schema without its media type is invalid upstream: it stays where it was."""
    mime = _text(config.peek("responseMimeType"))
    if mime == "text/plain":
        config.raw("responseMimeType")
        return OutputFormat(kind="text")
    if mime not in ("application/json", "text/x.enum"):
        return None
    config.raw("responseMimeType")
    schema = decode_schema(config, "responseJsonSchema", "responseSchema")
    if mime == "text/x.enum":
        return OutputFormat(kind="enum", schema=schema)
    return OutputFormat(kind="json" if schema is None else "schema", schema=schema)


def _text(raw: Raw | None) -> str | None:
    return json.decode(raw, str) if raw is not None and json.is_string(raw) else None
