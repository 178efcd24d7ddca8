"""Schemas that Claude keeps to exactly: what it refuses becomes what comes nearest."""

from __future__ import annotations

import pytest
from msgspec import Raw

from aiclient2api.protocols.anthropic.schema_dialect import to_claude_schema

CASES: dict[str, tuple[bytes, bytes, list[tuple[str, str]]]] = {
    "closed objects": (
        b'{"type":"object","properties":{"a":{"properties":{},"additionalProperties":true}}}',
        b'{"type":"object","properties":{"a":{"properties":{},"additionalProperties":false}},"additionalProperties":false}',
        [
            ("$", "additionalProperties became false"),
            ("$.properties.a", "additionalProperties became false"),
        ],
    ),
    "nullable object": (
        b'{"type":["object","null"]}',
        b'{"type":["object","null"],"additionalProperties":false}',
        [("$", "additionalProperties became false")],
    ),
    "one of": (
        b'{"oneOf":[{"type":"string"},{"const":1.50}]}',
        b'{"anyOf":[{"type":"string"},{"enum":[1.50]}]}',
        [("$", "oneOf became anyOf"), ("$.anyOf[1]", "const became enum")],
    ),
    "limits": (
        b'{"type":"integer","minimum":1,"maximum":1.50}',
        b'{"type":"integer","description":"{minimum: 1, maximum: 1.50}"}',
        [("$", "limits moved to the description")],
    ),
    "limits and a description": (
        b'{"type":"string","description":"A name","maxLength":5}',
        b'{"type":"string","description":"A name\\n\\n{maxLength: 5}"}',
        [("$", "limits moved to the description")],
    ),
    "lists": (
        b'{"type":"array","minItems":2,"items":{"type":"string","format":"color"}}',
        b'{"type":"array","items":{"type":"string","description":"{format: \\"color\\"}"},"description":"{minItems: 2}"}',
        [("$", "limits moved to the description"), ("$.items", "limits moved to the description")],
    ),
    "a property that is named like a limit": (
        b'{"type":"object","properties":{"minimum":{"type":"string"}}}',
        b'{"type":"object","properties":{"minimum":{"type":"string"}},"additionalProperties":false}',
        [("$", "additionalProperties became false")],
    ),
}


@pytest.mark.parametrize(("schema", "expected", "notes"), CASES.values(), ids=CASES.keys())
def test_what_is_refused_becomes_what_comes_nearest(
    schema: bytes, expected: bytes, notes: list[tuple[str, str]]
) -> None:
    fitted, said = to_claude_schema(Raw(schema))
    assert (bytes(fitted), said) == (expected, notes)
    assert to_claude_schema(fitted) == (fitted, [])


@pytest.mark.parametrize(
    "schema",
    [
        b"true",
        b'{ "type": "object", "additionalProperties": false, "properties": { "a": {"$ref": "#/$defs/A"} },'
        b' "$defs": {"A": {"enum": [1, true]}} }',
        b'{"type":"array","minItems":1,"items":{"type":"string","format":"date-time","pattern":"^a"}}',
    ],
    ids=["anything", "closed", "what is enforced"],
)
def test_a_schema_that_fits_stays_byte_for_byte(schema: bytes) -> None:
    raw = Raw(schema)
    assert to_claude_schema(raw)[0] is raw
