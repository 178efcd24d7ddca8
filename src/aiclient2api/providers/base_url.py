"""What a base URL may be: https anywhere, plain http only where nobody else listens."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit


def check_base_url(url: str) -> None:
    """Raise ValueError with the reason when `url` cannot be the base URL of an account."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose text may quote a password
        raise ValueError("base_url is not a URL: check its host and port") from None
    host = parts.hostname
    if parts.scheme not in ("https", "http") or not host or any(ord(letter) <= 0x20 for letter in url):
        raise ValueError("base_url must look like https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("base_url must not hold credentials, they belong into api_key")
    if "?" in url or "#" in url:
        raise ValueError("base_url must end with the path, without ? and #")
    if parts.scheme == "http" and not is_private_host(host):
        raise ValueError("base_url must be https; http is for loopback and private addresses only")


def check_proxy(url: str) -> None:
    """The same for a proxy, which may have a user and a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = None
    is_address = parts is not None and parts.scheme in ("https", "http") and parts.hostname
    if parts is None or not is_address or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "must look like http://host:port (and '@', ':', '/', '#' or '?' in a password written as %40, %3A, %2F, "
            "%23, %3F)"
        )


def is_private_host(host: str) -> bool:
    """Whether `host` is loopback, a private address, or a name without a dot (a container, a neighbour)."""
    address = _address(host)
    if address is None:
        return "." not in host or host.endswith(".localhost")
    # link-local holds the clouds' metadata services, which nobody talks to on purpose
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return False
    return address.is_loopback or address.is_private


def is_loopback_host(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
