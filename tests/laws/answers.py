"""Atoms of what a model says: thoughts, calls, refusals, sources, sounds (mapping 2.2, 2.3, 2.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.laws.atoms import TELLS, Tell, first
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, Said
from tests.laws.pieces import Piece, call, content, facts, loose, text, thought
from tests.laws.plain import Doc, load
from tests.laws.tools import PLAIN, declare, function
from tests.laws.words import BROKEN_ARGUMENTS, Words

Make = Callable[[str, Words], tuple[list[Piece], Any]]


def tell(
    feature: str,
    protocols: tuple[str, ...],
    make: Make,
    seen: Callable[[str, Any], Any],
    reported: tuple[str, ...],
    *,
    finish: str = "stop",
    prepare: Callable[[str, Doc], None] | None = None,
) -> None:
    """Register an atom of content; `seen` takes the protocol and the content."""

    def speaker(protocol: str) -> Any:
        def speak(words: Words) -> tuple[Said, Any]:
            pieces, value = make(protocol, words)
            has_calls = any(piece.kind == "call" for piece in pieces)
            return Said(content(protocol, pieces), "tool_use" if has_calls else finish), value

        return speak

    TELLS[feature] = Tell(
        {protocol: speaker(protocol) for protocol in protocols},
        {protocol: (lambda said, p=protocol: seen(p, said)) for protocol in PROTOCOLS},
        reported,
        prepare=prepare,
    )


# ---- reasoning


def _said_then(protocol: str, words: Words) -> list[Piece]:
    """What follows a thought: a text, sometimes with a call, by whose id the side table finds the turn."""
    said = [text(protocol, words.text(), words)]
    return [*said, call(protocol, words.token("t"), "f", "{}", words, signed=True)] if words.coin() else said


def _thought(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    said = words.text()
    return [thought(protocol, said, words), *_said_then(protocol, words)], said


def thought_text(protocol: str, said: Any) -> Any:
    """The text of the first thought that has one."""
    for fact in facts(protocol, said):
        if fact[0] == "thought":
            shown = (
                "\n\n".join((*fact[1], *(fact[3] if len(fact) > 3 else ()))) if protocol == OR else fact[1]
            )
            if shown:
                return shown
    return None


tell(
    "reasoning.summary",
    PROTOCOLS,
    _thought,
    thought_text,
    ("reasoning.text", "reasoning.opaque"),
)


def _raw(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    said = words.text()
    piece = thought(OR, "", words)
    piece.wire["content"] = [{"type": "reasoning_text", "text": said}]
    return [piece, *_said_then(OR, words)], said


tell("reasoning.raw", (OR,), _raw, thought_text, ("reasoning.text", "reasoning.opaque"))


def _claude(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    piece = thought(AM, words.pick(("", words.text())), words)
    return [piece, *_said_then(AM, words)], (piece.wire["thinking"], piece.wire["signature"])


def _signed(protocol: str, said: Any) -> Any:
    """Thought and signature as Claude gave them."""
    if protocol != AM:
        return None
    return first([fact[1:3] for fact in facts(AM, said) if fact[0] == "thought" and fact[2]])


def _redacted(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    data = words.signature("anthropic")
    return [
        Piece("redacted", {"type": "redacted_thinking", "data": data}),
        *_said_then(AM, words),
    ], data


def _redacted_seen(protocol: str, said: Any) -> Any:
    return first([fact[1] for fact in facts(protocol, said) if fact[0] == "redacted"])


def _encrypted(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    pieces = [thought(OR, words.pick(("", words.text())), words) for _ in range(words.count(1, 2))]
    for piece in pieces:
        if words.coin():
            piece.wire["summary"].append({"type": "summary_text", "text": words.text()})
    value = [(tuple(one["text"] for one in p.wire["summary"]), p.wire["encrypted_content"]) for p in pieces]
    return [*pieces, *_said_then(OR, words)], value


def _encrypted_seen(protocol: str, said: Any) -> Any:
    if protocol != OR:
        return None
    return [fact[1:3] for fact in facts(OR, said) if fact[0] == "thought" and fact[2]] or None


_SIGNED = ("reasoning.opaque",)
tell("reasoning.claude_signature", (AM,), _claude, _signed, _SIGNED)
tell("reasoning.claude_redacted", (AM,), _redacted, _redacted_seen, _SIGNED)
tell("reasoning.openai_encrypted", (OR,), _encrypted, _encrypted_seen, _SIGNED)


def _signed_call(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    first_call = call(GG, words.token("c"), words.name(), "{}", words, signed=True)
    more = [call(GG, words.token("d"), "g", "{}", words) for _ in range(words.count(0, 2))]
    return [first_call, *more], first_call.wire["thoughtSignature"]


def _call_signature(protocol: str, said: Any) -> Any:
    if protocol != GG:
        return None
    return first([fact[4] or None for fact in facts(GG, said) if fact[0] == "call"])


def _signed_text(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    signature = words.signature("gemini")
    if words.coin():
        return [text(GG, words.text(), words, thoughtSignature=signature)], signature
    return [text(GG, words.text(), words), text(GG, "", words, thoughtSignature=signature)], signature


def _text_signature(protocol: str, said: Any) -> Any:
    if protocol != GG:
        return None
    return first([fact[2] or None for fact in facts(GG, said) if fact[0] == "text"])


tell("reasoning.gemini_call_signature", (GG,), _signed_call, _call_signature, _SIGNED)
tell("reasoning.gemini_text_signature", (GG,), _signed_text, _text_signature, _SIGNED)

# ---- calls


def calls(protocol: str, said: Any) -> list[Any]:
    """Id, name and value of the arguments of every call."""
    return [fact[1:4] for fact in loose(facts(protocol, said)) if fact[0] == "call"]


def _call(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    made = [call(protocol, words.token("call_"), words.name(), words.arguments(), words, signed=True)]
    return made, calls(protocol, content(protocol, made))


def _parallel(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    made = [
        call(
            protocol, words.token(f"call_{index}"), words.name(), words.arguments(), words, signed=index == 0
        )
        for index in range(words.count(2, 4))
    ]
    return made, calls(protocol, content(protocol, made))


def _some(protocol: str, said: Any) -> Any:
    return calls(protocol, said) or None


def _broken(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    arguments = words.pick(BROKEN_ARGUMENTS)
    made = call(protocol, words.token("call_"), "f", arguments, words)
    return [made], arguments


def _broken_seen(protocol: str, said: Any) -> Any:
    for fact in facts(protocol, said):
        if fact[0] != "call":
            continue
        if protocol in (OC, OR):
            return fact[3]
        tree = load(fact[3])
        return tree["_raw"] if isinstance(tree, dict) and list(tree) == ["_raw"] else None
    return None


_CALL: tuple[str, ...] = ()
tell("tool_call", PROTOCOLS, _call, _some, _CALL, finish="tool_use")
tell("tool_call.parallel", PROTOCOLS, _parallel, _some, _CALL, finish="tool_use")
tell(
    "tool_call.broken_arguments", (OC, OR), _broken, _broken_seen, ("tool_call.arguments",), finish="tool_use"
)


def _order(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    pieces = [
        text(protocol, words.text(), words),
        call(protocol, words.token("call_a"), "f", "{}", words, signed=True),
        text(protocol, words.text(), words),
        call(protocol, words.token("call_b"), "g", "{}", words),
    ]
    return pieces, _order_seen(protocol, content(protocol, pieces))


def _order_seen(protocol: str, said: Any) -> Any:
    return [fact[1] for fact in facts(protocol, said) if fact[0] in ("text", "call")]


tell("tool_call.order", (OR, AM, GG), _order, _order_seen, ("part.order",), finish="tool_use")


def _odd_id(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    odd = {
        OC: ("call:1|x", "call_" + "z" * 60, "functions.f:0"),
        OR: ("call:1|x", "fc.ä", "call_" + "z" * 59),
        AM: ("toolu_" + "A" * 70, "srv-1_x"),
        GG: ("a.b:c", "call_" + "z" * 80),
    }
    id_ = words.pick(odd[protocol])
    return [call(protocol, id_, "f", "{}", words, signed=True)], id_


def _id_seen(protocol: str, said: Any) -> Any:
    return first([fact[1] for fact in facts(protocol, said) if fact[0] == "call"])


tell("tool_call.id", PROTOCOLS, _odd_id, _id_seen, ("tool_call.id",), finish="tool_use")


def _no_id(protocol: str, words: Words) -> tuple[list[Piece], Any]:
    made = [call(GG, "", name, "{}", words, signed=name == "f") for name in ("f", "g")]
    return made, [None, None]


def _no_id_seen(protocol: str, said: Any) -> Any:
    ids = [fact[1] for fact in facts(protocol, said) if fact[0] == "call"]
    return ids if protocol == GG else None


tell("tool_call.no_id", (GG,), _no_id, _no_id_seen, ("tool_call.id",), finish="tool_use")


def custom(protocol: str, doc: Doc) -> None:
    """Declare a free-text tool, where the protocol has one."""
    if protocol == OC:
        declare(OC, doc, {"type": "custom", "custom": {"name": "sql"}})
    elif protocol == OR:
        declare(OR, doc, {"type": "custom", "name": "sql"})
    else:
        declare(protocol, doc, function(protocol, "sql", PLAIN))
