"""Every page wide in light and narrow in dark, on an empty store and on one with runs: nothing is broken."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks.browser import PAGES
from docs.walk import FAULTS, SCHEMES, WIDTHS, faults, window
from tests.browser.conftest import serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def empty_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard whose home is an empty folder."""
    with serving(tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("temporary")) as url:
        yield url


@pytest.mark.parametrize(("scheme", "width"), list(zip(SCHEMES, WIDTHS, strict=True)))
@pytest.mark.parametrize("store", ["empty_url", "app_url"])
def test_no_page_has_a_fault(
    browser: Browser, request: pytest.FixtureRequest, store: str, scheme: str, width: int
) -> None:
    url = request.getfixturevalue(store)
    with window(browser, scheme, width) as (page, complaints):
        found = {path: faults(page, url, path) for path in PAGES}
    assert found == {path: [] for path in PAGES}
    assert complaints == []


def test_faults_are_found(browser: Browser, app_url: str) -> None:
    with window(browser, "light", 400) as (page, _):
        assert faults(page, app_url, "compare") == []
        broken = """() => document.querySelector('[data-testid="stMain"]').insertAdjacentHTML('beforeend',
            `<div data-testid="stException">Traceback</div><img width=9 height=9 src="/none.png"><button> </button>
            <div class="js-plotly-plot">no chart</div><div style="width: 3000px">wide</div>`)"""
        page.evaluate(broken)
        page.wait_for_timeout(500)
        kinds = {line.split(":")[0].split(" by ")[0] for line in page.evaluate(FAULTS)}
    assert kinds == {
        "a traceback",
        "a picture without words",
        "a picture that is not there",
        "a button without a name",
        "a chart that is not drawn",
        "wider than the window",
    }
