"""Acme: speaks the Messages protocol at an address of its own, with a key that needs a prefix."""

from __future__ import annotations

import msgspec

from aiclient2api.errors import ErrorInfo, UpstreamError
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.classify import classify
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.wire.http import WireRequest


class AcmeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an Acme account."""

    token: Secret
    address: str


class Acme(msgspec.Struct, frozen=True):
    """The adapter of one account."""

    settings: AcmeSettings
    protocols: tuple[str, ...] = ("anthropic",)
    streams: bool = True

    @property
    def credentials(self) -> Credentials:
        """See Provider."""
        return Credentials(self.settings.token)

    def url(self, protocol: str, path: str) -> str:
        """See Provider."""
        return self.settings.address + path

    def sign(self, request: WireRequest, protocol: str, credentials: Credentials) -> WireRequest:
        """See Provider."""
        own = (("x-api-key", f"acme-{credentials.secret.reveal()}"), ("anthropic-version", "2023-06-01"))
        return msgspec.structs.replace(request, headers=own)

    def profile(self, model: str, protocol: str) -> ModelProfile:
        """See Provider."""
        return DEFAULT_PROFILE

    def classify(self, error: ErrorInfo) -> UpstreamError:
        """See Provider."""
        return classify(error)


ACME = ProviderSpec("acme", AcmeSettings, Acme, family=("acme-*",), environment=("ACME_TOKEN",))
