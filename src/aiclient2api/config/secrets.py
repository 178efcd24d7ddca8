"""Where secrets come from: `env:NAME`, `file:/path`, or the value itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiclient2api.providers.credentials import Secret

_MEANT_OTHERWISE: Final = re.compile(
    r"\$\{[^{}]*\}|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%|\$?\{\{.*\}\}|(?i:env|file):.*", re.ASCII
)
"""How other programs write a variable. Taken as it stands it would be a secret that everybody can guess."""


class SecretSource:
    """Resolves secrets against one environment; relative files lie beside the configuration file."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def resolve(self, text: object) -> Secret:
        """The secret `text` stands for. ValueError says what is missing, never what was found."""
        if not isinstance(text, str):
            raise ValueError("must be text: put it in quotes, or use env:NAME or file:/path")
        value = self._value(text)
        # a secret becomes part of an HTTP header
        if not value.isascii() or not value.isprintable():
            raise ValueError("must be printable ASCII on one line")
        return Secret(value)

    def _value(self, text: str) -> str:
        scheme, _, name = text.partition(":")
        match scheme:
            case "env":
                value = self._environ.get(name, "").strip()
                if not value:
                    raise ValueError(f"environment variable {name} is not set")
            case "file":
                value = self._read(name)
            case _:
                value = text.strip()
                if not value:
                    raise ValueError("must not be empty")
                if _MEANT_OTHERWISE.fullmatch(value):
                    raise ValueError("looks like a variable or a file: write env:NAME or file:/path")
        return value

    def _read(self, name: str) -> str:
        path = self._folder / Path(name).expanduser()
        try:
            value = path.read_text("utf-8").strip()
        except UnicodeDecodeError:
            raise ValueError(f"file {name} is not text") from None
        except OSError as error:
            raise ValueError(f"file {name} cannot be read: {error.strerror}") from None
        if not value:
            raise ValueError(f"file {name} is empty")
        return value
