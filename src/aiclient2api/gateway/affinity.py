"""Which account a request would like: the one that holds its state, or the one that has its prompt cached."""

from __future__ import annotations

from typing import Final

from aiclient2api.accounts.policy import Policy
from aiclient2api.accounts.pool import ANYTHING, Wish
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.factory import ConverterFactory

PROMPT_BYTES: Final = 1024
_BEGINNINGS: Final = (b'"system', b'"instructions"', b'"messages"', b'"input"', b'"contents"')
"""The members with which a prompt begins, in the four protocols."""


def wish_of(inbound: Inbound, policy: Policy, converters: ConverterFactory) -> Wish:
    """By `policy.affinity`; the first preference is for the account that made the sealed state in the history."""
    may_probe = len(inbound.wire.body) <= policy.health.probe_body
    if inbound.has_envelopes or inbound.records or policy.affinity == "prompt_cache":
        return _particular(inbound, policy, converters, may_probe=may_probe)
    return ANYTHING if may_probe else Wish(may_probe=False)


def _particular(inbound: Inbound, policy: Policy, converters: ConverterFactory, *, may_probe: bool) -> Wish:
    account = prompt = None
    if policy.affinity == "conversation" and (inbound.has_envelopes or inbound.records):
        account = converters.sealed_by(inbound)
    if policy.affinity == "prompt_cache":
        prompt = _prompt(inbound, inbound.wire.body)
    if account is None and prompt is None and may_probe:
        return ANYTHING
    return Wish(account, prompt, may_probe)


def _prompt(inbound: Inbound, body: bytes) -> bytes:
    """What a provider's cache would look at: the client and the first KiB of the prompt."""
    places = [place for name in _BEGINNINGS if (place := body.find(name)) >= 0]
    start = min(places, default=0)
    return inbound.tenant.encode() + b"\0" + body[start : start + PROMPT_BYTES]
