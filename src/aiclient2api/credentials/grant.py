"""What an account gets its access tokens with: the request to the token endpoint, and its answer. Pure.

RFC 6749 sections 4.4 (client credentials), 5 (answers) and 6 (refresh tokens), RFC 7523 section 2.1 (JWT bearer). Only
clients that the operator registered: every address, id and secret comes from the configuration.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, Literal, cast
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from aiclient2api.credentials.assertion import Algorithm, signed
from aiclient2api.providers.credentials import Secret

Kind = Literal["refresh_token", "client_credentials", "jwt_bearer"]
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFE: Final = 300.0
"""Seconds that an assertion is good for."""
MAX_LIFE: Final = 10 * 365 * 86_400.0
REAUTH: Final = "invalid_grant"
"""What a token endpoint says of a refresh token that is revoked, expired or used before (RFC 6749 section 5.2)."""


class Grant(Struct, frozen=True, kw_only=True):
    """How tokens are asked for. `life` and `reuse` in seconds."""

    kind: Kind
    token_url: str
    client_id: str = ""
    client_secret: Secret | None = None
    client_auth: Literal["basic", "body"] = "basic"
    refresh_token: Secret | None = None
    """The first one; what the endpoint gives later takes its place."""
    scope: str = ""
    audience: str = ""
    issuer: str = ""
    subject: str = ""
    private_key: Secret | None = None
    key_id: str = ""
    algorithm: Algorithm = "RS256"
    life: float = 3600.0
    """Of a token whose answer does not say."""
    reuse: float = 0.0
    """For how long the endpoint takes a refresh token again whose first answer was lost; 0 for not at all."""

    @property
    def seed(self) -> str:
        """Names this configuration without telling its secrets, which nobody can guess: another one begins anew."""
        secrets = (self.refresh_token, self.private_key)
        parts = (
            self.kind,
            self.token_url,
            self.client_id,
            *(each.reveal() if each else "" for each in secrets),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Fresh(Struct, frozen=True):
    """A token. `refresh` is the next refresh token, None when the old one stays good; `life` in seconds."""

    access: Secret
    refresh: Secret | None
    life: float


class Refused(Struct, frozen=True):
    """The endpoint said no: nothing was used up."""

    code: str
    retry_after: float = 0.0


class Unsent(Struct, frozen=True):
    """The endpoint never got the request."""

    code: str


class Lost(Struct, frozen=True):
    """The request went out and no answer came: whether it had its effect is not known."""

    code: str


Answer = Fresh | Refused | Unsent | Lost


class TokenRequest(Struct, frozen=True):
    """A POST to the token endpoint."""

    body: bytes
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return "TokenRequest(***)"


def token_request(grant: Grant, refresh: Secret | None, now: float, nonce: str) -> TokenRequest:
    """The form that asks for a token. `now` is Unix time, `nonce` makes an assertion unique."""
    form: dict[str, str] = {"grant_type": grant.kind}
    match grant.kind:
        case "refresh_token":
            assert refresh is not None
            form["refresh_token"] = refresh.reveal()
        case "client_credentials":
            pass
        case "jwt_bearer":
            form["grant_type"] = JWT_BEARER
            form["assertion"] = _assertion(grant, now, nonce)
    if grant.scope and grant.kind != "jwt_bearer":
        form["scope"] = grant.scope
    if grant.audience and grant.kind == "client_credentials":
        form["audience"] = grant.audience
    headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ]
    if grant.client_secret is not None and grant.client_auth == "basic":
        headers.append(("authorization", _basic(grant.client_id, grant.client_secret)))
    elif grant.client_id:
        form["client_id"] = grant.client_id
        if grant.client_secret is not None:
            form["client_secret"] = grant.client_secret.reveal()
    return TokenRequest(urlencode(form).encode(), tuple(headers))


def _basic(client: str, secret: Secret) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    pair = f"{quote(client, safe='')}:{quote(secret.reveal(), safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _assertion(grant: Grant, now: float, nonce: str) -> str:
    assert grant.private_key is not None
    issuer = grant.issuer or grant.client_id
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": grant.subject or issuer,
        "aud": grant.audience or grant.token_url,
        "iat": int(now),
        "exp": int(now + ASSERTION_LIFE),
        "jti": nonce,
    }
    if grant.scope:
        claims["scope"] = grant.scope  # as Google's service accounts want it; others ignore it
    return signed(claims, grant.private_key, grant.algorithm, grant.key_id)


def read_answer(grant: Grant, status: int, body: bytes, retry_after: float = 0.0) -> Answer:
    """What a token endpoint's answer says. Its text is never shown: it may hold what it should not."""
    members = _members(body)
    if status != 200:
        code = members.get("error")
        return Refused(_word(code) if isinstance(code, str) else f"status_{status}", retry_after)
    access, refresh = members.get("access_token"), members.get("refresh_token")
    kind = members.get("token_type", "Bearer")
    if not isinstance(access, str) or not access or not access.isascii() or not access.isprintable():
        # it may have made a token all the same, and used the old one up
        return Lost("no_token_in_answer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return Lost("not_a_bearer_token")
    return Fresh(
        Secret(access),
        Secret(refresh) if isinstance(refresh, str) and refresh else None,
        _life(members.get("expires_in"), grant.life),
    )


def _members(body: bytes) -> dict[str, Any]:
    try:
        data: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return cast(dict[str, Any], data) if isinstance(data, dict) else {}


def _life(given: object, default: float) -> float:
    """Some write the number as text."""
    try:
        seconds = float(given) if isinstance(given, int | float | str) else default
    except (ValueError, OverflowError):
        seconds = default
    return min(seconds, MAX_LIFE) if seconds > 0 else default


def _word(code: str) -> str:
    """An error code for the log; an endpoint may write anything."""
    kept = "".join(
        letter for letter in code[:40] if letter.isascii() and (letter.isalnum() or letter in "_-.")
    )
    return kept or "refused"
