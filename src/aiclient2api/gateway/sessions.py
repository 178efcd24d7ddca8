"""Which account a relayed conversation was with: what its history carries can only that one read.

A converted history names its account in its envelopes. A relayed one is as the provider made it: signed thoughts of
Claude, encrypted reasoning of OpenAI, thought signatures of Gemini, bound to the account or its organization. So who
answered is remembered by what stays the same in a conversation: the session that the client names, else its first turn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from aiclient2api.gateway.pins import Pins
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.wire.http import find_header

LOOKED_AT: Final = 4096
"""Bytes of the first turn that tell conversations apart."""
_STATE: Final[Mapping[str, tuple[bytes, ...]]] = {
    "anthropic": (b'"signature"', b'"redacted_thinking"'),
    "openai_responses": (b'"encrypted_content"',),
    "gemini": (b'"thoughtSignature"', b'"thought_signature"'),
}
"""One of these is in every history with bound state."""
_TURNS: Final = {
    name: re.compile(rb'"%b"\s*:\s*(?=[\["])' % member)
    for name, member in (("anthropic", b"messages"), ("openai_responses", b"input"), ("gemini", b"contents"))
}
_HEADERS: Final = ("session_id", "session-id", "conversation_id")
"""As Codex sends them."""
_SESSION: Final = re.compile(
    rb'"user_id"\s*:\s*"(?:[^"\\]|\\.){0,256}?session(?:_id)?[^0-9A-Za-z]{1,8}([0-9A-Za-z-]{16,64})'
)
"""In the metadata of Claude Code."""  # fmt: skip
_CACHE_KEY: Final = re.compile(rb'"prompt_cache_key"\s*:\s*("(?:[^"\\]|\\.){1,256}")')
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]]')
_CACHE_MARK: Final = re.compile(rb',?\s*"cache_control"\s*:\s*\{[^{}]*\}')
"""It moves on with the conversation, away from the first turn."""


class Sessions:
    """Conversation → the mark of the account that answered last."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins

    def may_know(self, inbound: Inbound) -> bool:
        """Whether the history has state of an account."""
        return any(map(inbound.wire.body.__contains__, _STATE.get(inbound.converter.name, ())))

    async def account_of(self, inbound: Inbound) -> str | None:
        """The account that made the state in a relayed history, as far as it is known here or in the store."""
        if not self.may_know(inbound):
            return None
        name = name_of(inbound)
        return await self._pins.account_of(inbound.tenant, name) if name else None

    def remember(self, inbound: Inbound, mark: str) -> None:
        """An account has begun to answer, in the client's own protocol."""
        if name := name_of(inbound):
            self._pins.remember(inbound.tenant, name, mark)


def name_of(inbound: Inbound) -> str:
    """What stands for the conversation; empty where histories of the protocol carry no state."""
    protocol, body = inbound.converter.name, inbound.wire.body
    if protocol not in _STATE:
        return ""
    session = next((found for name in _HEADERS if (found := find_header(inbound.wire.headers, name))), None)
    if session is not None:
        what = session.encode()
    elif protocol == "anthropic" and (named := _SESSION.search(body)):
        what = named[1]
    else:
        key = _CACHE_KEY.search(body)
        what = (key[1] if key else b"") + first_turn(protocol, body)
    return f"session-{hashlib.blake2b(what, digest_size=16).hexdigest()}" if what else ""


def first_turn(protocol: str, body: bytes) -> bytes:
    """The user's first turn as it was sent, or its beginning: the same in every request of a conversation."""
    start = _TURNS[protocol].search(body)
    if start is None:
        return b""
    window = body[start.end() : start.end() + LOOKED_AT]
    depth = begin = 0
    for token in _TOKEN.finditer(window):
        match token[0]:
            case b"{" | b"[":
                begin = token.start() if depth == 1 else begin
                depth += 1
            case b"}" | b"]":
                depth -= 1
                turn = window[begin : token.end()]
                if depth == 1 and b'"user"' in turn:
                    return _CACHE_MARK.sub(b"", turn)
            case text if depth == 0:
                return text
            case _:
                pass
    return _CACHE_MARK.sub(b"", window)
