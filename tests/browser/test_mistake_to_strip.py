"""From a point in Compare to the run's mistakes, to what the detector looked at in one of them, to a strip of it."""

import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from dfd import tracking
from dfd.corpora import registry
from dfd.mistakes import most_wrong
from dfd.video import write_video
from tests import corpora_trees as trees
from tests import videos
from tests.browser.conftest import PATIENCE, serving
from tests.commands import dfd
from tests.conftest import TINY_MODEL

pytestmark = pytest.mark.browser

SIZE, FRAMES = 32, 4
STAGE = {"epochs": 1, "batch": 8}
EXPERIMENT = {
    "name": "mistaken",
    "data": {"corpora": ["heads"]},
    "crop": {"size": SIZE, "max_frames": 8, "detect_long_side": 160},
    "model": {**TINY_MODEL, "sequence_length": FRAMES},
    "train": {"mode": "two_stage", "backbone": STAGE, "head": STAGE},
}


def alike(path: Path) -> None:
    """A clip of a moving head that tells people apart, and not what is real: of each of two such, one is misjudged."""
    pixels = videos.face_frames(12, 120, 160, size=90)
    pixels[:, :16, :16] = list(zlib.crc32(path.name.encode()).to_bytes(4)[:3])
    write_video(path, pixels, 25)


@pytest.fixture(scope="module")
def mistaken_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose one detector was really trained and tested; everybody's fake is the same as the real clip."""
    home = tmp_path_factory.mktemp("mistaken_home")
    experiment = home / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(EXPERIMENT), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        registry.add("heads", trees.folder(home / "tree", alike, people=12))
        assert dfd(patch, "preprocess", "heads", "--experiment", experiment, "--workers", "1") == 0
        assert dfd(patch, "train", experiment) == 0
    return home


@pytest.fixture
def mistakes(mistaken_home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str]]:
    """The detector's run, and the test clips it got wrong, the surest error first."""
    monkeypatch.setenv("DFD_HOME", str(mistaken_home))
    run_id = tracking.detectors()[0]["run_id"]
    wrong = most_wrong(tracking.predictions(run_id))["clip_id"].tolist()
    assert wrong
    return run_id, wrong


@pytest.fixture
def window(mistaken_home: Path, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A window on the dashboard of `mistaken_home`."""
    with (
        serving(mistaken_home, tmp_path) as url,
        browser.new_context(viewport={"width": 1440, "height": 1000}) as context,
    ):
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{url}/compare")
        yield page


def heading(page: Page, text: str) -> None:
    """Wait until something with this title is shown."""
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible()


def follow(page: Page, table: Locator) -> Page:
    """Click the link in the last column of a table's first row; it opens a window of its own.

    The table is painted, so that the link is nowhere in the page: it is the text at the left of its column.
    """
    box = table.locator("canvas").first.bounding_box()
    assert box is not None
    opened: list[Page] = []
    page.context.on("page", lambda new: opened.append(new))
    for left in range(40, 400, 40):
        page.mouse.click(box["x"] + box["width"] - left, box["y"] + 35 * 1.5)
        page.wait_for_timeout(300)
        if opened:
            opened[0].set_default_timeout(PATIENCE)
            return opened[0]
    pytest.fail("the table has no link where its last column is")


def test_from_a_point_in_compare_to_a_strip_of_a_mistake(window: Page, mistakes: tuple[str, list[str]]) -> None:
    run_id, wrong = mistakes
    heading(window, "Compare")
    point = window.locator(".js-plotly-plot .scatterlayer .trace .points path").first
    box = point.bounding_box()
    assert box is not None
    window.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(window).to_have_url(re.compile(rf"/runs\?run={run_id}$"))

    heading(window, "Clips it got wrong")
    table = window.locator("[data-testid=stDataFrame]", has=window.get_by_text(wrong[0], exact=True)).first
    table.scroll_into_view_if_needed()
    shown = follow(window, table)
    heading(shown, "Attribution")
    expect(shown.get_by_text(f"{wrong[0]} of heads")).to_be_visible()
    expect(shown.get_by_alt_text(re.compile(r"^Heat map at "))).to_have_count(FRAMES)
    with shown.expect_download() as saved:
        shown.get_by_role("button", name="Strip (PNG)").click()
    content = Path(saved.value.path()).read_bytes()
    assert saved.value.suggested_filename.startswith("gradcam-")
    with Image.open(io.BytesIO(content)) as strip:
        assert strip.format == "PNG"
        assert strip.size == (FRAMES * SIZE, SIZE)
        assert len(strip.convert("RGB").getcolors(SIZE * SIZE * FRAMES) or []) > 100, "a picture, not a plain colour"
