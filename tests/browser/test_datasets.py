"""The Data sets page as a person uses it: from the table to a data set, its face clips, and one clip that plays."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dfd.corpora import registry
from tests import corpora_trees, face_corpora
from tests.browser.conftest import PATIENCE, serving

pytestmark = pytest.mark.browser

# Its width once it plays; a script that waits has no time limit of Playwright's.
PLAYING = """video => Promise.race([
  video.play().then(() => video.videoWidth),
  new Promise((_, fail) => setTimeout(fail, 60000, new Error("the video does not play"))),
])"""


@pytest.fixture(scope="module")
def datasets_home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """A home with one data set that is preprocessed and one that is not."""
    home = tmp_path_factory.mktemp("datasets_home")
    (home / "mlruns").mkdir()
    shutil.copy(empty_database, home / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        tree = corpora_trees.folder(home / "tree", corpora_trees.moving, people=15)
        face_corpora.preprocessed(home, registry.add("swaps", tree).manifest())
        registry.add("celeb", corpora_trees.celeb_df(home / "Celeb-DF-v2"))
    return home


@pytest.fixture(scope="module")
def app_url(datasets_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard that serves `datasets_home`, in the place of the one with runs."""
    with serving(datasets_home, tmp_path_factory.mktemp("temporary")) as url:
        yield url


@pytest.fixture
def datasets(page: Page) -> Page:
    """The table of all data sets."""
    page.get_by_role("link", name="Data sets").click()
    expect(page.get_by_role("heading", name="Data sets", exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    return page


def open_row(page: Page, row: int) -> None:
    """Select a row of the table of all data sets."""
    box = page.get_by_test_id("stDataFrame").locator("canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1.5))


def test_a_data_set_and_a_clip_are_opened_and_the_clip_plays(datasets: Page) -> None:
    open_row(datasets, 1)
    expect(datasets).to_have_url(re.compile(r"/datasets\?corpus=swaps$"))
    expect(datasets.get_by_role("heading", name="swaps", exact=True)).to_be_visible()
    pictures = datasets.get_by_alt_text(re.compile(r"^A face from the (real|fake) clip "))
    expect(pictures).to_have_count(24)
    datasets.get_by_role("button", name="Page 2", exact=True).click()
    expect(pictures).to_have_count(6)
    datasets.get_by_test_id("stButtonGroup").first.get_by_text("fake", exact=True).click()
    expect(pictures).to_have_count(15)
    assert all("fake" in (picture.get_attribute("alt") or "") for picture in pictures.all())

    datasets.get_by_role("button", name="person03.mp4", exact=True).click()
    expect(datasets).to_have_url(re.compile(r"corpus=swaps&clip=fake%2Fswap%2Fperson03\.mp4$"))
    videos = datasets.locator("video")
    expect(videos).to_have_count(2)
    assert [video.evaluate(PLAYING) for video in videos.all()] == [32, 160]

    datasets.get_by_role("button", name="All of swaps").click()
    expect(pictures).to_have_count(15), "the filter is as it was left"


@pytest.mark.parametrize("scheme", ["light"], indirect=True)
def test_a_data_set_that_is_not_preprocessed_says_what_to_run(datasets: Page) -> None:
    open_row(datasets, 0)
    expect(datasets.get_by_test_id("stAlert")).to_contain_text("run dfd preprocess celeb")
    expect(datasets.get_by_text("Traceback")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["dark"], indirect=True)
def test_a_narrow_window_has_nothing_cut_off_at_its_side(datasets: Page) -> None:
    open_row(datasets, 1)
    datasets.set_viewport_size({"width": 420, "height": 900})
    expect(datasets.get_by_alt_text(re.compile(r"^A face from "))).to_have_count(24)
    main = datasets.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")


def test_a_link_to_a_clip_may_be_the_first_thing_that_a_server_is_asked_for(
    browser: Browser, datasets_home: Path, tmp_path: Path
) -> None:
    with serving(datasets_home, tmp_path) as url, browser.new_context() as context:
        window = context.new_page()
        window.set_default_timeout(PATIENCE)
        window.goto(f"{url}/datasets?corpus=swaps&clip=real/person00.mp4")
        expect(window.get_by_role("heading", name="real/person00.mp4", exact=True)).to_be_visible()
        expect(window.locator("video")).to_have_count(2)
        expect(window.get_by_role("link", name="Compare")).to_be_visible()
