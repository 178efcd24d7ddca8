"""What accounts share with each other: hosts, and the models of their providers. One for all pools of a process."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from aiclient2api.accounts.circuit import CLOSED, Circuit, CircuitState, Limits
from aiclient2api.accounts.health import AccountState
from aiclient2api.accounts.policy import DEFAULTS, Policy
from aiclient2api.accounts.throttle import Throttle

MAX_MODELS: Final = 1024
"""Model names come from requests: beyond, the oldest is forgotten."""


class HealthObserver(Protocol):
    """Told of every change, on the event loop. Times are this process's monotonic clock."""

    def account_changed(self, account: str, model: str | None, state: AccountState) -> None:
        """An account's health, or with `model` what is known of that model on it."""
        ...

    def circuit_changed(self, name: str, state: CircuitState) -> None:
        """`host:…` or `model:provider/…`."""
        ...


class Dependent(Protocol):
    """Keeps something that was made from these states."""

    def changed(self) -> None:
        """Make it again."""
        ...


class ProviderModel:
    """One model at one provider, over all accounts and pools."""

    __slots__ = ("doubts", "overload", "served_at", "served_by", "throttle")

    def __init__(self, overload: Circuit, throttle: Throttle) -> None:
        self.overload = overload
        self.throttle = throttle
        self.served_by: object = None
        """The account that answered last."""
        self.served_at = 0.0
        self.doubts = 0
        """Failures since then, on whichever account: several in a row are rather the provider's than theirs."""


class Surroundings:
    """Makes each of them once."""

    def __init__(self, policy: Policy = DEFAULTS, observer: HealthObserver | None = None) -> None:
        self.policy = policy
        self.observer = observer
        self.hosts: dict[str, Circuit] = {}
        self.models: dict[str, dict[str, ProviderModel]] = {}
        self.is_calm = True
        """No circuit is open."""
        self._dependents: weakref.WeakSet[Dependent] = weakref.WeakSet()

    def add(self, dependent: Dependent) -> None:
        """Tell it of every change of a circuit."""
        self._dependents.add(dependent)

    def host(self, name: str) -> Circuit:
        """The circuit of a host."""
        circuit = self.hosts.get(name)
        if circuit is None:
            health = self.policy.health
            limits = Limits(failures=health.host_failures, base=health.host, maximum=health.host_max)
            circuit = self.hosts[name] = Circuit(f"host:{name}", limits, self._changed)
        return circuit

    def provider(self, name: str) -> Callable[[str], ProviderModel]:
        """Finds the models of a provider by name."""
        models = self.models.setdefault(name, {})

        def find(model: str) -> ProviderModel:
            found = models.get(model)
            return self._new(name, model) if found is None else found

        return find

    def _new(self, provider: str, model: str) -> ProviderModel:
        models, health = self.models[provider], self.policy.health
        if len(models) >= MAX_MODELS:
            del models[next(iter(models))]
        limits = Limits(failures=health.overload_failures, base=health.overload, maximum=health.overload_max)
        made = models[model] = ProviderModel(
            Circuit(f"model:{provider}/{model}", limits, self._changed), Throttle(self.policy.throttle)
        )
        return made

    def circuits(self) -> Iterator[Circuit]:
        """All that are not closed."""
        for circuit in self.hosts.values():
            if circuit.state is not CLOSED:
                yield circuit
        for models in self.models.values():
            for shared in models.values():
                if shared.overload.state is not CLOSED:
                    yield shared.overload

    def take_over(self, before: Surroundings) -> None:
        """After a reload: what was out stays out, where there are still accounts that it is about."""
        for name, circuit in self.hosts.items():
            if name in before.hosts:
                circuit.state = before.hosts[name].state
        for provider in self.models:
            find = self.provider(provider)
            for model, shared in before.models.get(provider, {}).items():
                find(model).overload.state = shared.overload.state
        self.is_calm = self._is_calm()

    def _is_calm(self) -> bool:
        return not any(circuit.state.is_open for circuit in self.circuits())

    def _changed(self, name: str, state: CircuitState) -> None:
        self.is_calm = self._is_calm()
        for dependent in self._dependents:
            dependent.changed()
        if self.observer is not None:
            self.observer.circuit_changed(name, state)
