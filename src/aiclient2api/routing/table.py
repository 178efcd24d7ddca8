"""Which targets a model name leads to.

The order: an entry of `models` (exact, then the longest pattern) · `pool/model` · the accounts' `models` lists
· the name's family. Everything is decided from what the table was built with; nothing here knows about health.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NoReturn

import msgspec
from msgspec import Struct

from aiclient2api.errors import UnknownModel
from aiclient2api.routing.patterns import compiled, is_pattern, length
from aiclient2api.routing.targets import KEEP, Chain, Target

MAX_KEPT: Final = 1000
"""Names whose route is remembered."""


class Route(Struct, frozen=True):
    """The targets in the order they are tried, and the rule that found them, in words."""

    targets: tuple[Target, ...]
    rule: str
    context_fallback: tuple[Target, ...] = ()
    """Where a request goes that is too long for its target."""


class Member(Struct, frozen=True):
    """What routing knows of an account."""

    pool: str
    provider: str
    models: Sequence[str] = ()
    """Names and patterns of what the account serves; empty is everything."""


class _Matcher:
    """Exact names first, then patterns, the longest first and the earlier first among equals."""

    def __init__(self, names: Iterable[str]) -> None:
        unique = list(dict.fromkeys(names))
        self._exact = {name for name in unique if not is_pattern(name)}
        patterns = sorted((name for name in unique if is_pattern(name)), key=length, reverse=True)
        self._patterns: list[tuple[re.Pattern[str], str]] = [(compiled(name), name) for name in patterns]

    def find(self, model: str) -> str | None:
        if model in self._exact:
            return model
        for pattern, name in self._patterns:
            if pattern.match(model):
                return name
        return None


class RouteTable:
    """Built once per configuration; `families` maps a name pattern to the provider whose pool serves it."""

    def __init__(
        self, chains: Mapping[str, Chain], members: Iterable[Member], families: Mapping[str, str]
    ) -> None:
        self._found: dict[tuple[str, str | None], Route] = {}
        self._chains = dict(chains)
        self._entries = _Matcher(self._chains)
        self._serving: dict[str, set[str]] = {}
        self._providers: dict[str, set[str]] = {}
        self._pools: set[str] = set()
        for member in members:
            self._pools.add(member.pool)
            self._providers.setdefault(member.provider, set()).add(member.pool)
            for name in member.models:
                self._serving.setdefault(name, set()).add(member.pool)
        self._lists = _Matcher(self._serving)
        self._families = dict(families)
        self._family = _Matcher(self._families)

    @property
    def chains(self) -> Mapping[str, Chain]:
        """The entries of `models`, expanded."""
        return self._chains

    @property
    def families(self) -> dict[str, list[str]]:
        """Family patterns to the pools that may serve them: the one named like the provider, else all it has."""
        found: dict[str, list[str]] = {}
        for pattern, provider in self._families.items():
            pools = self._providers.get(provider, set())
            if pools:
                found[pattern] = [provider] if provider in pools else sorted(pools)
        return found

    @property
    def pools(self) -> list[str]:
        """The pools that have an account, sorted."""
        return sorted(self._pools)

    def names(self) -> list[str]:
        """The model names that the configuration spells out, for lists of models."""
        listed = [name for name in (*self._chains, *self._serving) if not is_pattern(name)]
        return list(dict.fromkeys(listed))

    def resolve(self, model: str, pool: str | None = None) -> Route:
        """The route of a model name, limited to one pool if given. Raises UnknownModel."""
        route = self._found.get((model, pool))
        if route is None:
            route = self._search(model) if pool is None else self._forced(model, pool)
            if len(self._found) >= MAX_KEPT:
                self._found.clear()
            self._found[model, pool] = route
        return route

    def leads_to(self, model: str) -> str | None:
        """The one pool that a name leads to, under this very name."""
        try:
            targets = self._search(model).targets
        except UnknownModel:
            return None
        return targets[0].pool if len(targets) == 1 and targets[0].model == model else None

    def _search(self, model: str) -> Route:
        for rule in (self._by_entry, self._by_pool, self._by_list, self._by_family):
            route = rule(model)
            if route is not None:
                return route
        return self._unknown(model)

    def _by_entry(self, model: str) -> Route | None:
        name = self._entries.find(model)
        if name is None:
            return None
        chain = self._chains[name]
        return Route(
            _named(chain.targets, model), f"models entry {name!r}", _named(chain.context_fallback, model)
        )

    def _by_pool(self, model: str) -> Route | None:
        pool, _, name = model.partition("/")
        if not name or pool not in self._pools:
            return None
        return Route((Target(pool, name),), f"pool {pool!r}")

    def _by_list(self, model: str) -> Route | None:
        name = self._lists.find(model)
        if name is None:
            return None
        pool = _only(model, self._serving[name], f"{name!r} is in the models list of accounts")
        return Route((Target(pool, model),), f"an account's models list ({name!r})")

    def _by_family(self, model: str) -> Route | None:
        name = self._family.find(model)
        if name is None:
            return None
        pools = self.families.get(name)
        if pools is None:
            return None
        pool = _only(model, pools, f"{self._families[name]} accounts are")
        return Route((Target(pool, model),), f"family {name!r}")

    def _forced(self, model: str, pool: str) -> Route:
        if pool not in self._pools:
            raise UnknownModel(f"there is no pool {pool!r}")
        route = self._by_entry(model)
        targets = _within(pool, route.targets) if route is not None else ()
        if route is not None and targets:
            return Route(targets, f"{route.rule} in pool {pool!r}", _within(pool, route.context_fallback))
        name = model.removeprefix(f"{pool}/")
        return Route((Target(pool, name or model),), f"pool {pool!r} was asked for")

    def _unknown(self, model: str) -> NoReturn:
        tried = ["no models entry matches"]
        pool, slash, _ = model.partition("/")
        if slash:
            tried.append(f"there is no pool {pool!r}")
        tried.append("no account lists it")
        family = self._family.find(model)
        if family is None:
            tried.append("its name belongs to no known family")
        else:
            tried.append(f"its family {family!r} has no {self._families[family]} account")
        raise UnknownModel(f"model {model!r} is not known: {', '.join(tried)}")


def _named(targets: tuple[Target, ...], model: str) -> tuple[Target, ...]:
    """The targets with `*` replaced by the name the client asked for."""
    return tuple(
        msgspec.structs.replace(target, model=model) if target.model == KEEP else target for target in targets
    )


def _within(pool: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    return tuple(target for target in targets if target.pool == pool)


def _only(model: str, pools: Collection[str], why: str) -> str:
    """The single pool; several have no order, so the client has to choose."""
    if len(pools) > 1:
        choices = ", ".join(f"{pool}/{model}" for pool in sorted(pools))
        raise UnknownModel(f"model {model!r} is ambiguous, {why} in several pools: ask for one of {choices}")
    return next(iter(pools))
