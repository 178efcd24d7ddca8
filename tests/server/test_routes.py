from __future__ import annotations

import pytest

from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.server.routes import Access, Match, Routes, error_protocol, models_protocol
from aiclient2api.wire.http import WireRequest

ROUTES = Routes(BUILTIN, ["team", "v1"])


def found(method: str, path: str) -> Match:
    match, known = ROUTES.find(method, path)
    assert match is not None
    assert known
    return match


@pytest.mark.parametrize(
    ("method", "path", "name", "protocol"),
    [
        ("POST", "/v1/chat/completions", "generate", "openai_chat"),
        ("POST", "/v1/embeddings", "embed", "openai_chat"),
        ("POST", "/v1/responses", "generate", "openai_responses"),
        ("POST", "/v1/messages", "generate", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "count_tokens", "anthropic"),
        ("POST", "/v1beta/models/gemini-3-pro:generateContent", "generate", "gemini"),
        ("POST", "/v1beta/models/gemini-3-pro:streamGenerateContent", "generate", "gemini"),
        ("POST", "/v1beta/models/gemini-3-pro:countTokens", "count_tokens", "gemini"),
        ("GET", "/v1/models", "list_models", None),
        ("GET", "/v1beta/models", "list_models", None),
        ("GET", "/v1/models/openai/gpt-5", "get_model", None),
    ],
)
def test_each_protocols_endpoints_are_there_with_and_without_a_pool(
    method: str, path: str, name: str, protocol: str | None
) -> None:
    plain, pooled = found(method, path), found(method, f"/team{path}")

    assert (plain.route.name, plain.route.protocol, plain.route.access) == (name, protocol, Access.KEY)
    assert (plain.pool, plain.path) == (None, path)
    assert (pooled.pool, pooled.path, pooled.route) == ("team", path, plain.route)


@pytest.mark.parametrize(
    ("path", "access"),
    [("/healthz", Access.PUBLIC), ("/readyz", Access.PUBLIC), ("/metrics", Access.OPERATOR)],
)
def test_our_own_pages_are_there(path: str, access: Access) -> None:
    assert found("GET", path).route.access is access


def test_everything_is_denied_without_a_key_but_health_and_the_operators_page() -> None:
    open_to_others = {route.name: route.access for route in ROUTES.table if route.access is not Access.KEY}

    assert open_to_others == {
        "healthz": Access.PUBLIC,
        "readyz": Access.PUBLIC,
        "metrics": Access.OPERATOR,
    }
    assert all(route.access is Access.KEY for route in ROUTES.table if route.protocol is not None)
    assert len(ROUTES.table) == 5 + sum(len(converter.endpoints) for converter in BUILTIN)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_may_be_asked_without_a_body(path: str) -> None:
    assert ROUTES.find("HEAD", path)[0] is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/messages"),
        ("PUT", "/v1/chat/completions"),
        ("POST", "/healthz"),
        ("HEAD", "/metrics"),
        ("DELETE", "/v1/models"),
        ("post", "/v1/messages"),
        ("GET", "/team/v1/messages"),
    ],
)
def test_another_method_is_told_from_an_unknown_path(method: str, path: str) -> None:
    assert ROUTES.find(method, path) == (None, True)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//v1/messages",
        "/v1",
        "/v1/messages/x",
        "/V1/messages",
        "/v1/messages\n",
        "/x/v1/messages",
        "/other/v1/chat/completions",
        "/team/healthz",
        "/team/metrics",
        "/team/team/v1/messages",
        "/metrics/",
        "/healthz/../metrics",
        "/v1/messages/../../metrics",
        "/admin",
    ],
)
def test_what_is_not_in_the_table_is_denied(path: str) -> None:
    assert ROUTES.find("GET", path) == (None, False)
    assert ROUTES.find("POST", path) == (None, False)


def test_a_pool_cannot_take_an_endpoints_place() -> None:
    assert found("POST", "/v1/messages").pool is None


def head(path: str, query: str = "", *headers: tuple[str, str]) -> WireRequest:
    return WireRequest(path=path, query=query, headers=headers)


@pytest.mark.parametrize(
    ("request_head", "protocol"),
    [
        (head("/v1/models"), "openai_chat"),
        (head("/v1/models", "", ("authorization", "Bearer x")), "openai_chat"),
        (head("/v1/models", "", ("anthropic-version", "2023-06-01")), "anthropic"),
        (head("/v1/models", "", ("x-goog-api-key", "x")), "gemini"),
        (head("/v1/models", "key=x"), "gemini"),
        (head("/v1/models", "pageSize=5"), "gemini"),
        (head("/v1beta/models"), "gemini"),
        (head("/v1alpha/models", "", ("anthropic-version", "2023-06-01")), "gemini"),
    ],
)
def test_whose_model_list_is_asked_for(request_head: WireRequest, protocol: str) -> None:
    assert models_protocol(request_head) == protocol
    assert error_protocol(request_head, None) == protocol


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        ("/v1/chat/completions", "openai_chat"),
        ("/v1/responses", "openai_responses"),
        ("/v1/responses/resp_1/cancel", "openai_responses"),
        ("/v1/messages/batches", "anthropic"),
        ("/team/v1/messages", "anthropic"),
        ("/v1beta/cachedContents", "gemini"),
        ("/v1beta/models/x:embedContent", "gemini"),
        ("/v1/models/x:predict", "gemini"),
        ("/nothing", "openai_chat"),
    ],
)
def test_an_unknown_path_is_refused_in_the_form_its_client_reads(path: str, protocol: str) -> None:
    assert error_protocol(head(path), None) == protocol


def test_a_path_that_tells_nothing_is_refused_in_the_form_of_the_clients_headers() -> None:
    assert error_protocol(head("/v1/files", "", ("x-goog-api-key", "x")), None) == "gemini"
    assert error_protocol(head("/v1/files", "", ("anthropic-version", "2023-06-01")), None) == "anthropic"


def test_a_route_knows_its_own_protocol() -> None:
    match = found("POST", "/v1/messages")

    assert error_protocol(head("/v1/messages"), match) == "anthropic"
