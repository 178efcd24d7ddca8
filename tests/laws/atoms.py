"""Feature atoms: one for every row of the mapping, each with a generator and a wire predicate per protocol.

An atom of a request is written by a client and read in what the upstream gets. An atom of an answer is written by
an upstream, read in what the client gets, and read again in what the upstream gets back with the next request.
Generators and predicates know plain JSON only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.laws.native import GG, OC, OR, Said
from tests.laws.plain import Doc, valued
from tests.laws.words import Words

Write = Callable[[Doc, Words], Any]
"""Puts the feature into a client's request and tells which value it has."""
Read = Callable[[Doc], Any]
"""The value of the feature in a document; None where it is absent."""
Speak = Callable[[Words], tuple[Said, Any]]
"""An upstream's answer with the feature, and the value."""


class Ask(NamedTuple):
    """An atom of a request."""

    write: Mapping[str, Write]
    read: Mapping[str, Read]
    reported: tuple[str, ...]
    """How a loss of it may be named in the report; none where it must arrive or be refused."""
    slot: str = ""
    """Atoms of one slot exclude each other in one request."""
    headers: tuple[tuple[str, str], ...] = ()


class Tell(NamedTuple):
    """An atom of an answer. `seen` reads the content, or the whole answer where `envelope` says so."""

    speak: Mapping[str, Speak]
    seen: Mapping[str, Read]
    reported: tuple[str, ...]
    envelope: bool = False
    """It belongs to the answer itself: clients do not send it back."""
    prepare: Callable[[str, Doc], None] | None = None
    """What the client's request must hold for it (a custom tool)."""


ASKS: dict[str, Ask] = {}
TELLS: dict[str, Tell] = {}


def put(doc: Doc, path: str, value: Any) -> None:
    """Set a member by its dotted path."""
    *parents, name = path.split(".")
    for parent in parents:
        doc = doc.setdefault(parent, {})
    doc[name] = value


def get(doc: Any, path: str) -> Any:
    """A member by its dotted path, None where there is none."""
    for name in path.split("."):
        doc = doc.get(name) if isinstance(doc, dict) else None
    return valued(doc)


def member(
    feature: str,
    paths: Mapping[str, str],
    values: Sequence[Any],
    reported: tuple[str, ...],
    *,
    words: Mapping[str, Mapping[Any, Any]] | None = None,
    slot: str = "",
) -> None:
    """A setting that is one member; `words` translates the neutral values for a protocol."""
    told = words or {}

    def writer(protocol: str, path: str) -> Write:
        known = [value for value in values if protocol not in told or value in told[protocol]]

        def write(doc: Doc, drawn: Words) -> Any:
            value = drawn.pick(known)
            put(doc, path, told[protocol][value] if protocol in told else value)
            return valued(value)

        return write

    def reader(protocol: str, path: str) -> Read:
        back = {wire: value for value, wire in told.get(protocol, {}).items()}

        def read(doc: Doc) -> Any:
            value = get(doc, path)
            return back.get(value, value) if protocol in told and value is not None else value

        return read

    write = {protocol: writer(protocol, path) for protocol, path in paths.items()}
    ASKS[feature] = Ask(write, {p: reader(p, path) for p, path in paths.items()}, reported, slot)


def user_parts(protocol: str, doc: Doc) -> list[Doc]:
    """What users say and show, as native parts."""
    from tests.laws.native import history, text_part

    found: list[Doc] = []
    for message in history(protocol, doc):
        if message.get("role") != "user" or (protocol == OR and message.get("type", "message") != "message"):
            continue
        content = message.get("parts" if protocol == GG else "content") or []
        found += [text_part(protocol, content)] if isinstance(content, str) else content
    return found


def part_text(part: Doc) -> str | None:
    """The text of a native part."""
    if part.get("type") in ("text", "input_text", "output_text") or "type" not in part:
        text = part.get("text")
        return text if isinstance(text, str) else None
    return None


def standard(data: str) -> str:
    """Base64 in its standard alphabet."""
    return data.replace("-", "+").replace("_", "/")


def data_url(url: Any) -> tuple[str, str] | None:
    """Media type and base64 of a data URL."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, _, data = url[5:].partition(",")
    return head.removesuffix(";base64"), standard(data)


def first(found: Sequence[Any]) -> Any:
    """The first that is not None."""
    return next((one for one in found if one is not None), None)


CHAT_LIKE = (OC, OR)
