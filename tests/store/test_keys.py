"""The page about the store and the code that makes its keys say the same."""

from __future__ import annotations

import inspect
import re

from redis.crc import key_slot

from aiclient2api.store import keys
from tests.docs.pages import ROOT, code, read, rows

PAGE = "docs/redis-schema.md"
NAMES = {
    "account": "ACCOUNT",
    "pool": "POOL",
    "node": "NODE",
    "batch": "BATCH",
    "tenant": "TENANT",
    "response_id": "RESPONSE",
    "call_id": "CALL",
    "hour": "HOUR",
    "day": "DAY",
    "segment": "SEGMENT",
    "window": "MINUTE",
}


def made() -> dict[str, str]:
    """Each key function's name and what it makes of placeholders."""
    functions = {
        name: function
        for name, function in vars(keys).items()
        if inspect.isfunction(function) and not name.startswith("_") and name != "aside"
    }
    return {
        name: function(*(NAMES[parameter] for parameter in inspect.signature(function).parameters))
        for name, function in functions.items()
    }


def described() -> list[str]:
    return [code(row[0])[0] for row in rows(read(PAGE).split("## The values")[0]) if code(row[0])]


def test_every_key_has_a_row_and_every_row_a_key() -> None:
    assert sorted(described()) == sorted([*made().values(), keys.META, "a2:aside:{KEY}:HASH:STAMP"])


def test_no_other_module_makes_keys() -> None:
    found = [
        path.name
        for path in sorted((ROOT / "src").rglob("*.py"))
        if path.name != "keys.py" and re.search(r"""f?["']a2:v1:""", path.read_text("utf-8"))
    ]

    assert found == []


def test_what_is_moved_aside_stays_in_its_slot() -> None:
    for key in (*made().values(), "plain", "with{a}{b}tags"):
        assert key_slot(keys.aside(key, "1").encode()) == key_slot(key.encode())


def test_keys_that_are_written_together_are_in_one_slot() -> None:
    for tag in ("{accounts}", "{keys}", "{cred:ACCOUNT}"):
        together = [key for key in made().values() if tag in key]

        assert len(together) > 1
        assert len({key_slot(key.encode()) for key in together}) == 1
