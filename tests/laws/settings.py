"""Atoms of settings: what a request asks for besides its conversation (mapping 2.3, 2.5, 2.7)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, get, member, put
from tests.laws.native import AM, GG, OC, OR
from tests.laws.plain import Doc, valued
from tests.laws.words import PLAIN_SCHEMA, Words

# ---- limits and sampling

member(
    "max_output",
    {OC: "max_completion_tokens", OR: "max_output_tokens", AM: "max_tokens", GG: "generationConfig.maxOutputTokens"},
    (16, 100, 4_096, 128_000),
    ("max_output",),
)  # fmt: skip
member(
    "sampling.temperature",
    {OC: "temperature", OR: "temperature", AM: "temperature", GG: "generationConfig.temperature"},
    (0.0, 0.5, 1.0),
    ("sampling.temperature",),
)
member(
    "sampling.top_p",
    {OC: "top_p", OR: "top_p", AM: "top_p", GG: "generationConfig.topP"},
    (0.1, 0.95),
    ("sampling.top_p",),
)
member("sampling.top_k", {AM: "top_k", GG: "generationConfig.topK"}, (1.0, 40.0), ("sampling.top_k",))
member("tier", {OC: "service_tier", OR: "service_tier", AM: "service_tier", GG: "serviceTier"},
       ("auto", "default", "flex", "priority"), ("tier",),
       words={AM: {"auto": "auto", "default": "standard_only"},
              GG: {"default": "standard", "flex": "flex", "priority": "priority"}})  # fmt: skip
member(
    "user",
    {OC: "safety_identifier", OR: "safety_identifier", AM: "metadata.user_id"},
    ("u-1", "ü 2"),
    ("user",),
)
member(
    "metadata",
    {OC: "metadata", OR: "metadata", GG: "labels"},
    ({"team": "a"}, {"k": "v_2", "z-9": "x"}),
    ("metadata",),
)
member("cache.key", {OC: "prompt_cache_key", OR: "prompt_cache_key"}, ("key-1", "ß"), ("cache_key",))
member(
    "cache.automatic",
    {OC: "prompt_cache_options", OR: "prompt_cache_options", AM: "cache_control"},
    ("wanted",),
    ("cache_policy", "ext.cache_control"),
    words={
        OC: {"wanted": "implicit"},
        OR: {"wanted": "implicit"},
        AM: {"wanted": "ephemeral"},
    },
)
member("output.verbosity", {OC: "verbosity", OR: "text.verbosity"}, ("low", "medium", "high"), ("verbosity",))
member(
    "output.modalities",
    {OC: "modalities", GG: "generationConfig.responseModalities"},
    ("both",),
    ("modalities",),
    words={OC: {"both": ("text", "audio")}, GG: {"both": ("TEXT", "AUDIO")}},
)
member("state.store", {OC: "store", OR: "store", GG: "store"}, (True,), ("state.store",))
member("safety", {OC: "moderation", OR: "moderation", GG: "safetySettings"}, ("wanted",), ("safety",))
member("region", {AM: "inference_geo"}, ("us", "eu"), ("ext.inference_geo",))
member("state.container", {AM: "container"}, ("container_1",), ("ext.container",))
member("cache.content", {GG: "cachedContent"}, ("cachedContents/c1",), ("ext.cachedContent",))
member("state.background", {OR: "background"}, (True,), ())
member(
    "output.prediction",
    {OC: "prediction"},
    ("wanted",),
    ("ext.prediction",),
)

ASKS["tier"] = ASKS["tier"]._replace(read={**ASKS["tier"].read, GG: lambda doc: _gemini_tier(doc)})


def _gemini_tier(doc: Doc) -> Any:
    """Absent is unspecified, which leaves it to the project as `auto` does."""
    return {None: "auto", "standard": "default"}.get(doc.get("serviceTier"), doc.get("serviceTier"))


def _whole(feature: str, protocol: str, value: Any) -> None:
    """Give a member of several protocols the object that one of them wants instead of a word."""
    atom = ASKS[feature]
    path = _PATHS[feature][protocol]

    def write(doc: Doc, words: Words) -> Any:
        put(doc, path, value)
        return "wanted"

    def read(doc: Doc) -> Any:
        return "wanted" if get(doc, path) == value else None

    ASKS[feature] = atom._replace(write={**atom.write, protocol: write}, read={**atom.read, protocol: read})


_PATHS = {
    "cache.automatic": {OC: "prompt_cache_options", OR: "prompt_cache_options", AM: "cache_control"},
    "safety": {OC: "moderation", OR: "moderation", GG: "safetySettings"},
    "output.prediction": {OC: "prediction"},
}
for _protocol in (OC, OR):
    _whole("cache.automatic", _protocol, {"mode": "implicit", "ttl": "30m"})
    _whole("safety", _protocol, {"model": "omni-moderation", "policy": {"input": {"mode": "block"}}})
_whole("cache.automatic", AM, {"type": "ephemeral"})
_whole("safety", GG, [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}])
_whole("output.prediction", OC, {"type": "content", "content": "expected"})


def _modalities(protocol: str, path: str, names: list[str]) -> None:
    atom = ASKS["output.modalities"]

    def write(doc: Doc, words: Words) -> Any:
        put(doc, path, names)
        if protocol == OC:
            doc["audio"] = {"format": "wav", "voice": "alloy"}
        return "both"

    def read(doc: Doc) -> Any:
        return "both" if [str(name).lower() for name in get(doc, path) or ()] == ["text", "audio"] else None

    ASKS["output.modalities"] = atom._replace(
        write={**atom.write, protocol: write}, read={**atom.read, protocol: read}
    )


_modalities(OC, "modalities", ["text", "audio"])
_modalities(GG, "generationConfig.responseModalities", ["TEXT", "AUDIO"])

# ---- several members, or members with forms


def _seed_write(names: dict[str, str], protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = {"seed": words.pick((0, 7, 2**31 - 1)), "presence": 0.5, "frequency": -1.25}
        if protocol == OC:
            value["logit_bias"] = {"50256": -100.0}
        for name, path in names.items():
            if name in value:
                put(doc, path, value[name])
        return value

    return write


def _seed_read(names: dict[str, str]) -> Any:
    def read(doc: Doc) -> Any:
        found = {name: get(doc, path) for name, path in names.items()}
        return {name: value for name, value in found.items() if value is not None} or None

    return read


_SEED = {
    OC: {
        "seed": "seed",
        "presence": "presence_penalty",
        "frequency": "frequency_penalty",
        "logit_bias": "logit_bias",
    },
    GG: {
        "seed": "generationConfig.seed",
        "presence": "generationConfig.presencePenalty",
        "frequency": "generationConfig.frequencyPenalty",
    },
}
ASKS["sampling.seed"] = Ask(
    {protocol: _seed_write(names, protocol) for protocol, names in _SEED.items()},
    {protocol: _seed_read(names) for protocol, names in _SEED.items()},
    ("sampling.seed", "sampling.presence_penalty", "sampling.frequency_penalty", "sampling.logit_bias"),
)


def _stops(words: Words) -> list[str]:
    return [
        words.pick(("END", "\n\n", "###", "停", "</s>")) + str(index) for index in range(words.count(1, 4))
    ]


def _stop_write(path: str, protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        stops = _stops(words)
        put(doc, path, stops[0] if protocol == OC and len(stops) == 1 and words.coin() else stops)
        return stops

    return write


def _stop_read(path: str) -> Any:
    def read(doc: Doc) -> Any:
        value = get(doc, path)
        return [value] if isinstance(value, str) else value

    return read


_STOP = {OC: "stop", AM: "stop_sequences", GG: "generationConfig.stopSequences"}
ASKS["sampling.stop"] = Ask(
    {protocol: _stop_write(path, protocol) for protocol, path in _STOP.items()},
    {protocol: _stop_read(path) for protocol, path in _STOP.items()},
    ("sampling.stop",),
)
member(
    "sampling.candidates",
    {OC: "n", GG: "generationConfig.candidateCount"},
    (2, 3),
    ("candidates",),
)

_LOGPROBS = "message.output_text.logprobs"


def _logprobs_or(doc: Doc, words: Words) -> Any:
    doc["include"] = [*doc.get("include", ()), _LOGPROBS]
    doc["top_logprobs"] = words.count(1, 20)
    return doc["top_logprobs"]


def _logprobs(flag: str, count: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        put(doc, flag, True)
        value = words.count(1, 20)
        put(doc, count, value)
        return value

    return write


ASKS["sampling.logprobs"] = Ask(
    {
        OC: _logprobs("logprobs", "top_logprobs"),
        OR: _logprobs_or,
        GG: _logprobs("generationConfig.responseLogprobs", "generationConfig.logprobs"),
    },
    {
        OC: lambda doc: doc.get("top_logprobs") if doc.get("logprobs") else None,
        OR: lambda doc: doc.get("top_logprobs") if _LOGPROBS in (doc.get("include") or ()) else None,
        GG: lambda doc: get(doc, "generationConfig.logprobs") if get(doc, "generationConfig.responseLogprobs") else None,
    },
    ("logprobs",),
)  # fmt: skip

# ---- the form of the answer


def _schema_am(doc: Doc, words: Words) -> Any:
    put(doc, "output_config.format", {"type": "json_schema", "schema": PLAIN_SCHEMA})
    return PLAIN_SCHEMA


def _schema_gg(doc: Doc, words: Words) -> Any:
    put(doc, "generationConfig.responseMimeType", "application/json")
    put(doc, "generationConfig.responseJsonSchema", PLAIN_SCHEMA)
    return PLAIN_SCHEMA


def _named(doc: Doc, protocol: str, name: str, description: str | None) -> None:
    form: Doc = {"name": name, "schema": PLAIN_SCHEMA, "strict": True}
    form |= {"description": description} if description is not None else {}
    if protocol == OC:
        doc["response_format"] = {"type": "json_schema", "json_schema": form}
    else:
        put(doc, "text.format", {"type": "json_schema", **form})


def _schema_openai(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        _named(doc, protocol, "answer", None)
        return PLAIN_SCHEMA

    return write


def _schema_name(protocol: str) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        value = (words.token("form_"), words.text())
        _named(doc, protocol, *value)
        return value

    return write


def _form(doc: Doc, protocol: str) -> Doc:
    return get(doc, "response_format.json_schema" if protocol == OC else "text.format") or {}


ASKS["output.schema"] = Ask(
    {OC: _schema_openai(OC), OR: _schema_openai(OR), AM: _schema_am, GG: _schema_gg},
    {
        OC: lambda doc: _form(doc, OC).get("schema"),
        OR: lambda doc: _form(doc, OR).get("schema"),
        AM: lambda doc: get(doc, "output_config.format.schema"),
        GG: lambda doc: get(doc, "generationConfig.responseJsonSchema"),
    },
    ("output.schema", "output.format"),
    slot="output",
)
ASKS["output.schema_name"] = Ask(
    {OC: _schema_name(OC), OR: _schema_name(OR)},
    {
        OC: lambda doc: (_form(doc, OC).get("name"), _form(doc, OC).get("description")),
        OR: lambda doc: (_form(doc, OR).get("name"), _form(doc, OR).get("description")),
    },
    ("output.schema.name",),
    slot="output",
)
ASKS["output.json"] = Ask(
    {
        OC: lambda doc, words: put(doc, "response_format", {"type": "json_object"}) or True,
        OR: lambda doc, words: put(doc, "text.format", {"type": "json_object"}) or True,
        GG: lambda doc, words: put(doc, "generationConfig.responseMimeType", "application/json") or True,
    },
    {
        OC: lambda doc: True if get(doc, "response_format.type") == "json_object" else None,
        OR: lambda doc: True if get(doc, "text.format.type") == "json_object" else None,
        GG: lambda doc: True if get(doc, "generationConfig.responseMimeType") == "application/json" else None,
    },
    ("output.format",),
    slot="output",
)


def _enum_gg(doc: Doc, words: Words) -> Any:
    put(doc, "generationConfig.responseMimeType", "text/x.enum")
    put(doc, "generationConfig.responseSchema", {"type": "STRING", "enum": ["yes", "no"]})
    return ["yes", "no"]


ASKS["output.enum"] = Ask(
    {GG: _enum_gg},
    {GG: lambda doc: get(doc, "generationConfig.responseSchema.enum")},
    ("output.format",),
    slot="output",
)

# ---- state


def _management(doc: Doc, words: Words) -> Any:
    doc["context_management"] = {"edits": [{"type": "clear_thinking_20251015"}]}
    return "managed"


ASKS["state.truncation"] = Ask(
    {OR: lambda doc, words: put(doc, "truncation", "auto") or "auto", AM: _management},
    {
        OR: lambda doc: doc.get("truncation"),
        AM: lambda doc: "managed" if "context_management" in doc else None,
    },
    ("state.truncation", "ext.context_management"),
)
ASKS["state.previous"] = Ask(
    {
        OR: lambda doc, words: (
            put(doc, *words.pick((("previous_response_id", "resp_1"), ("conversation", "conv_1"))))
            or first_state(doc)
        )
    },
    {OR: lambda doc: first_state(doc)},
    (),
)


def first_state(doc: Doc) -> Any:
    """The stored conversation a request continues."""
    return valued(doc.get("previous_response_id") or doc.get("conversation"))


ASKS["headers.beta"] = Ask(
    {AM: lambda doc, words: "context-1m-2025-08-07"},
    {},
    ("headers.beta", "headers.anthropic-beta"),
    headers=(("anthropic-beta", "context-1m-2025-08-07"),),
)
ASKS["headers.trace"] = Ask(
    {protocol: (lambda doc, words: "trace-1") for protocol in (OC, OR, AM, GG)},
    {},
    (),
    headers=(("idempotency-key", "trace-1"), ("traceparent", "trace-1")),
)
