"""Atoms of what an answer tells about its text: token probabilities and where it comes from (mapping 2.2)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import first, get
from tests.laws.envelopes import tell
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, Said, content_of
from tests.laws.pieces import content, text
from tests.laws.plain import Doc, valued
from tests.laws.words import URLS, Words


def _tokens(words: Words) -> list[tuple[str, float]]:
    return [(words.pick(("Hi", " there", "日")), words.pick((-0.25, -1.5))) for _ in range(words.count(1, 3))]


def _openai_logprobs(found: list[tuple[str, float]]) -> list[Doc]:
    return [
        {"token": token, "logprob": value, "bytes": list(token.encode()), "top_logprobs": []}
        for token, value in found
    ]


def _logprobs(protocol: str) -> Any:
    def speak(words: Words) -> Any:
        found = _tokens(words)
        said = "".join(token for token, _ in found)
        if protocol == OR:
            piece = text(OR, said, words, logprobs=_openai_logprobs(found))
            return Said(content(OR, [piece])), found
        piece = text(protocol, said, words)
        if protocol == OC:
            tokens = {"content": _openai_logprobs(found), "refusal": None}
            return Said(content(OC, [piece]), candidate={"logprobs": tokens}), found
        chosen = [{"token": token, "logProbability": value} for token, value in found]
        tops = [{"candidates": [one]} for one in chosen]
        return Said(
            content(GG, [piece]),
            candidate={"logprobsResult": {"chosenCandidates": chosen, "topCandidates": tops}},
        ), found

    return speak


def _logprobs_seen(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == OC:
            found = get(doc["choices"][0], "logprobs.content") if doc.get("choices") else None
        elif protocol == OR:
            parts = [part for item in doc["output"] for part in item.get("content") or ()]
            found = [one for part in parts for one in part.get("logprobs") or ()]
        else:
            found = [
                {"token": one["token"], "logprob": one["logProbability"]}
                for candidate in doc.get("candidates") or ()
                for one in get(candidate, "logprobsResult.chosenCandidates") or ()
            ]
        return [(one["token"], valued(one["logprob"])) for one in found or ()] or None

    return read


tell(
    "logprobs",
    {p: _logprobs(p) for p in (OC, OR, GG)},
    {p: _logprobs_seen(p) for p in (OC, OR, GG)},
    ("logprobs",),
)


def _cited(protocol: str) -> Any:
    def speak(words: Words) -> Any:
        said, url, title = "naïve 🌍 text " + words.token("n"), words.pick(URLS), words.text()
        if protocol == OC:
            note = {"url": url, "title": title, "start_index": 6, "end_index": 7}
            piece = text(OC, said, words, annotations=[{"type": "url_citation", "url_citation": note}])
            return Said(content(OC, [piece])), (url, title)
        if protocol == OR:
            note = {"type": "url_citation", "url": url, "title": title, "start_index": 6, "end_index": 7}
            return Said(content(OR, [text(OR, said, words, annotations=[note])])), (url, title)
        if protocol == AM:
            note = {
                "type": "web_search_result_location",
                "url": url,
                "title": title,
                "encrypted_index": "Eo8=",
                "cited_text": "x",
            }
            return Said(content(AM, [text(AM, said, words, citations=[note])])), (url, title)
        grounding = {
            "groundingChunks": [{"web": {"uri": url, "title": title}}],
            "groundingSupports": [{"segment": {"startIndex": 7, "endIndex": 11, "text": "🌍"}, "groundingChunkIndices": [0]}],
        }  # fmt: skip
        return Said(content(GG, [text(GG, said, words)]), candidate={"groundingMetadata": grounding}), (
            url,
            title,
        )

    return speak


def _cited_seen(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        said = content_of(protocol, doc)
        if protocol == OC:
            found = [note["url_citation"] for note in said.get("annotations") or ()]
        elif protocol == OR:
            parts = [part for item in said for part in item.get("content") or ()]
            found = [note for part in parts for note in part.get("annotations") or ()]
        elif protocol == AM:
            found = [note for block in said for note in block.get("citations") or ()]
        else:
            chunks = get((doc.get("candidates") or [{}])[0], "groundingMetadata.groundingChunks") or ()
            found = [{"url": one["web"]["uri"], "title": one["web"].get("title")} for one in chunks]
        return first([(note.get("url"), note.get("title")) for note in found if note.get("url")])

    return read


tell(
    "citation.url",
    {p: _cited(p) for p in PROTOCOLS},
    {p: _cited_seen(p) for p in PROTOCOLS},
    ("citation",),
)
