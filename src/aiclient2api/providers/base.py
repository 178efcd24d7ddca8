"""What an upstream adapter has to offer. An instance serves one account and does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from aiclient2api.errors import ErrorInfo, UpstreamError
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.providers.credentials import Credentials
from aiclient2api.wire.http import WireRequest


class Provider(Protocol):
    """The adapter of one account.

    One whose `sign` does not look at the body and changes neither path nor body may say so with an attribute
    `signs_alike = True`: then it is not asked again for headers and credentials that it has just signed with.
    """

    @property
    def protocols(self) -> Sequence[str]:
        """The protocols this upstream speaks, the preferred one first."""
        ...

    @property
    def credentials(self) -> Credentials:
        """What the configuration gives to sign with."""
        ...

    @property
    def streams(self) -> bool:
        """Whether converted unary calls may be streamed upstream and folded."""
        ...

    def url(self, protocol: str, path: str) -> str:
        """The absolute address of a converter's relative path."""
        ...

    def sign(self, request: WireRequest, protocol: str, credentials: Credentials) -> WireRequest:
        """The request with the provider's documented authentication headers."""
        ...

    def profile(self, model: str, protocol: str) -> ModelProfile:
        """What this model can do here."""
        ...

    def classify(self, error: ErrorInfo) -> UpstreamError:
        """Whose fault an error answer is, and where the request goes next."""
        ...


class ProviderSpec(Struct, frozen=True):
    """A kind of upstream: its name in the configuration, its own account keys, and how an adapter is made.

    `settings` is a msgspec struct with `forbid_unknown_fields`; `build` gets an instance of it.
    """

    name: str
    settings: type[Struct]
    build: Callable[..., Provider]
    family: tuple[str, ...] = ()
    """Model name patterns that lead to this provider's pool without any configuration (`claude-*`)."""
    environment: tuple[str, ...] = ()
    """Well-known variables that hold its key; the first one set makes an account without a config file."""
