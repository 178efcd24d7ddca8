"""The section of an account whose credential expires: how its tokens are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from aiclient2api.config.units import Duration
from aiclient2api.credentials.assertion import Algorithm, check_key
from aiclient2api.credentials.grant import Grant, Kind
from aiclient2api.providers.base_url import check_base_url
from aiclient2api.providers.credentials import Secret


class OAuth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only of a client that the operator registered; `token_url` comes from here and from nowhere else."""

    grant: Kind
    token_url: str
    client_id: str = ""
    client_secret: Secret | None = None
    client_auth: Literal["basic", "body"] = "basic"
    refresh_token: Secret | None = None
    scope: str = ""
    audience: str = ""
    issuer: str = ""
    subject: str = ""
    private_key: Path | None = None
    key_id: str = ""
    algorithm: Algorithm = "RS256"
    life: Duration = Duration(3600)
    reuse: Duration = Duration(0)

    def __post_init__(self) -> None:
        try:
            check_base_url(self.token_url)
        except ValueError as error:
            raise ValueError(str(error).replace("base_url", "token_url")) from None
        missing = [name for name in _needs(self.grant) if not getattr(self, name)]
        if missing:
            raise ValueError(f"grant {self.grant} needs {', '.join(missing)}")
        if self.grant == "jwt_bearer" and not (self.issuer or self.client_id):
            raise ValueError("grant jwt_bearer needs issuer or client_id")

    def made(self) -> Grant:
        """What the tokens are fetched with. Raises ValueError for a private key that cannot be used."""
        given = msgspec.structs.asdict(self)
        kind, path = given.pop("grant"), given.pop("private_key")
        key = None if path is None else _private_key(path)
        if key is not None:
            try:
                check_key(key, self.algorithm)
            except ValueError as error:
                raise ValueError(f"private_key: {path} {error}") from None
        return Grant(kind=kind, private_key=key, **given)


def _needs(grant: Kind) -> tuple[str, ...]:
    match grant:
        case "refresh_token":
            return ("refresh_token",)
        case "client_credentials":
            return ("client_id", "client_secret")
        case "jwt_bearer":
            return ("private_key",)


def _private_key(path: Path) -> Secret:
    """PEM, or a JSON file with the member `private_key`, as service accounts come in."""
    try:
        text = path.read_text("utf-8")
        if text.lstrip().startswith("{"):
            text = str(msgspec.json.decode(text, type=dict[str, object]).get("private_key", ""))
    except UnicodeDecodeError:
        raise ValueError(f"private_key: {path} is not text") from None
    except OSError as error:
        raise ValueError(f"private_key: {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise ValueError(f"private_key: {path} is neither PEM nor JSON with a private_key") from None
    return Secret(text)
