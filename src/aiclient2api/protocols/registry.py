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
        where = f"protocol plug-in {point.name!r} ({point.value})"
        try:
            loaded: object = point.load()
        except Exception as error:  # a third party's import may fail in any way
            problems.append(f"{where} cannot be loaded: {error!r}")
            continue
        name: object = getattr(loaded, "name", None)
        if isinstance(loaded, type) or not isinstance(name, str):
            problems.append(f"{where} is not a Converter instance")
        elif name in found:
            problems.append(f"{where}: the protocol {name!r} exists already")
        else:
            found[name] = cast(Converter, loaded)
    if problems:
        raise ConfigError(problems)
    return list(found.values())
