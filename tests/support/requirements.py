"""What a machine may lack: a test that needs it is skipped there, or fails where nothing may be skipped."""

from __future__ import annotations

import os

import pytest

REQUIRE_ALL = bool(os.environ.get("TRACEWRIGHT_REQUIRE_ALL"))


def need(found: object, what: str) -> None:
    """Skip without ``what``, or fail where nothing may be skipped."""
    if not found:
        if REQUIRE_ALL:
            pytest.fail(f"{what} is required here")
        pytest.skip(f"needs {what}")
