"""Which certificates are believed. Verification is always on."""

from __future__ import annotations

import ssl

from aiclient2api.errors import Unreachable


class Trust:
    """TLS contexts by the file of certificates that an account names; None is the system's."""

    def __init__(self) -> None:
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def context(self, ca: str | None) -> ssl.SSLContext:
        """Raises Unreachable when the file cannot be read."""
        context = self._contexts.get(ca)
        if context is None:
            try:
                context = ssl.create_default_context(cafile=ca)
            except OSError as error:  # also what OpenSSL raises for a file without certificates
                raise Unreachable("the certificates of this account's `ca` cannot be read") from error
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[ca] = context
        return context
