"""Members and values that nobody has heard of, at any place of a document where a protocol may grow."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.laws.atoms import get, put
from tests.laws.native import AM, GG, OC, OR, history
from tests.laws.plain import Doc
from tests.laws.tools import declare, function
from tests.laws.words import Words

MEMBER: Final = "xNewMember"
VALUE: Final = "xx_new_value"
_GROWN: Final = (True, 7, "later", [1], {"deep": {"er": 1}})

_FREE: Final = frozenset(
    ("schema", "parameters", "input_schema", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "args",
     "response", "labels", "logit_bias", "input_examples")
)  # fmt: skip
"""Members whose content is the caller's own: whatever is in them is a value of theirs."""
_FREE_OBJECTS: Final = {OC: frozenset(("metadata",)), OR: frozenset(("metadata",)), AM: frozenset(("input",))}
"""The same, of one protocol, where they are objects."""


def _objects(protocol: str, tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the objects of the protocol's own are."""
    if isinstance(tree, dict):
        yield place
        own = _FREE_OBJECTS.get(protocol, frozenset[str]())
        for name, value in tree.items():
            if name not in _FREE and not (name in own and isinstance(value, dict)):
                yield from _objects(protocol, value, (*place, name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _objects(protocol, value, (*place, index))


def sown(protocol: str, tree: Doc, words: Words) -> tuple[Doc, tuple[Any, ...]]:
    """The document with one new member somewhere, and where."""
    place = words.pick(list(_objects(protocol, tree)))
    grown = copy.deepcopy(tree)
    node: Any = grown
    for step in place:
        node = node[step]
    node[MEMBER] = words.pick(_GROWN)
    return grown, place


# ---- values


def _member(path: str, value: Any = VALUE) -> Callable[[Doc], None]:
    return lambda doc: put(doc, path, value)


def _tool(protocol: str, **members: Any) -> Callable[[Doc], None]:
    def write(doc: Doc) -> None:
        declare(protocol, doc, function(protocol, "odd_one"))
        for path, value in members.items():
            put(doc, path, value)

    return write


def _part(protocol: str, part: Doc) -> Callable[[Doc], None]:
    """A part of the last message of a user."""

    def write(doc: Doc) -> None:
        if protocol == GG:
            doc["contents"].append({"role": "user", "parts": [{"text": "See"}, part]})
        else:
            said = {"type": "input_text" if protocol == OR else "text", "text": "See"}
            history(protocol, doc).append({"role": "user", "content": [said, part]})

    return write


def _choice(protocol: str, value: Any) -> Callable[[Doc], None]:
    return _tool(protocol, tool_choice=value)


def _include(doc: Doc) -> None:
    doc["include"] = [*doc.get("include", ()), VALUE]


def _hosted(protocol: str, tool: Doc) -> Callable[[Doc], None]:
    return lambda doc: doc.setdefault("tools", []).append(tool)


_PNG: Final = "iVBORw0KGgo="
_DATA: Final = f"data:image/png;base64,{_PNG}"
ASKED: Final[dict[str, tuple[Callable[[Doc], None], ...]]] = {
    OC: (
        _member("reasoning_effort"),
        _member("service_tier"),
        _member("verbosity"),
        _member("modalities", ["text", VALUE]),
        _member("response_format", {"type": VALUE}),
        _member("prompt_cache_options", {"mode": VALUE}),
        _choice(OC, VALUE),
        _choice(OC, {"type": VALUE}),
        _hosted(OC, {"type": VALUE}),
        _part(OC, {"type": "image_url", "image_url": {"url": _DATA, "detail": VALUE}}),
        _part(OC, {"type": VALUE}),
        _part(OC, {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": VALUE}}),
    ),
    OR: (
        _member("reasoning", {"effort": VALUE}),
        _member("reasoning", {"summary": VALUE}),
        _member("reasoning", {"context": VALUE}),
        _member("text", {"verbosity": VALUE}),
        _member("text", {"format": {"type": VALUE}}),
        _member("truncation"),
        _member("service_tier"),
        _include,
        _choice(OR, VALUE),
        _choice(OR, {"type": VALUE}),
        _hosted(OR, {"type": VALUE}),
        _part(OR, {"type": "input_image", "image_url": _DATA, "detail": VALUE}),
        _part(OR, {"type": VALUE}),
        lambda doc: doc["input"].append({"type": VALUE, "id": "x_1"}),
    ),
    AM: (
        _member("thinking", {"type": VALUE}),
        _member("thinking", {"type": "adaptive", "display": VALUE}),
        _member("output_config", {"effort": VALUE}),
        _member("output_config", {"format": {"type": VALUE}}),
        _member("service_tier"),
        _member("cache_control", {"type": VALUE}),
        _choice(AM, {"type": VALUE}),
        _hosted(AM, {"type": VALUE, "name": "n"}),
        _part(AM, {"type": VALUE}),
        _part(AM, {"type": "image", "source": {"type": VALUE}}),
        _part(AM, {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": VALUE}}),
    ),
    GG: (
        _member("generationConfig.thinkingConfig", {"thinkingLevel": VALUE}),
        _member("generationConfig.mediaResolution"),
        _member("generationConfig.responseMimeType"),
        _member("generationConfig.responseModalities", ["TEXT", VALUE]),
        _member("serviceTier"),
        _member("safetySettings", [{"category": VALUE, "threshold": "BLOCK_NONE"}]),
        _tool(GG, toolConfig={"functionCallingConfig": {"mode": VALUE}}),
        _hosted(GG, {VALUE: {}}),
        _part(GG, {VALUE: {"a": 1}}),
        _part(GG, {"inlineData": {"mimeType": "image/png", "data": _PNG}, "mediaResolution": {"level": VALUE}}),
    ),
}  # fmt: skip
"""Words that a protocol may have tomorrow, written where it has a few of them today."""


def _end(path: str) -> Callable[[Doc], None]:
    """Another word where an answer has one; `path` may lead through the first choice, candidate or item."""

    def write(doc: Doc) -> None:
        *parents, name = path.split(".")
        node: Any = doc
        for parent in parents:
            if not parent.isdigit() and node.get(parent) is None:
                node[parent] = {}
            node = node[int(parent) if parent.isdigit() else parent]
        node[name] = VALUE

    return write


def _block(path: str, block: Doc) -> Callable[[Doc], None]:
    def write(doc: Doc) -> None:
        found: Any = doc
        for name in path.split("."):
            found = found[int(name)] if name.isdigit() else found[name]
        found.append(block)

    return write


TOLD: Final[dict[str, tuple[Callable[[Doc], None], ...]]] = {
    OC: (_end("choices.0.finish_reason"), _end("service_tier")),
    OR: (
        _end("incomplete_details.reason"),
        _end("service_tier"),
        _block("output", {"type": VALUE, "id": "x_1", "status": "completed"}),
    ),
    AM: (_end("stop_reason"), _end("usage.service_tier"), _block("content", {"type": VALUE})),
    GG: (
        _end("candidates.0.finishReason"),
        _end("usageMetadata.trafficType"),
        _block("candidates.0.content.parts", {VALUE: {"a": 1}}),
    ),
}


def with_new_value(
    protocol: str, tree: Doc, writers: dict[str, tuple[Callable[[Doc], None], ...]], words: Words
) -> tuple[Doc, tuple[Any, ...]]:
    """The document with one of the values, and which one of the writers it was."""
    grown, number = copy.deepcopy(tree), words.count(0, len(writers[protocol]) - 1)
    writers[protocol][number](grown)
    if get(grown, "incomplete_details.reason") == VALUE:
        grown["status"] = "incomplete"
    return grown, ("value", number)
