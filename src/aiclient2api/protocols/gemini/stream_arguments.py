"""Function arguments that arrive piece by piece, each with the JSONPath of its place (Vertex AI)."""

from __future__ import annotations

import itertools
import re
from typing import cast

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.gemini.fields import given
from aiclient2api.protocols.gemini.schema import ABSENT
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_ESCAPE = re.compile(r"\\(.)")

Tree = dict[str, object] | list[object]


class PartialArg(Struct, rename="camel"):
    """One piece: a value, or the next part of a string."""

    json_path: str
    string_value: str | None = None
    number_value: Raw = ABSENT
    bool_value: bool | None = None
    null_value: Raw = ABSENT


class _Pieces(list[str]):
    """A string that is still growing."""


class PartialArguments:
    """Collects the pieces of one call."""

    def __init__(self) -> None:
        self._root: dict[str, object] = {}
        self.whole: str | None = None
        """The exact text, if the call carried its arguments whole."""

    def add(self, piece: PartialArg) -> None:
        """Put a piece in its place."""
        steps = _steps(piece.json_path)
        node: Tree = self._root
        for step, following in itertools.pairwise(steps):
            node = _enter(node, step, list if isinstance(following, int) else dict, piece.json_path)
        last = steps[-1]
        if piece.string_value is not None:
            known = _get(node, last)
            if isinstance(known, _Pieces):
                known.append(piece.string_value)
            else:
                _put(node, last, _Pieces([piece.string_value]), piece.json_path)
        elif given(piece.number_value):
            _put(node, last, piece.number_value, piece.json_path)
        elif piece.bool_value is not None:
            _put(node, last, piece.bool_value, piece.json_path)
        else:
            _put(node, last, NULL, piece.json_path)

    def text(self) -> str:
        """The arguments as JSON."""
        return self.whole if self.whole is not None else json.encode(_joined(self._root)).decode()


def _steps(path: str) -> list[str | int]:
    position, steps = 1, list[str | int]()
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            break
        name, index, *quoted = match.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else _ESCAPE.sub(r"\1", quoted[0] or quoted[1] or ""))
        position = match.end()
    if not path.startswith("$") or position < len(path) or not steps or isinstance(steps[0], int):
        raise MalformedMessage(f"{path!r} is not a path to an argument", "functionCall.partialArgs")
    return steps


def _get(node: Tree, step: str | int) -> object:
    if isinstance(node, dict):
        return node.get(cast(str, step))
    return node[step] if isinstance(step, int) and step < len(node) else None


def _enter(node: Tree, step: str | int, kind: type[Tree], path: str) -> Tree:
    known = _get(node, step)
    if isinstance(known, dict | list) and not isinstance(known, _Pieces):
        return cast(Tree, known)
    inner: Tree = kind()
    _put(node, step, inner, path)
    return inner


def _put(node: Tree, step: str | int, value: object, path: str) -> None:
    """Lists grow by one: an index beyond the end would let a few bytes ask for any amount of memory."""
    if isinstance(node, dict) and isinstance(step, str):
        node[step] = value
        return
    if not isinstance(node, list) or not isinstance(step, int) or step > len(node):
        raise MalformedMessage(f"{path!r} does not fit what came before", "functionCall.partialArgs")
    if step == len(node):
        node.append(value)
    else:
        node[step] = value


def _joined(node: object) -> object:
    if isinstance(node, _Pieces):
        return "".join(node)
    if isinstance(node, dict):
        return {name: _joined(value) for name, value in cast("dict[str, object]", node).items()}
    if isinstance(node, list):
        return [_joined(value) for value in cast("list[object]", node)]
    return node
