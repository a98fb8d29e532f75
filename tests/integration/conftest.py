"""Processes that start warm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.warm_start import warm_starts


@pytest.fixture(scope="module", autouse=True)
def _processes_start_warm() -> Iterator[None]:
    with warm_starts():
        yield
