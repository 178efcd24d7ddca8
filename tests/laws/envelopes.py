"""Atoms of the answer itself: why it ended, what it cost, where it comes from (mapping 2.2, 2.5, 2.8)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.laws.atoms import TELLS, Tell, first, get
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, Said, content_of
from tests.laws.pieces import content, text
from tests.laws.plain import Doc, number
from tests.laws.words import Words


def _said(protocol: str, words: Words, finish: str = "stop", **more: Any) -> Said:
    return Said(content(protocol, [text(protocol, words.text(), words)]), finish, **more)


def tell(
    feature: str, speak: dict[str, Any], seen: dict[str, Any], reported: tuple[str, ...], **more: Any
) -> None:
    """Register an atom of the envelope; predicates take the whole answer."""
    TELLS[feature] = Tell(speak, seen, reported, envelope=True, **more)


# ---- identity


def _identity(protocol: str) -> Any:
    return lambda words: (_said(protocol, words), "some")


def _id(protocol: str) -> Any:
    name = "responseId" if protocol == GG else "id"
    return lambda doc: "some" if doc.get(name) else None


def _model(protocol: str) -> Any:
    name = "modelVersion" if protocol == GG else "model"
    return lambda doc: "some" if doc.get(name) else None


tell("response.id", {p: _identity(p) for p in PROTOCOLS}, {p: _id(p) for p in PROTOCOLS}, ())
tell(
    "response.model",
    {p: _identity(p) for p in PROTOCOLS},
    {p: _model(p) for p in PROTOCOLS},
    (),
)


def _created_gg(words: Words) -> Any:
    return _said(GG, words, members={"createTime": "2023-11-14T22:13:20Z"}), 1_700_000_000


def _time(doc: Doc) -> Any:
    stamp = doc.get("createTime")
    return None if stamp is None else int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp())


def _whole(value: Any) -> Any:
    found = number(value)
    return None if found is None else int(found)


tell(
    "response.created",
    {
        OC: lambda words: (_said(OC, words), 1_700_000_000),
        OR: lambda words: (_said(OR, words), 1_700_000_000),
        GG: _created_gg,
    },
    {OC: lambda doc: _whole(doc.get("created")), OR: lambda doc: _whole(doc.get("created_at")), GG: _time},
    ("response.created",),
)

# ---- ends

_ENDS = ("stop", "length")
_WORDS = {
    OC: {"stop": "stop", "length": "length"},
    AM: {"end_turn": "stop", "max_tokens": "length"},
    GG: {"STOP": "stop", "MAX_TOKENS": "length"},
}


def _finish(protocol: str) -> Any:
    def speak(words: Words) -> Any:
        value = words.pick(_ENDS)
        return _said(protocol, words, value), value

    return speak


def finish_of(protocol: str, doc: Doc) -> Any:
    """Why an answer ended, in neutral words."""
    if protocol == OR:
        return {"completed": "stop"}.get(
            doc["status"], "length" if get(doc, "incomplete_details.reason") == "max_output_tokens" else None
        )
    candidate = (doc.get("choices") or doc.get("candidates") or [doc])[0]
    names = {OC: "finish_reason", AM: "stop_reason", GG: "finishReason"}
    return _WORDS[protocol].get(str(candidate.get(names[protocol])))


tell(
    "finish.reason",
    {p: _finish(p) for p in PROTOCOLS},
    {p: (lambda doc, p=p: finish_of(p, doc)) for p in PROTOCOLS},
    (),
)


def _stop_sequence(words: Words) -> Any:
    value = words.token("STOP")
    return _said(AM, words, "stop_sequence", members={"stop_sequence": value}), value


tell(
    "finish.stop_sequence",
    {AM: _stop_sequence},
    {AM: lambda doc: doc.get("stop_sequence")},
    ("finish.stop_sequence",),
)


def _pause_gg(words: Words) -> Any:
    value = words.pick(("CONTINUATION", "TOO_MANY_TOOL_CALLS"))
    more = {"continuationToken": "dG9r"} if value == "CONTINUATION" else {}
    return _said(GG, words, value, candidate=more), value


tell(
    "finish.pause",
    {AM: lambda words: (_said(AM, words, "pause_turn"), "pause_turn"), GG: _pause_gg},
    {
        AM: lambda doc: doc.get("stop_reason") if doc.get("stop_reason") == "pause_turn" else None,
        GG: lambda doc: first([one.get("finishReason") for one in doc.get("candidates") or ()]),
    },
    ("finish.pause",),
)


def _blocked(words: Words) -> Any:
    feedback = {"blockReason": words.pick(("PROHIBITED_CONTENT", "SAFETY"))}
    usage = {"promptTokenCount": 7, "totalTokenCount": 7}
    return Said(
        [], members={"promptFeedback": feedback, "candidates": None, "usageMetadata": usage}
    ), "blocked"


def _blocked_seen(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == GG:
            return "blocked" if get(doc, "promptFeedback.blockReason") else None
        if protocol == OC:
            ends = [one.get("finish_reason") for one in doc["choices"]]
            return (
                "blocked" if ends == ["content_filter"] and not content_of(OC, doc).get("content") else None
            )
        if protocol == OR:
            reason = get(doc, "incomplete_details.reason")
            return "blocked" if reason == "content_filter" and doc["output"] == [] else None
        return "blocked" if doc.get("stop_reason") == "refusal" and doc["content"] == [] else None

    return read


tell("response.blocked", {GG: _blocked}, {p: _blocked_seen(p) for p in PROTOCOLS}, ())


_PASSED: dict[str, Doc] = {
    OC: {"type": "moderation_results", "model": "omni-moderation", "results": []},
    OR: {
        "type": "moderation_result",
        "model": "omni-moderation",
        "flagged": False,
        "categories": {},
        "category_scores": {},
        "category_applied_input_types": {},
    },
}


def _ratings(protocol: str) -> Any:
    def speak(words: Words) -> Any:
        if protocol == GG:
            ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
            return _said(GG, words, candidate={"safetyRatings": ratings}), "rated"
        if protocol == AM:
            details = {"type": "refusal", "category": "cyber", "explanation": words.text()}
            return _said(AM, words, "refusal", members={"stop_details": details}), "rated"
        passed = _PASSED[protocol]
        return _said(protocol, words, members={"moderation": {"input": passed, "output": passed}}), "rated"

    return speak


def _rated(protocol: str) -> Any:
    def read(doc: Doc) -> Any:
        if protocol == GG:
            return "rated" if any(one.get("safetyRatings") for one in doc.get("candidates") or ()) else None
        name = "stop_details" if protocol == AM else "moderation"
        return "rated" if doc.get(name) else None

    return read


tell(
    "response.ratings",
    {p: _ratings(p) for p in PROTOCOLS},
    {p: _rated(p) for p in PROTOCOLS},
    ("ext.safetyRatings", "ext.moderation", "ext.stop_details", "finish.category", "finish.explanation"),
)
tell(
    "response.fingerprint",
    {OC: lambda words: (_said(OC, words, members={"system_fingerprint": "fp_1"}), "fp_1")},
    {OC: lambda doc: doc.get("system_fingerprint")},
    ("ext.system_fingerprint",),
)

_TIERS = {
    OC: ("default", "flex", "priority"),
    OR: ("default", "flex", "priority"),
    AM: ("standard", "priority"),
    GG: ("ON_DEMAND", "ON_DEMAND_FLEX", "ON_DEMAND_PRIORITY"),
}
_NEUTRAL = {
    "standard": "default",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
}


def _tier(protocol: str) -> Any:
    def speak(words: Words) -> Any:
        wire = words.pick(_TIERS[protocol])
        value = _NEUTRAL.get(wire, wire)
        if protocol == AM:
            usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": wire}
            return _said(AM, words, members={"usage": usage}), value
        if protocol == GG:
            usage = {
                "promptTokenCount": 10,
                "candidatesTokenCount": 5,
                "totalTokenCount": 15,
                "trafficType": wire,
            }
            return _said(GG, words, members={"usageMetadata": usage}), value
        return _said(protocol, words, members={"service_tier": wire}), value

    return speak


def _tier_seen(path: str) -> Any:
    def read(doc: Doc) -> Any:
        wire = get(doc, path)
        return _NEUTRAL.get(wire, wire)

    return read


tell(
    "response.tier",
    {p: _tier(p) for p in PROTOCOLS},
    {
        OC: _tier_seen("service_tier"),
        OR: _tier_seen("service_tier"),
        AM: _tier_seen("usage.service_tier"),
        GG: _tier_seen("usageMetadata.trafficType"),
    },
    ("tier",),
)


def _echo(protocol: str) -> Doc:
    """A Responses upstream repeats the request itself."""
    return {"instructions": "Be brief.", "max_output_tokens": 321} if protocol == OR else {}


def _wish(protocol: str, doc: Doc) -> None:
    if protocol == OR:
        doc |= {"instructions": "Be brief.", "max_output_tokens": 321}


tell(
    "response.echo",
    {p: (lambda words, p=p: (_said(p, words, members=_echo(p)), ("Be brief.", 321))) for p in PROTOCOLS},
    {OR: lambda doc: (doc.get("instructions"), doc.get("max_output_tokens"))},
    (),
    prepare=_wish,
)
