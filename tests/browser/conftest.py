"""A real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.browsers import FLAGS
from tests.support.warm_start import warm_starts


@pytest.hookimpl(tryfirst=True)  # before groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two groups, so that no more than two browsers share the machine with what else runs."""
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("tasks" if item.path.stem == "test_tasks" else "browser"))


@pytest.fixture(scope="module", autouse=True)
def _processes_start_warm() -> Iterator[None]:
    with warm_starts():
        yield


@pytest.fixture
def browse(chromium: str) -> Iterator[Callable[..., Any]]:
    """A page of a fresh browser, which fails the test for any script error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        def open_page(**options: Any) -> Any:
            page = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True, **options).new_page()
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))
            return page

        yield open_page
        browser.close()
