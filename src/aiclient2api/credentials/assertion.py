"""Signed JWTs (RFC 7515, 7518 section 3), as the JWT bearer grant sends them. Pure."""

from __future__ import annotations

import base64
from typing import Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aiclient2api.providers.credentials import Secret

Algorithm = Literal["RS256", "ES256"]
MIN_RSA_BITS: Final = 2048
_HALF: Final = 32
"""Bytes of each of the two numbers of an ES256 signature."""


def signed(claims: dict[str, object], key: Secret, algorithm: Algorithm, key_id: str = "") -> str:
    """A compact JWT. Raises ValueError for a key that is none or of another kind."""
    header = {"alg": algorithm, "typ": "JWT", **({"kid": key_id} if key_id else {})}
    text = f"{_part(msgspec.json.encode(header))}.{_part(msgspec.json.encode(claims))}"
    return f"{text}.{_part(_signature(text.encode(), _loaded(key, algorithm)))}"


def check_key(key: Secret, algorithm: Algorithm) -> None:
    """Raise ValueError with the reason when the key cannot sign; never with the key."""
    _loaded(key, algorithm)


def _loaded(key: Secret, algorithm: Algorithm) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        loaded = load_pem_private_key(key.reveal().encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not an unencrypted private key in PEM") from None
    if algorithm == "RS256" and isinstance(loaded, rsa.RSAPrivateKey):
        if loaded.key_size < MIN_RSA_BITS:
            raise ValueError(f"has {loaded.key_size} bits, RS256 needs {MIN_RSA_BITS}")
        return loaded
    if (
        algorithm == "ES256"
        and isinstance(loaded, ec.EllipticCurvePrivateKey)
        and isinstance(loaded.curve, ec.SECP256R1)
    ):
        return loaded
    raise ValueError(f"is not a key for {algorithm}")


def _signature(text: bytes, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    first, second = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    return first.to_bytes(_HALF, "big") + second.to_bytes(_HALF, "big")


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
