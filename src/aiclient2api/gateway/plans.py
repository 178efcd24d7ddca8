"""What is the same for all requests of one kind, worked out for the first of them: where they go, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.policy import Policy
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.gateway.carried import Carried
from aiclient2api.gateway.failover import Hop, hops_of
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.conversion import Target as ConversionTarget
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.routing.targets import Target

STATEFUL_PROTOCOL: Final = "openai_responses"
"""The one protocol whose upstreams keep conversations."""
KEPT: Final = 4096
"""Kinds of requests that are remembered; model names come from clients."""


class Plan(Struct, frozen=True):
    """The way of requests of one client protocol and operation along one chain."""

    hops: tuple[Hop, ...]
    is_converted: bool
    """Whether a conversation is decoded for the first account's protocol."""
    keeps_sessions: bool
    """Whether it matters who answered before: there is a choice, and a relay would not say."""
    is_plain: bool
    """Whether nothing has to be looked up before an account is chosen, unless a stored response is continued."""


class Aim(Struct, frozen=True):
    """One account and model, for requests of one tenant, client protocol and operation."""

    converter: Converter
    """Of the upstream's protocol."""
    is_own: bool
    """It is the client's as well."""
    is_converted: bool
    """Whether a conversation is decoded for it: a relay strips nothing, so it restores nothing."""
    is_stateful: bool
    """The upstream may keep the conversation."""
    target: ConversionTarget


class Plans:
    """Of one configuration: pools, their accounts and what these speak do not change."""

    def __init__(
        self,
        pools: Mapping[str, AccountPool],
        converters: ConverterFactory,
        carried: Carried,
        policy: Policy,
    ) -> None:
        self._pools = pools
        self._converters = converters
        self._carried = carried
        self._policy = policy
        self._plans: dict[tuple[tuple[Target, ...], str, str], Plan] = {}
        self._aims: dict[tuple[str, str, str, str, str], Aim] = {}

    def plan(self, inbound: Inbound, targets: tuple[Target, ...]) -> Plan:
        """How a request goes along these targets."""
        key = (targets, inbound.converter.name, inbound.peek.operation)
        plan = self._plans.get(key)
        return self._new_plan(key, inbound) if plan is None else plan

    def aim(self, inbound: Inbound, account: Account, model: str) -> Aim:
        """What an attempt on this account is aimed at."""
        key = (inbound.converter.name, inbound.peek.operation, inbound.tenant, account.name, model)
        aim = self._aims.get(key)
        return self._new_aim(key, inbound, account) if aim is None else aim

    def protocol(self, inbound: Inbound, account: Account) -> str:
        """What this account is spoken to in."""
        client, operation = inbound.converter.name, inbound.peek.operation
        return self._converters.protocol_for(client, account.protocols, operation)

    def _new_plan(self, key: tuple[tuple[Target, ...], str, str], inbound: Inbound) -> Plan:
        targets = key[0]
        first = self._pools[targets[0].pool].accounts[:1]
        is_converted = bool(first) and _converts(inbound, self.protocol(inbound, first[0]))
        keeps_sessions = self._keeps_sessions(inbound, targets)
        plan = Plan(
            hops_of(targets, self._pools, self._policy.retries),
            is_converted,
            keeps_sessions,
            inbound.peek.operation == "generate" and not (is_converted or keeps_sessions),
        )
        if len(self._plans) >= KEPT:
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _keeps_sessions(self, inbound: Inbound, targets: tuple[Target, ...]) -> bool:
        if self._policy.affinity != "conversation" or inbound.peek.operation != "generate":
            return False
        for target in targets:
            accounts = self._pools[target.pool].accounts
            if len(accounts) > 1 and inbound.converter.name in accounts[0].protocols:
                return True
        return False

    def _new_aim(self, key: tuple[str, str, str, str, str], inbound: Inbound, account: Account) -> Aim:
        protocol, model = self.protocol(inbound, account), key[-1]
        is_own = protocol == inbound.converter.name
        aim = Aim(
            self._converters[protocol],
            is_own,
            _converts(inbound, protocol),
            is_own and protocol == STATEFUL_PROTOCOL,
            ConversionTarget(
                model=model,
                profile=account.provider.profile(model, protocol),
                streams=account.provider.streams,
                account=account.mark,
                remember=partial(self._carried.remember, inbound.tenant),
            ),
        )
        if len(self._aims) >= KEPT:
            self._aims.clear()
        self._aims[key] = aim
        return aim


def _converts(inbound: Inbound, protocol: str) -> bool:
    return protocol != inbound.converter.name and inbound.peek.operation != "embed"
