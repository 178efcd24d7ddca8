"""Accounts: the keys that all have, and those that only their provider knows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeVar, cast

import msgspec
from msgspec import UNSET, Struct

from aiclient2api.config.model import AccountConfig, AccountOptions, ProviderOptions, TimeoutChanges, Timeouts
from aiclient2api.config.reading import Reader, Unreadable
from aiclient2api.credentials.grant import Grant
from aiclient2api.providers.api_key import NO_KEY
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.base_url import check_proxy
from aiclient2api.providers.registry import ProviderRegistry

RESERVED_POOLS: Final = frozenset(
    ("v1", "v1beta", "v1alpha", "admin", "console", "healthz", "readyz", "metrics")
)
"""What stands where a pool's name would in the path."""

_COMMON: Final = frozenset(field.encode_name for field in msgspec.structs.fields(AccountOptions))
S = TypeVar("S", bound=Struct)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS: Final = frozenset(("host", "content-length", "transfer-encoding", "connection", "content-type"))


class AccountReader:
    """Makes accounts of their sections."""

    def __init__(
        self,
        reader: Reader,
        registry: ProviderRegistry,
        protocols: Collection[str],
        providers: Mapping[str, ProviderOptions],
    ) -> None:
        self._reader = reader
        self._registry = registry
        self._installed = protocols
        self._providers = providers

    def read(self, name: str, data: object) -> AccountConfig | None:
        """The account, or None when the reader noted problems."""
        path = f"accounts.{name}"
        if not _NAME.fullmatch(name):
            self._problem(path, "a name has letters, digits, '.', '_' and '-' only")
            return None
        if not isinstance(data, dict):
            self._problem(path, "must be a section with keys")
            return None
        entries = cast(dict[str, object], data)
        before = len(self._reader.problems)
        spec = self._spec(entries.get("provider"), path)
        common = {key: value for key, value in entries.items() if key in _COMMON}
        options = self._section(AccountOptions, common, path)
        if options is not None:
            self._check(options, path)
        if spec is None:
            return None
        rest = {key: value for key, value in entries.items() if key not in _COMMON}
        if entries.get("oauth") is not None:
            self._replace_key(spec, rest, path)
        grant = self._grant(options, path)
        settings = self._section(spec.settings, rest, path)
        if options is None or settings is None or len(self._reader.problems) > before:
            return None
        protocols = self._protocols(spec, options, settings, path)
        shared = self._providers.get(spec.name, ProviderOptions()).timeouts
        return AccountConfig(
            name=name,
            pool=options.pool or spec.name,
            spec=spec,
            settings=settings,
            protocols=protocols,
            models=options.models,
            weight=options.weight,
            concurrency=options.concurrency,
            proxy=options.proxy,
            ca=options.ca,
            headers={key.lower(): value for key, value in options.headers.items()},
            timeouts=changed(changed(Timeouts(), shared), options.timeouts),
            grant=grant,
        )

    def _replace_key(self, spec: ProviderSpec, rest: dict[str, object], path: str) -> None:
        """Tokens stand in the place of the provider's own key."""
        if rest.get("api_key") is not None:
            self._problem(f"{path}.oauth", "stands in the place of api_key: give one of the two")
        elif any(field.encode_name == "api_key" for field in msgspec.structs.fields(spec.settings)):
            rest["api_key"] = NO_KEY

    def _grant(self, options: AccountOptions | None, path: str) -> Grant | None:
        if options is None or options.oauth is None:
            return None
        try:
            return options.oauth.made()
        except ValueError as error:
            self._problem(f"{path}.oauth", str(error))
            return None

    def _spec(self, provider: object, path: str) -> ProviderSpec | None:
        if provider is None:
            return None
        spec = self._registry.get(str(provider))
        if spec is None:
            known = ", ".join(self._registry.names)
            self._problem(f"{path}.provider", f"unknown provider {str(provider)!r} (known: {known})")
        return spec

    def _section(self, type_: type[S], data: dict[str, object], path: str) -> S | None:
        try:
            return self._reader.section(type_, data, path, beside=_COMMON)
        except Unreadable:
            return None

    def _check(self, options: AccountOptions, path: str) -> None:
        if options.pool in RESERVED_POOLS:
            self._problem(f"{path}.pool", f"{options.pool!r} is part of the gateway's own paths")
        for header in options.headers:
            if not _HEADER.fullmatch(header) or header.lower() in _OWN_HEADERS:
                self._problem(f"{path}.headers.{header}", "cannot be set")
        if options.ca is not None and not options.ca.is_file():
            self._problem(f"{path}.ca", f"no such file: {options.ca}")
        if options.proxy is not None:
            try:
                check_proxy(options.proxy.reveal())
            except ValueError as error:
                self._problem(f"{path}.proxy", str(error))

    def _protocols(
        self, spec: ProviderSpec, options: AccountOptions, settings: Struct, path: str
    ) -> tuple[str, ...]:
        try:
            spoken = tuple(spec.build(settings).protocols)
        except ValueError as error:
            self._problem(path, str(error))
            return ()
        unknown = [
            name for name in spoken if name not in self._installed and options.protocol in (None, name)
        ]
        if unknown:
            self._problem(
                path, f"{spec.name} speaks {', '.join(unknown)}, which no installed package provides"
            )
        if options.protocol is None:
            return spoken
        if options.protocol not in spoken:
            speaks = ", ".join(spoken)
            self._problem(f"{path}.protocol", f"{spec.name} speaks {speaks}, not {options.protocol!r}")
        return (options.protocol,)

    def _problem(self, path: str, reason: str) -> None:
        self._reader.problems.append(f"{path}: {reason}")


def changed(timeouts: Timeouts, changes: TimeoutChanges) -> Timeouts:
    """The time-outs with whatever `changes` sets."""
    given = {key: value for key, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    return msgspec.structs.replace(timeouts, **given)
