"""A browser for the tests of a module, a page of it for each test, and a small sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.browser import Page, launched
from .sweeping import swept


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives a browser runs in `make test-all`, but for a few tests of each page that are marked as its smoke."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of eight runs, which the tests of a module may add to."""
    folder = tmp_path_factory.mktemp("sweep")
    swept(folder, rows=3)
    return folder


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Page]:
    """Shows the module's own `file`; nothing may have gone wrong in it, or left it, when the test is over."""
    opened = Page(browser, file)
    yield opened
    opened.check()
    opened.page.context.close()
