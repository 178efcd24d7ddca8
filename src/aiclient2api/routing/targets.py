"""The chain behind each entry of `models`: written as names, checked and expanded once.

A target is `pool/model`, or `pool/*` to keep the name the client asked for, or another entry of `models`,
which stands for that entry's whole chain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from aiclient2api.routing.patterns import is_pattern

KEEP = "*"
"""As the model of a target: the name the client asked for."""


class Target(Struct, frozen=True):
    """One step of a chain: a pool and the model's name there."""

    pool: str
    model: str

    def __str__(self) -> str:
        return f"{self.pool}/{self.model}"


class Entry(Struct, frozen=True):
    """One entry of `models` as it is written."""

    targets: Sequence[str]
    context_fallback: str | None = None


class Chain(Struct, frozen=True):
    """One entry of `models`, expanded."""

    targets: tuple[Target, ...]
    context_fallback: tuple[Target, ...] = ()


class _Expansion:
    def __init__(self, entries: Mapping[str, Entry], pools: Collection[str]) -> None:
        self.problems: list[str] = []
        self._entries = entries
        self._pools = pools

    def chain(self, name: str) -> Chain:
        entry = self._entries[name]
        path = f"models.{name}"
        if not entry.targets:
            self.problems.append(f"{path}.targets: needs at least one target")
        targets: list[Target] = []
        for index, text in enumerate(entry.targets):
            self._add(text, f"{path}.targets[{index}]", (name,), targets)
        fallback: list[Target] = []
        if entry.context_fallback is not None:
            self._add(entry.context_fallback, f"{path}.context_fallback", (name,), fallback)
            if any(target in targets for target in fallback):
                self.problems.append(f"{path}.context_fallback: leads back to one of the entry's own targets")
        return Chain(tuple(targets), tuple(fallback))

    def _add(self, text: str, path: str, seen: tuple[str, ...], out: list[Target]) -> None:
        """Append what `text` stands for; `seen` are the entries that led here."""
        pool, slash, model = text.partition("/")
        if slash and pool in self._pools:
            if not model or (is_pattern(model) and model != KEEP):
                self.problems.append(f"{path}: {text!r} must be pool/model, or pool/* to keep the name")
            elif Target(pool, model) not in out:
                out.append(Target(pool, model))
            return
        if text in seen:
            loop = " -> ".join((*seen[seen.index(text) :], text))
            self.problems.append(f"{path}: a loop of models entries: {loop}")
            return
        entry = self._entries.get(text)
        if entry is None:
            self.problems.append(f"{path}: {self._dangling(text, pool if slash else '')}")
            return
        for target in entry.targets:
            self._add(target, path, (*seen, text), out)

    def _dangling(self, text: str, pool: str) -> str:
        pools = ", ".join(sorted(self._pools)) or "none"
        if pool:
            return f"{text!r} leads nowhere: no account is in pool {pool!r} (pools: {pools})"
        return f"{text!r} is neither pool/model nor an entry of models (pools: {pools})"


def expand(entries: Mapping[str, Entry], pools: Collection[str]) -> tuple[dict[str, Chain], list[str]]:
    """Every entry's chain, and every problem with its key path: dangling targets, loops, empty chains."""
    expansion = _Expansion(entries, pools)
    chains = {name: expansion.chain(name) for name in entries}
    return chains, list(dict.fromkeys(expansion.problems))
