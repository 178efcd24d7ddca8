from __future__ import annotations

import pytest

from aiclient2api.providers.base_url import check_base_url, check_proxy, is_loopback_host, is_private_host


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/",
        "https://example.org:8443/some/path",
        "http://127.0.0.1:8000/v1",
        "http://localhost:11434/v1",
        "http://[::1]:8000",
        "http://10.1.2.3/v1",
        "http://192.168.0.7:8080",
        "http://[fd00::1]/v1",
        "http://ollama:11434/v1",
    ],
)
def test_https_anywhere_and_http_nearby_are_accepted(url: str) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.openai.com/v1", "must be https"),
        ("http://8.8.8.8/v1", "must be https"),
        ("http://169.254.169.254/latest", "must be https"),
        ("http://0.0.0.0:8000", "must be https"),
        ("ftp://example.org", "must look like"),
        ("api.openai.com/v1", "must look like"),
        ("https://", "must look like"),
        ("https://exa mple.org", "must look like"),
        ("https://user:pw@example.org/v1", "must not hold credentials"),
        ("https://example.org/v1?key=1", "must end with the path"),
        ("https://example.org/v1#x", "must end with the path"),
        ("https://example.org:99999", "is not a URL"),
        ("https://[::1", "is not a URL"),
    ],
)
def test_other_addresses_are_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_base_url(url)


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("localhost", True, True),
        ("gateway.localhost", True, True),
        ("10.0.0.1", False, True),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("169.254.169.254", False, False),
        ("box", False, True),
        ("example.org", False, False),
        ("8.8.8.8", False, False),
    ],
)
def test_hosts_are_told_apart(host: str, loopback: bool, private: bool) -> None:
    assert is_loopback_host(host) is loopback
    assert is_private_host(host) is private


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:3128", "https://me:p%2Fw%40@proxy.example", "http://[::1]:8/"]
)
def test_a_proxy_may_have_a_user_and_a_password(url: str) -> None:
    check_proxy(url)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://host:1",
        "http://",
        "http://me:hidden/x@host:1",
        "http://me:hidden#x@host:1",
        "http://me:1/hidden@host:1",
        "http://me:1?hidden@host:1",
        "http://me:1#hidden@host:1",
        "http://me[hidden@host:1",
    ],
)
def test_a_proxy_that_cannot_be_dialled_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must look like http://host:port") as raised:
        check_proxy(url)

    assert "hidden" not in str(raised.value)


def test_a_base_url_with_a_password_in_place_of_the_port_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="is not a URL") as raised:
        check_base_url("https://me:hidden/x@example.org/v1")

    assert "hidden" not in str(raised.value)
