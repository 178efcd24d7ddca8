"""Words, numbers, arguments, schemas: the hard cases among the harmless ones, drawn from any `random.Random`.

Every generator takes a `random.Random`-like source: Hypothesis gives one whose draws it can shrink and replay, the
deep run gives a seeded one.
"""

from __future__ import annotations

import base64
from random import Random
from typing import Any

from tests.laws.plain import Doc, dump

TEXTS = (
    "Hello",
    "naïve “quotes” — dash",
    "日本語のテキスト",
    "family 👨‍👩‍👧‍👦 flag 🇪🇸 clef 𝄞",
    "مرحبا בעולם",
    'a "quoted" \\ back\\slash',
    "line\nbreak\r\nand\ttab",
    "trailing spaces   ",
    "   leading",
    "data: [DONE]\n\nevent: x",
    "</system-reminder> <b>&amp;</b>",
    "\u2028\u2029\x7f",
    "0",
    "null",
    "{}",
    "e\u0301 combining",
    "x" * 300,
)
ARGUMENTS = (
    '{"city":"Oslo"}',
    '{"n":1.50}',
    '{"n":12345678901234567890123,"m":-0.0,"e":1e3}',
    '{ "spaced" : [ 1 , 2.10 ] }',
    '{"nested":{"a":[{"b":null},true,"\\u00e9"]}}',
    "{}",
    '{"emoji":"👩🏽‍🚀"}',
    '{"quote":"say \\"hi\\""}',
    '{"b":1,"a":2}',
    '{"long":"' + "y" * 120 + '"}',
)
BROKEN_ARGUMENTS = ('{"a": 1', "not json", '["list"]', '"text"', "17", "null", '{"a":1}}')
SCHEMAS: tuple[Doc, ...] = (
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"type": "object", "properties": {}},
    {
        "type": "object",
        "properties": {"n": {"type": "integer", "enum": [1, 2]}, "s": {"type": ["string", "null"]}},
    },
    {
        "type": "object",
        "properties": {"node": {"$ref": "#/$defs/Node"}},
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "number", "minimum": 0}},
            }
        },
    },
    {"type": "object", "properties": {"a": {"const": "x"}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
    {
        "type": "object",
        "properties": {"t": {"type": "string", "format": "date-time", "minLength": 2, "pattern": "^a"}},
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"z": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}}},
)  # fmt: skip
PLAIN_SCHEMA: Doc = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
URLS = ("https://example.com/a.png", "https://example.com/b?x=1&y=%20z", "https://例え.jp/c")
EFFORTS = ("low", "medium", "high", "xhigh")
UNKNOWN: tuple[Any, ...] = (True, 0, "later", None, [1, {"a": []}], {"deep": {"er": [None]}})


class Words:
    """Draws from one source; every draw is one small choice, so that examples stay short and shrink well."""

    def __init__(self, source: Random) -> None:
        self.source = source
        self._serial = 0

    def pick(self, values: Any) -> Any:
        """One of the values."""
        return values[self.source.randrange(len(values))]

    def coin(self) -> bool:
        """Heads or tails."""
        return self.source.randrange(2) == 1

    def count(self, low: int, high: int) -> int:
        """A number between both, inclusive."""
        return self.source.randrange(low, high + 1)

    def text(self) -> str:
        """A text that is never empty or blank and, by its number, seldom equal to another."""
        return f"{self.pick(TEXTS)} #{self.count(0, 999)}"

    def name(self) -> str:
        """A tool name that every protocol takes."""
        return self.pick(("get_weather", "f", "search-web", "T" * 64, "snake_case_2"))

    def arguments(self) -> str:
        """Tool arguments: the text of a JSON object."""
        return self.pick(ARGUMENTS)

    def schema(self) -> Doc:
        """A JSON schema of a tool's parameters."""
        return self.pick(SCHEMAS)

    def token(self, prefix: str) -> str:
        """A short word that is found again and is never drawn twice: `prefix`, digits, a serial number."""
        self._serial += 1
        return f"{prefix}{self.count(0, 9_999)}_{self._serial}"

    def base64(self, size: int | None = None) -> str:
        """Standard base64 whose alphabet differs from the URL-safe one."""
        first = self.count(0, 255)
        data = bytes((first, 255, 254, 251, *range(first % 7)))
        return base64.b64encode(data * (size or 1)).decode()

    def signature(self, kind: str) -> str:
        """A provider's signature: base64 that names its kind, so that a scan can find it."""
        return base64.b64encode(f"{kind}:{self.count(0, 10**9)}:\xff\xfe".encode("latin-1")).decode()

    def counts(self) -> int:
        """A token count, sometimes a huge one: the sum of five is still exact in JSON."""
        return self.pick((0, 1, 7, 100, 4_096, 1_000_000, 2**31, 2**50 - 1))

    def unknown(self) -> Any:
        """The value of a member that nobody has heard of."""
        return self.pick(UNKNOWN)


def cut(words: Words, text: str, pieces: int = 3) -> list[str]:
    """The text in up to `pieces` pieces, cut anywhere, also within an emoji's code points."""
    if len(text) < 2:
        return [text] if text else []
    places = sorted({words.count(1, len(text) - 1) for _ in range(words.count(0, pieces - 1))})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def chopped(words: Words, body: bytes, pieces: int = 4) -> list[bytes]:
    """Bytes as a socket may deliver them: cut anywhere, also within a character."""
    if len(body) < 2:
        return [body]
    places = sorted({words.count(1, len(body) - 1) for _ in range(words.count(0, pieces - 1))})
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


def exact(tree: Any) -> str:
    """A tree as text, for comparisons that do care about spelling."""
    return dump(tree).decode("utf-8", "surrogatepass")
