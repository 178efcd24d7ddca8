"""JSON without any code of the gateway: numbers keep their spelling."""

from __future__ import annotations

import json
import re
from typing import Any

Doc = dict[str, Any]

_OPEN, _CLOSE = "\ue000", "\ue001"
_WRITTEN = re.compile(f'"{_OPEN}([^"]*){_CLOSE}"')


class Number:
    """A number with a fraction or an exponent, as it was written: `1.50` is not `1.5`."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text})"


def _written(value: object) -> str:
    assert isinstance(value, Number), value
    return f"{_OPEN}{value.text}{_CLOSE}"


_decoder = json.JSONDecoder(parse_float=Number)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, default=_written)


def load(body: bytes | str) -> Any:
    """The tree of a JSON text."""
    return _decoder.decode(body if isinstance(body, str) else body.decode("utf-8", "surrogatepass"))


def dump(tree: Any) -> bytes:
    """Compact JSON, numbers as they were written."""
    text = _encoder.encode(tree)
    return (_WRITTEN.sub(r"\1", text) if _OPEN in text else text).encode("utf-8", "surrogatepass")


def number(value: Any) -> float | None:
    """A number's value, however it was written."""
    if isinstance(value, Number):
        return float(value.text)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def valued(tree: Any) -> Any:
    """The tree with numbers by value, for comparisons that do not care about spelling."""
    if isinstance(tree, Number):
        return float(tree.text)
    if isinstance(tree, dict):
        return {name: valued(item) for name, item in tree.items()}
    if isinstance(tree, list):
        return [valued(item) for item in tree]
    return tree


def parsed(text: str) -> Any:
    """The tree of arguments, or the text itself where it is not JSON."""
    try:
        return load(text)
    except ValueError:
        return text


def respelled(tree: Any) -> Any:
    """The tree as an SDK that parses numbers sends it back: `1.50` has become `1.5`."""
    return json.loads(json.dumps(valued(tree)))
