"""Judges, clients and upstreams that were not written here."""

from __future__ import annotations

import pytest

# it explains itself as a test module does
pytest.register_assert_rewrite("tests.interop.conversations")
