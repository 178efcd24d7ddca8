"""Atoms of what stands beside or instead of text in an answer: refusals, phases, sources, sounds (mapping 2.1, 2.2)."""

from __future__ import annotations

from typing import Any

from tests.laws.answers import tell
from tests.laws.atoms import first, get
from tests.laws.media import inline
from tests.laws.native import AM, GG, OC, OR
from tests.laws.pieces import Piece, facts, text
from tests.laws.words import Words


def _refusal(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    said = words.text()
    if protocol == OC:
        return [Piece("refusal", {"content": None, "refusal": said})], said
    piece = text(OR, "", words)
    piece.wire["content"] = [{"type": "refusal", "refusal": said}]
    return [piece], said


def _refusal_seen(protocol: str, said: Any) -> Any:
    return first([fact[1] for fact in facts(protocol, said) if fact[0] == "refusal"])


tell("refusal", (OC, OR), _refusal, _refusal_seen, ("refusal",))


def _phase(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    pieces = [text(OR, words.text(), words) for _ in range(2)]
    for piece, phase in zip(pieces, ("commentary", "final_answer"), strict=True):
        piece.wire["phase"] = phase
    return pieces, ["commentary", "final_answer"]


def _phase_seen(protocol: str, said: Any) -> Any:
    return [item["phase"] for item in said if item.get("phase")] or None if protocol == OR else None


tell("message.phase", (OR,), _phase, _phase_seen, ("message.phase",))


def _ids(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    piece = text(OR, words.text(), words)
    return [piece], [piece.wire["id"]]


def _ids_seen(protocol: str, said: Any) -> Any:
    return [item["id"] for item in said if item.get("id")] or None if protocol == OR else None


tell("message.ids", (OR,), _ids, _ids_seen, ())


def _document_cited(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    cited = {"type": "char_location", "cited_text": words.text(), "document_index": 0, "document_title": None}
    cited |= {"start_char_index": 0, "end_char_index": 5, "file_id": None}
    return [text(AM, words.text(), words, citations=[cited])], cited["cited_text"]


def _document_seen(protocol: str, said: Any) -> Any:
    found = [one for block in said for one in block.get("citations") or ()] if protocol == AM else []
    return first([one.get("cited_text") for one in found if one["type"] == "char_location"])


tell("citation.document", (AM,), _document_cited, _document_seen, ("citation",))


def _hosted(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    id_ = words.token("ws_")
    said = text(protocol, words.text(), words)
    if protocol == OR:
        action = {"type": "search", "query": "q", "queries": ["q"]}
        item = {"type": "web_search_call", "id": id_, "status": "completed", "action": action}
        return [Piece("hosted", item), said], ["web_search_call"]
    if protocol == AM:
        use = {
            "type": "server_tool_use",
            "id": f"srvtoolu_{id_}",
            "name": "web_search",
            "input": {"query": "q"},
        }
        told = {"type": "web_search_tool_result", "tool_use_id": use["id"], "content": []}
        return [Piece("hosted", use), Piece("hosted", told), said], [
            "server_tool_use",
            "web_search_tool_result",
        ]
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    told = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    return [Piece("hosted", code), Piece("hosted", told), said], ["executableCode", "codeExecutionResult"]


def _hosted_seen(protocol: str, said: Any) -> Any:
    return [fact[1] for fact in facts(protocol, said) if fact[0] == "native"] or None


tell("hosted_call", (OR, AM, GG), _hosted, _hosted_seen, ("tool.hosted", "ext.executableCode"))


def _audio(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    data = words.base64()
    if protocol == OC:
        audio = {
            "id": words.token("audio_"),
            "data": data,
            "expires_at": 1_800_000_000,
            "transcript": words.text(),
        }
        return [Piece("audio", {"audio": audio})], data
    return [
        text(GG, words.text(), words),
        Piece("audio", {"inlineData": {"mimeType": "audio/wav", "data": data}}),
    ], data


def _audio_seen(protocol: str, said: Any) -> Any:
    if protocol == OC:
        return get(said, "audio.data")
    return first(
        [one[1] for part in said if (one := inline(part)) is not None and one[0].startswith("audio/")]
    )


tell(
    "audio.output",
    (OC, GG),
    _audio,
    _audio_seen,
    ("media.audio",),
)


def _picture(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    data = words.base64()
    if protocol == OR:
        item = {
            "type": "image_generation_call",
            "id": words.token("ig_"),
            "status": "completed",
            "result": data,
        }
        return [Piece("image", item), text(OR, words.text(), words)], data
    image = {"inlineData": {"mimeType": "image/png", "data": data}}
    return [text(GG, words.text(), words), Piece("image", image)], data


def _picture_seen(protocol: str, said: Any) -> Any:
    if protocol == OC:
        found = [inline(part) for part in said.get("images") or ()]
        return first([one[1] for one in found if one is not None])
    if protocol == OR:
        return first([item.get("result") for item in said if item.get("type") == "image_generation_call"])
    return first(
        [one[1] for part in said if (one := inline(part)) is not None and one[0].startswith("image/")]
    )


tell(
    "image.output",
    (OR, GG),
    _picture,
    _picture_seen,
    ("media.image", "tool.hosted"),
)
