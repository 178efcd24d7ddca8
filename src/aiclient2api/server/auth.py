"""Where a client key stands in a request: one extractor for every place."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiclient2api.errors import BadRequest, Unauthenticated
from aiclient2api.wire.http import WireRequest

MAX_KEY = 512
_PLACES = frozenset(("authorization", "x-api-key", "x-goog-api-key", "api-key"))


def extract_key(request: WireRequest) -> str:
    """The one key of a request, from `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`.

    Raises Unauthenticated when there is none, BadRequest when two differ.
    """
    found: set[str] = set()
    headers = request.headers
    first = dict(headers)
    places = _PLACES.intersection(first)
    if len(first) == len(headers):  # as nearly always: no name stands there twice
        lines = [(name, first[name]) for name in places]
    else:
        lines = [line for line in headers if line[0] in places]
    for name, value in lines:
        if name == "authorization":
            scheme, _, token = value.partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("the authorization scheme must be Bearer")
            found.add(token.strip())
        else:
            found.add(value.strip())
    if "key=" in request.query:
        found.update(value for name, value in parse_qsl(request.query) if name == "key")
    found.discard("")
    if not found:
        raise Unauthenticated("a client key is required")
    if len(found) > 1:
        raise BadRequest("two different client keys in one request")
    key = found.pop()
    if len(key) > MAX_KEY:
        raise Unauthenticated("the client key is not valid")
    return key
