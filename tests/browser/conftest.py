"""The real app on a free port with the tiny store, and a headless Chromium to drive it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.browser import QUIET, chromium, served
from docs import walk

PATIENCE = 120_000  # ms; torch is imported the first time a clip is tried, on a machine that may be busy


@contextmanager
def serving(home: Path, temporary: Path) -> Iterator[str]:
    """Serve the dashboard of `home` on a free port, its temporary files in `temporary`; gives its address."""
    with served(home, temporary) as (url, _):
        yield url


@pytest.fixture(scope="session")
def app_temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the dashboard at `app_url` puts temporary files."""
    return tmp_path_factory.mktemp("app_temporary")


@pytest.fixture(scope="session")
def app_url(tiny_home: Path, app_temporary: Path) -> Iterator[str]:
    """Address of a dashboard that serves `tiny_home`."""
    with serving(tiny_home, app_temporary) as url:
        yield url
    assert not list(app_temporary.glob("dfd-*")), "a stopped dashboard leaves nothing behind"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without one the tests are skipped, but never in CI."""
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no Chromium; install Debian's package chromium")
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, headless=True, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The colour scheme that the person's system asks for."""
    return request.param


@pytest.fixture
def page(browser: Browser, app_url: str, scheme: str) -> Iterator[Page]:
    """A window on the dashboard's first page; the test fails if anything is written to the console as an error."""
    with walk.window(browser, scheme, 1440) as (window, complaints):
        window.goto(app_url)
        yield window
    assert complaints == []
