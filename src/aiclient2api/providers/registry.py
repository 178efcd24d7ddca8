"""Provider names to specs: the built-in ones and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

from aiclient2api.errors import ConfigError
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.builtin import BUILTIN

GROUP = "aiclient2api.providers"
"""Entry point group; each entry is a ProviderSpec."""


class ProviderRegistry:
    """The known kinds of upstream, in the order of their registration."""

    def __init__(self, specs: Iterable[ProviderSpec]) -> None:
        self._specs: dict[str, ProviderSpec] = {}
        twice: list[str] = []
        for spec in specs:
            if spec.name in self._specs:
                twice.append(f"two providers are named {spec.name!r}")
            self._specs[spec.name] = spec
        if twice:
            raise ConfigError(twice)

    @classmethod
    def installed(cls) -> ProviderRegistry:
        """Built-in and third-party providers. Raises ConfigError for one that cannot be loaded."""
        return cls([*BUILTIN, *load_specs(entry_points(group=GROUP))])

    def get(self, name: str) -> ProviderSpec | None:
        """The spec of this name, None when there is none."""
        return self._specs.get(name)

    def __getitem__(self, name: str) -> ProviderSpec:
        return self._specs[name]

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def __iter__(self) -> Iterator[ProviderSpec]:
        return iter(self._specs.values())

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._specs)


def load_specs(points: Iterable[EntryPoint]) -> list[ProviderSpec]:
    """The specs behind entry points. Raises ConfigError that names every broken one."""
    specs: list[ProviderSpec] = []
    problems: list[str] = []
    for point in points:
        try:
            loaded: object = point.load()
        except Exception as error:  # a third party's import may fail in any way
            problems.append(f"provider plug-in {point.name!r} ({point.value}) cannot be loaded: {error!r}")
            continue
        if isinstance(loaded, ProviderSpec):
            specs.append(loaded)
        else:
            problems.append(f"provider plug-in {point.name!r} ({point.value}) is not a ProviderSpec")
    if problems:
        raise ConfigError(problems)
    return specs
