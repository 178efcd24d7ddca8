"""An identity provider that rotates refresh tokens and revokes the whole family when one is used twice.

The rules are those of RFC 9700, 4.14.2: a refresh token is good once; who comes with an old one makes everything that
came of it void. With `grace` the last one is taken again for so many seconds, with the same successor as the answer.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from msgspec import Struct


class Issued(Struct):
    """One refresh token."""

    family: int
    used_at: float | None = None
    successor: str = ""


class IdentityProvider:
    """`now` in seconds, any origin; `life` of access tokens."""

    def __init__(
        self, now: Callable[[], float], *, life: float = 3600.0, grace: float = 0.0, rotates: bool = True
    ) -> None:
        self.life = life
        self.rotates = rotates
        self.uses: Counter[str] = Counter()
        """Accepted uses of each refresh token."""
        self.revoked: set[int] = set()
        self.reuses = 0
        self._now = now
        self._grace = grace
        self._numbers = itertools.count(1)
        self._tokens: dict[str, Issued] = {}
        self._access: dict[str, tuple[int, float]] = {}

    def enrol(self) -> str:
        """A new family: its first refresh token."""
        family = next(self._numbers)
        return self._issue(family)

    def _issue(self, family: int) -> str:
        text = f"rt-{family}-{next(self._numbers)}"
        self._tokens[text] = Issued(family)
        return text

    def access_token(self, family: int = 0) -> str:
        """A new access token."""
        text = f"at-{family}-{next(self._numbers)}"
        self._access[text] = (family, self._now() + self.life)
        return text

    def takes(self, access: str) -> bool:
        """Whether an access token is good."""
        family, until = self._access.get(access, (0, 0.0))
        return self._now() < until and family not in self.revoked

    def spoil(self) -> None:
        """No access token so far is good any more."""
        self._access.clear()

    def successor(self, refresh: str) -> str:
        """What came of a refresh token, empty when it was not used."""
        return self._tokens[refresh].successor

    def revoke(self, family: int = 1) -> None:
        """As somebody does in a console."""
        self.revoked.add(family)

    def redeem(self, refresh: str) -> tuple[int, dict[str, object]]:
        """Status and members of the answer to a refresh."""
        issued = self._tokens.get(refresh)
        if issued is None or issued.family in self.revoked:
            return 400, {"error": "invalid_grant"}
        now = self._now()
        if issued.used_at is not None and self.rotates:
            successor = self._tokens[issued.successor]
            if now - issued.used_at > self._grace or successor.used_at is not None:
                self.reuses += 1
                self.revoked.add(issued.family)
                return 400, {"error": "invalid_grant"}
        self.uses[refresh] += 1
        if self.rotates and issued.used_at is None:
            issued.used_at, issued.successor = now, self._issue(issued.family)
        answer: dict[str, object] = {
            "access_token": self.access_token(issued.family),
            "token_type": "Bearer",
            "expires_in": self.life,
        }
        if self.rotates:
            answer["refresh_token"] = issued.successor
        return 200, answer
