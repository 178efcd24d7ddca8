"""The protocols there are: the built-in ones and those of installed packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import cast

from aiclient2api.errors import ConfigError
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.builtin import BUILTIN

GROUP = "aiclient2api.protocols"


def converters() -> Sequence[Converter]:
    """Built-in converters, then those of the entry points `aiclient2api.protocols` (each a Converter instance).

    Raises ConfigError for one that cannot be loaded or takes a name twice.
    """
    found = {converter.name: converter for converter in BUILTIN}
    problems: list[str] = []
    for point in entry_points(group=GROUP):
        try:
            converter = cast(Converter, point.load())
            name = converter.name
        except Exception as error:
            problems.append(f"entry point {GROUP}:{point.name}: {type(error).__name__}: {error}")
            continue
        if name in found:
            problems.append(f"entry point {GROUP}:{point.name}: the protocol {name!r} exists already")
            continue
        found[name] = converter
    if problems:
        raise ConfigError(problems)
    return list(found.values())
