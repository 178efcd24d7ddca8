"""Which path is whose: every route with its method, its protocol and who may use it. What is not here is denied."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import Enum

from msgspec import Struct

from aiclient2api.ir.request import Operation
from aiclient2api.protocols.base import Converter
from aiclient2api.wire.http import WireRequest


class Access(Enum):
    """Who may use a route."""

    PUBLIC = "public"
    """Says nothing but whether we are alive."""
    KEY = "key"
    """A client key."""
    OPERATOR = "operator"
    """The loopback address, or a client key."""


class Route(Struct, frozen=True):
    """One endpoint. `name` is an operation of a protocol, or a page of ours."""

    method: str
    path: re.Pattern[str]
    name: Operation | str
    access: Access
    protocol: str | None = None


class Match(Struct, frozen=True):
    """A route found for a request."""

    route: Route
    pool: str | None = None
    """The path names this pool."""
    path: str = ""
    """The path without the pool."""


OWN_ROUTES = (
    Route("GET", re.compile(r"/healthz"), "healthz", Access.PUBLIC),
    Route("GET", re.compile(r"/readyz"), "readyz", Access.PUBLIC),
    Route("GET", re.compile(r"/metrics"), "metrics", Access.OPERATOR),
)
MODEL_ROUTES = (
    Route("GET", re.compile(r"/(?:v1|v1beta|v1alpha)/models/?"), "list_models", Access.KEY),
    Route("GET", re.compile(r"/(?:v1|v1beta|v1alpha)/models/(?P<model>.+)"), "get_model", Access.KEY),
)

MAX_KEPT = 1000
"""Paths whose route is remembered."""


class Routes:
    """The table, built from the registered protocols."""

    def __init__(self, converters: Iterable[Converter], pools: Collection[str]) -> None:
        self._pools = pools
        self._found: dict[tuple[str, str], tuple[Match | None, bool]] = {}
        self.table: tuple[Route, ...] = (
            *OWN_ROUTES,
            *(
                Route(endpoint.method, endpoint.path, endpoint.operation, Access.KEY, converter.name)
                for converter in converters
                for endpoint in converter.endpoints
            ),
            *MODEL_ROUTES,
        )

    def find(self, method: str, path: str) -> tuple[Match | None, bool]:
        """The route, and whether the path is known at all (with another method)."""
        kept = self._found.get((method, path))
        if kept is None:
            kept = self._search(method, path)
            if kept[0] is not None:
                if len(self._found) >= MAX_KEPT:
                    self._found.clear()
                self._found[method, path] = kept
        return kept

    def _search(self, method: str, path: str) -> tuple[Match | None, bool]:
        found, known = self._lookup(method, path, None)
        if found is None and not known:
            pool, _, rest = path[1:].partition("/")
            if pool in self._pools and rest.startswith(("v1/", "v1beta/", "v1alpha/")):
                return self._lookup(method, f"/{rest}", pool)
        return found, known

    def _lookup(self, method: str, path: str, pool: str | None) -> tuple[Match | None, bool]:
        known = False
        for route in self.table:
            if pool is not None and route.access is not Access.KEY:
                continue
            if route.path.fullmatch(path):
                if route.method == method or (method == "HEAD" and route.access is Access.PUBLIC):
                    return Match(route, pool, path), True
                known = True
        return None, known


def models_protocol(head: WireRequest) -> str:
    """Whose client asks, where the path does not tell: three protocols share `GET /v1/models`, and what is missing."""
    names = {name for name, _ in head.headers}
    if "/v1beta" in head.path or "/v1alpha" in head.path:
        return "gemini"
    if any(name.startswith("x-goog-") for name in names) or "key=" in head.query or "pageSize=" in head.query:
        return "gemini"
    return "anthropic" if "anthropic-version" in names else "openai_chat"


def error_protocol(head: WireRequest, match: Match | None) -> str:
    """In whose form an error is told when the route itself does not say."""
    if match is not None and match.route.protocol is not None:
        return match.route.protocol
    path = head.path
    if "/messages" in path:
        return "anthropic"
    if path.rstrip("/").endswith("/models") or ("/models/" in path and ":" not in path):
        return models_protocol(head)
    if "/v1beta" in path or "/v1alpha" in path or ":" in path:
        return "gemini"
    return "openai_responses" if "/responses" in path else models_protocol(head)
