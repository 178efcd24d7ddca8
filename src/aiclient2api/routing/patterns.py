"""Name patterns (`gpt-*`, `o[0-9]*`): the more a pattern spells out, the sooner it is asked."""

from __future__ import annotations

import re
from fnmatch import translate

_WILD = re.compile(r"[*?[]")
_CLASS = re.compile(r"\[[^\]]+\]")


def is_pattern(name: str) -> bool:
    """Whether `name` has a wildcard."""
    return _WILD.search(name) is not None


def length(pattern: str) -> int:
    """How many characters the pattern spells out; a character class is one of them, `*` none."""
    return len(_CLASS.sub("?", pattern).replace("*", ""))


def compiled(pattern: str) -> re.Pattern[str]:
    """`pattern` as a regular expression for the whole name; `*` takes `/` too."""
    return re.compile(translate(pattern))
