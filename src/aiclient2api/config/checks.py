"""What no single section can know: rules between sections, and what this version does not do yet."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from aiclient2api.config.model import ClientKey, Document, Server, Store, Tls
from aiclient2api.providers.base_url import is_loopback_host
from aiclient2api.providers.registry import ProviderRegistry
from aiclient2api.routing.targets import Entry, expand
from aiclient2api.store.address import parse

SHORT_KEY: Final = 16
"""Characters under which a secret can be guessed."""

_WITHOUT_EFFECT: Final[Sequence[tuple[str, str, object]]] = [
    ("log", "prompts", False),
]
"""Section, key, and the value that is what this version does anyway."""


def problems(document: Document, registry: ProviderRegistry, *, has_keys: bool) -> Iterator[str]:
    """Every rule that is broken, as one sentence with its key path; `has_keys`: some are written, good or bad."""
    yield from _server(document.server, has_keys)
    yield from _store(document.store, has_secret=document.secrets.key is not None)
    if document.server.workers > 1 and document.store.url == "memory":
        yield "server.workers: several workers need a store that they share, and store.url is memory"
    yield from _keys(document.keys)
    yield from _secrets(document)
    for name in document.providers:
        if name not in registry:
            yield f"providers.{name}: unknown provider (known: {', '.join(registry.names)})"
    if not document.accounts:
        variables = ", ".join(variable for spec in registry for variable in spec.environment)
        yield f"accounts: there is none; add one, set a well-known variable ({variables}), or serve --demo"
    entries = {name: Entry(entry.targets, entry.context_fallback) for name, entry in document.models.items()}
    yield from expand(entries, pools(document.accounts))[1]


def pools(accounts: Mapping[str, object]) -> set[str]:
    """The pools as they are written, so that a broken account does not make its pool's targets dangle."""
    named: set[str] = set()
    for data in accounts.values():
        if isinstance(data, dict):
            entries = cast(dict[str, object], data)
            named.add(str(entries.get("pool") or entries.get("provider")))
    return named


def _server(server: Server, has_keys: bool) -> Iterator[str]:
    if server.workers > 1 and sys.platform == "win32":
        yield "server.workers: more than one is not possible on Windows"
    if not is_loopback_host(server.host) and not has_keys:
        yield f"server.host: {server.host!r} is reachable from outside, so a client key under keys is required"
    if server.tls is not None:
        yield from _tls(server.tls)


def _tls(tls: Tls) -> Iterator[str]:
    missing = [(name, path) for name, path in (("cert", tls.cert), ("key", tls.key)) if not path.is_file()]
    for name, path in missing:
        yield f"server.tls.{name}: no such file: {path}"
    if missing:
        return
    try:
        # a password, so that OpenSSL does not ask the terminal for the one of an encrypted key
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, password="")
    except OSError as error:  # also what OpenSSL raises for a file without certificates
        reason = getattr(error, "reason", None) or error.strerror or "not PEM"
        yield f"server.tls: this certificate and this key cannot be used: {reason}"


def _store(store: Store, *, has_secret: bool) -> Iterator[str]:
    try:
        kind = parse(store.url).kind
    except ValueError as error:
        yield f"store.url: {error}"
        return
    if kind not in ("memory", "embedded") and not has_secret:
        yield "secrets.key: is required with a store that other nodes can share, the same for all of them"


def _keys(keys: tuple[ClientKey, ...]) -> Iterator[str]:
    names = [key.name for key in keys]
    secrets = [key.key for key in keys]
    for index, key in enumerate(keys):
        if key.name in names[:index]:
            yield f"keys[{index}].name: {key.name!r} is the name of an earlier key"
        if key.key in secrets[:index]:
            yield f"keys[{index}].key: is the same as an earlier key's"


def _secrets(document: Document) -> Iterator[str]:
    secrets = document.secrets
    named = [("key", secrets.key), *((f"previous[{i}]", old) for i, old in enumerate(secrets.previous))]
    for name, secret in named:
        if secret is not None and len(secret.reveal()) < SHORT_KEY:
            yield f"secrets.{name}: needs at least {SHORT_KEY} characters"


def warnings(document: Document, data: Mapping[str, object]) -> Iterator[str]:
    """What is accepted but has no effect, or not the one that was meant; `data` is what was written."""
    for section, key, harmless in _WITHOUT_EFFECT:
        written = data.get(section)
        has_key = isinstance(written, Mapping) and key in cast(Mapping[object, object], written)
        if has_key and getattr(getattr(document, section), key) != harmless:
            yield f"{section}.{key}: has no effect in this version"
    for index, client_key in enumerate(document.keys):
        if len(client_key.key.reveal()) < SHORT_KEY:
            yield f"keys[{index}].key: is shorter than {SHORT_KEY} characters and easily guessed"
