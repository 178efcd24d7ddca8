"""The adapter of every upstream that is reached at a base URL with a key in a header.

What differs between them (protocols, header, path prefix, capabilities) is data given to `ApiKeyProvider`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import Struct

from aiclient2api.errors import ErrorInfo, UpstreamError
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.providers.classify import classify
from aiclient2api.providers.credentials import Credentials
from aiclient2api.wire.http import Headers, WireRequest

Auth = Literal["authorization", "x-api-key", "x-goog-api-key"]
"""The header a provider documents for its key; `authorization` takes a Bearer token."""

NO_KEY = "none"
"""The key of an upstream that asks for none (a server in one's own network)."""

_CREDENTIAL_HEADERS = frozenset(("authorization", "x-api-key", "x-goog-api-key", "api-key"))


class ApiKeyProvider(Struct, frozen=True, kw_only=True):
    """One account at such an upstream; see Provider for what the attributes and methods mean."""

    signs_alike: ClassVar[bool] = True
    """See Provider."""
    protocols: Sequence[str]
    base_url: str
    credentials: Credentials
    auth: Auth
    profiles: Callable[[str, str], ModelProfile]
    """The profile of a model and protocol."""
    streams: bool = True
    headers: Headers = ()
    prefixes: Mapping[str, str] = {}
    """What goes between the base URL and a protocol's relative paths."""

    def url(self, protocol: str, path: str) -> str:
        """See Provider. `path` comes escaped."""
        return self.base_url.rstrip("/") + self.prefixes.get(protocol, "") + path

    def sign(self, request: WireRequest, protocol: str, credentials: Credentials) -> WireRequest:
        """See Provider. Whatever key the client came with never leaves the gateway."""
        own = _CREDENTIAL_HEADERS.union(dict(self.headers)) if self.headers else _CREDENTIAL_HEADERS
        headers = [header for header in request.headers if header[0] not in own]
        # the Messages API answers 400 without a version; a client's own or the profile's choice stays
        if protocol == "anthropic" and request.header("anthropic-version") is None:
            headers.append(("anthropic-version", DEFAULT_PROFILE.anthropic_version))
        headers.extend(self.headers)
        key = credentials.secret.reveal()
        if key != NO_KEY:
            is_bearer = credentials.generation or self.auth == "authorization"  # tokens are RFC 6750's
            headers.append(("authorization", f"Bearer {key}") if is_bearer else (self.auth, key))
        return msgspec.structs.replace(
            request, headers=tuple(headers), query=_without_key(request.query) if request.query else ""
        )

    def profile(self, model: str, protocol: str) -> ModelProfile:
        """See Provider."""
        return self.profiles(model, protocol)

    def classify(self, error: ErrorInfo) -> UpstreamError:
        """See Provider."""
        return classify(error)


def _without_key(query: str) -> str:
    """Gemini clients may send their key as `?key=`."""
    if "key=" not in query:
        return query
    return urlencode(
        [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "key"]
    )
