"""Requests to token endpoints and what their answers mean."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aiclient2api.credentials.assertion import check_key, signed
from aiclient2api.credentials.grant import (
    MAX_LIFE,
    Fresh,
    Grant,
    Kind,
    Lost,
    Refused,
    read_answer,
    token_request,
)
from aiclient2api.credentials.record import Intent, Record
from aiclient2api.credentials.rules import Wanted, begun, due_in, pause, why_not
from aiclient2api.providers.credentials import Secret

URL = "https://idp.example/token"


def grant(kind: Kind = "refresh_token", **members: object) -> Grant:
    given = {"client_id": "me", "client_secret": Secret("s p"), "refresh_token": Secret("seed"), **members}
    return Grant(kind=kind, token_url=URL, **given)  # type: ignore[arg-type]


def form(made: Grant, refresh: str | None = "rt") -> dict[str, str]:
    request = token_request(made, Secret(refresh) if refresh else None, 1000.0, "nonce")
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def test_a_refresh_is_the_form_of_rfc_6749_with_the_client_in_the_header() -> None:
    request = token_request(grant(scope="a b"), Secret("rt"), 1000.0, "nonce")

    assert request.body == b"grant_type=refresh_token&refresh_token=rt&scope=a+b"
    assert dict(request.headers)["authorization"] == "Basic " + base64.b64encode(b"me:s%20p").decode()


def test_the_client_may_stand_in_the_form_and_may_have_no_secret() -> None:
    assert form(grant(client_auth="body"))["client_secret"] == "s p"
    public = form(grant(client_secret=None))
    assert public == {"grant_type": "refresh_token", "refresh_token": "rt", "client_id": "me"}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def test_an_assertion_is_signed_with_rs256_over_its_claims() -> None:
    key = rsa.generate_private_key(65537, 2048)
    made = grant("jwt_bearer", issuer="svc", subject="user", scope="x", private_key=pem(key), key_id="k")

    assertion = form(made, None)["assertion"]

    head, body, signature = assertion.split(".")
    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{head}.{body}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    assert msgspec.json.decode(base64.urlsafe_b64decode(head + "==")) == {
        "alg": "RS256",
        "typ": "JWT",
        "kid": "k",
    }
    assert msgspec.json.decode(base64.urlsafe_b64decode(body + "==")) == {
        "iss": "svc",
        "sub": "user",
        "aud": URL,
        "iat": 1000,
        "exp": 1300,
        "jti": "nonce",
        "scope": "x",
    }


def test_keys_that_cannot_sign_are_refused_without_being_shown() -> None:
    weak, curve = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())
    for key, algorithm, reason in (
        (Secret("no key at all"), "RS256", "not an unencrypted private key"),
        (pem(weak), "RS256", "1024 bits"),
        (pem(curve), "RS256", "not a key for RS256"),
        (pem(rsa.generate_private_key(65537, 2048)), "ES256", "not a key for ES256"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_key(key, algorithm)  # type: ignore[arg-type]
    assert signed({}, pem(curve), "ES256").count(".") == 2


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"access_token": "at", "token_type": "bearer"}, Fresh(Secret("at"), None, 3600.0)),
        (
            {"access_token": "at", "expires_in": "60", "refresh_token": "r2"},
            Fresh(Secret("at"), Secret("r2"), 60.0),
        ),
        ({"access_token": "at", "expires_in": -5}, Fresh(Secret("at"), None, 3600.0)),
        ({"access_token": "at", "expires_in": None}, Fresh(Secret("at"), None, 3600.0)),
        ({}, Lost("no_token_in_answer")),
        ({"access_token": "line\nbreak"}, Lost("no_token_in_answer")),
        ({"access_token": "at", "token_type": "mac"}, Lost("not_a_bearer_token")),
    ],
)
def test_an_answer_with_status_200(members: dict[str, object], expected: object) -> None:
    assert read_answer(grant(), 200, msgspec.json.encode(members)) == expected


@pytest.mark.parametrize("life", [b"9" * 400, b'"1e999"', b'"nan"', b"-1e300", b"true"])
def test_no_life_of_a_token_is_an_error_of_ours(life: bytes) -> None:
    answer = read_answer(grant(), 200, b'{"access_token":"at","expires_in":' + life + b"}")

    assert isinstance(answer, Fresh)
    assert 0 < answer.life <= MAX_LIFE


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "rt-secret"}', "invalid_grant"),
        (503, b"<html>", "status_503"),
        (400, b'{"error": 7}', "status_400"),
        (400, b'{"error": "a\\nb<script>"}', "abscript"),
        (500, b"\xff", "status_500"),
    ],
)
def test_a_refusal_is_its_code_and_no_more(status: int, body: bytes, code: str) -> None:
    assert read_answer(grant(), status, body, 7.0) == Refused(code, 7.0)


# ---- rules


def test_a_token_is_due_at_eighty_per_cent_of_its_life_more_or_less() -> None:
    assert due_in(3600, 3600, 0.5) == pytest.approx(2880)
    assert due_in(3600, 3600, 0.0) == pytest.approx(3024)
    assert due_in(3600, 3600, 1.0) == pytest.approx(2736)


ROTATING = Record(generation=2, rotates=True, sealed=b"x", seeds=("s",))
UNKNOWN = Intent(fence=3, node="gone", at=100.0)


@pytest.mark.parametrize(
    ("made", "record", "wanted", "reason"),
    [
        (grant(), ROTATING, Wanted(100, 50), ""),
        (grant(), Record(dead=90.0), Wanted(100, 50), "reauth_required"),
        (grant(), Record(dead=90.0), Wanted(100, 50, word=95.0), ""),
        (grant(), Record(rests=101.0, reason="status_503"), Wanted(100, 50), "status_503"),
        (grant(), Record(rests=101.0, at=90.0), Wanted(100, 50, word=95.0), ""),
        # nobody knows what came of it: a strict provider never gets it again, unless an admin says so
        (grant(), Record(intent=UNKNOWN), Wanted(105, 900), "outcome_unknown"),
        (grant(), Record(intent=UNKNOWN, rotates=True, sealed=b"x"), Wanted(1e9, -1), "outcome_unknown"),
        (grant(), Record(intent=UNKNOWN), Wanted(105, 900, word=101.0), ""),
        # with a period of grace within it, and as the last chance
        (grant(reuse=30.0), Record(intent=UNKNOWN), Wanted(129, 900), ""),
        (grant(reuse=30.0), Record(intent=UNKNOWN), Wanted(131, 900), "outcome_unknown"),
        (grant(reuse=30.0), Record(intent=UNKNOWN), Wanted(131, 59), ""),
        # what does not rotate, or has no refresh token, may be asked again
        (grant(), Record(intent=UNKNOWN, sealed=b"x"), Wanted(105, 900), ""),
        (grant("client_credentials"), Record(intent=UNKNOWN), Wanted(105, 900), ""),
    ],
)
def test_when_the_endpoint_may_be_asked(made: Grant, record: Record, wanted: Wanted, reason: str) -> None:
    assert why_not(made, record, wanted) == reason


def test_pauses_grow_and_what_only_the_operator_mends_is_asked_seldom() -> None:
    assert [pause("status_503", n, 0.0, 0.5) for n in (1, 2, 3, 20)] == [5.0, 10.0, 20.0, 900.0]
    assert pause("status_429", 1, 60.0, 0.5) == 60.0
    assert [pause("invalid_client", n, 0.0, 0.5) for n in (1, 2, 20)] == [600.0, 1200.0, 86_400.0]


def test_a_new_configuration_begins_anew_and_an_old_one_changes_nothing() -> None:
    first = begun(None, "one", 10.0, alone=True)
    second = begun(first, "two", 20.0, alone=True)

    assert (first.generation, first.seeds) == (0, ("one",))
    assert (second.generation, second.seeds, second.sealed) == (1, ("one", "two"), b"")
    assert begun(second, "one", 30.0, alone=True) is second
    assert grant().seed != grant(refresh_token=Secret("other")).seed
    assert grant().seed == grant(scope="x", client_secret=Secret("new")).seed
