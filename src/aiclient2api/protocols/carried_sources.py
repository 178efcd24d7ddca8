"""The sources of an answer's texts that its client has no form for: what it sees of them, and what is carried.

Texts that follow each other are one run, whose sources go in one envelope behind it: a client that keeps the texts
apart gives each its own back, one that joins them has all of them with the whole.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from aiclient2api.ir.parts import Citation, Text
from aiclient2api.wire.json import NULL


class Source(Struct, frozen=True, omit_defaults=True):
    """A citation as an envelope holds it: msgspec decodes no optional Raw."""

    kind: Literal["url", "file", "document", "search_result", "other"]
    url: str | None = None
    title: str | None = None
    quote: str | None = None
    span: tuple[int, int] | None = None
    raw: Raw = NULL
    protocol: str = ""

    @classmethod
    def of(cls, citation: Citation) -> Source:
        """What is carried of a citation."""
        raw = NULL if citation.raw is None else citation.raw
        told = (citation.url, citation.title, citation.quote, citation.span)
        return cls(citation.kind, *told, raw, citation.protocol)

    def citation(self) -> Citation:
        """The citation again."""
        return Citation(
            kind=self.kind,
            url=self.url,
            title=self.title,
            quote=self.quote,
            span=self.span,
            raw=None if self.raw == NULL else self.raw,
            protocol=self.protocol,
        )


class Sources:
    """The citations of the texts that a stream to a client of `protocol` is at, by candidate and part number."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._runs: dict[int, dict[int, list[Citation]]] = {}
        self.waiting: set[int] = set()
        """Candidates whose run has something to carry."""

    def begin(self, candidate: int, number: int) -> None:
        """A text begins: the next of its run."""
        self._runs.setdefault(candidate, {}).setdefault(number, [])

    def note(self, candidate: int, number: int, citation: Citation) -> Citation | None:
        """What the client sees of a citation of that text."""
        self._runs.setdefault(candidate, {}).setdefault(number, []).append(citation)
        if self._must_carry(citation):
            self.waiting.add(candidate)
        return self._shown(citation)

    def close(self, candidate: int) -> tuple[list[list[Source]], list[str]] | None:
        """The run is over: the sources of each of its texts, and what the report calls them; None for nothing."""
        run = self._runs.pop(candidate, {})
        if candidate not in self.waiting:
            return None
        self.waiting.discard(candidate)
        carried = [one for cited in run.values() for one in cited if self._must_carry(one)]
        features = sorted({"citation.quote" if one.kind == "url" else "citation" for one in carried})
        return [[Source.of(one) for one in cited] for cited in run.values()], features

    def as_shown(self, text: Text) -> Text:
        """The authoritative whole of a text without what is carried."""
        if not any(self._must_carry(citation) for citation in text.citations):
            return text
        shown = [one for citation in text.citations if (one := self._shown(citation)) is not None]
        return msgspec.structs.replace(text, citations=shown)

    def _shown(self, citation: Citation) -> Citation | None:
        if not self._must_carry(citation):
            return citation
        return msgspec.structs.replace(citation, quote=None) if citation.kind == "url" else None

    def _must_carry(self, citation: Citation) -> bool:
        """A source of another protocol's own kind, or one with words that only its own form repeats."""
        if citation.raw is None or citation.protocol == self._protocol:
            return False
        return citation.kind != "url" or citation.quote is not None
