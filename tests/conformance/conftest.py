"""The comparisons live in modules of their own and explain themselves as test modules do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.conformance.talk", "tests.conformance.native_answers")
