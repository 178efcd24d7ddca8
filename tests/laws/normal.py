"""Normal forms: what two documents may differ in and still be the same (the only freedoms of law L1)."""

from __future__ import annotations

from typing import Any, Final

from tests.laws.native import AM, OC, OR
from tests.laws.plain import Doc, valued

_MARKS: Final = ("cache_control", "prompt_cache_breakpoint")


def without_marks(tree: Any) -> Any:
    """The tree without cache marks, which providers do not count as content."""
    if isinstance(tree, dict):
        return {name: without_marks(value) for name, value in tree.items() if name not in _MARKS}
    return [without_marks(one) for one in tree] if isinstance(tree, list) else tree


def normal_request(protocol: str, doc: Doc) -> Doc:
    """A request's normal form: no null members; numbers of settings by value; who asks for a stream is no content."""
    found = {
        name: value
        for name, value in _settled(protocol, doc).items()
        if name not in ("stream", "stream_options")
    }
    if protocol == OR and isinstance(found.get("input"), str):
        found["input"] = [{"role": "user", "content": found["input"]}]
    return found


_EXACT: Final = ("args", "input", "response", "arguments")
"""Members whose numbers are content: their spelling counts."""


def _settled(protocol: str, tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            name: value if name in _EXACT and isinstance(value, dict) else _settled(protocol, value)
            for name, value in tree.items()
            if value is not None
        }
    if isinstance(tree, list):
        return [_settled(protocol, one) for one in tree]
    return valued(tree)


def normal_answer(protocol: str, doc: Doc) -> Doc:
    """An answer's normal form: null members and counters that were not counted are absent."""
    found = _settled(protocol, doc)
    if protocol == OC:
        for choice in found["choices"]:
            choice["message"].setdefault("content", None)
    if protocol == AM:
        found["usage"] = {name: value for name, value in found["usage"].items() if value != 0}
    if protocol == OR:
        keep = ("id", "object", "created_at", "model", "status", "output", "incomplete_details", "usage")
        found = {name: found.get(name) for name in keep}
        for item in found["output"]:
            for part in item.get("content") or ():
                if not part.get("logprobs"):
                    part.pop("logprobs", None)
    if protocol in (OC, OR):
        found["usage"] = _counters(found.get("usage"))
    return found


def _counters(usage: Any) -> Any:
    if isinstance(usage, dict):
        rest = {name: _counters(value) for name, value in usage.items()}
        return {name: value for name, value in rest.items() if value not in (0, 0.0, {})}
    return usage
