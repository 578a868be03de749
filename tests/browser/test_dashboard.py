"""The dashboard as a person uses it: overview, compare, open a run, try a clip, see what the verdict rests on."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dfd import tracking
from tests.browser.conftest import serving

pytestmark = pytest.mark.browser

POINTS = ".js-plotly-plot .scatterlayer .trace .points path"
DRAWN = {"importance": ".barlayer .point path", "so_far": ".scatterlayer .points path"}  # a mark a frame, by chart
ASIDE = """([key, marks, place]) => {
  const chart = document.querySelector(`.st-key-${key} .stPlotlyChart`), mark = chart.querySelectorAll(marks)[place];
  const line = getComputedStyle(chart, '::after'), box = mark.getBoundingClientRect();
  const middle = chart.getBoundingClientRect().left + parseFloat(line.left) + parseFloat(line.borderLeftWidth) / 2;
  return middle - (box.left + box.right) / 2;
}"""
BACKGROUNDS = {"light": "rgb(252, 252, 252)", "dark": "rgb(18, 22, 27)"}


def heading(page: Page, text: str) -> None:
    """Wait until the page with this title is shown."""
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible()


def to_compare(page: Page) -> None:
    """Go to Compare, and wait until it has a point for each of the store's runs."""
    page.get_by_role("link", name="Compare").first.click()
    heading(page, "Compare")
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length >= 8")


def test_the_overview_leads_to_the_best_checkpoint(page: Page) -> None:
    heading(page, "Overview")
    heading(page, "Best checkpoint of each data set")
    page.get_by_role("link", name="Run", exact=True).first.click()
    heading(page, "Runs")
    heading(page, "Confusion matrix")
    expect(page).to_have_url(re.compile(r"/runs\?run=[0-9a-f]{32}$"))


def test_compare_shows_every_run_in_the_theme_of_the_system(page: Page, scheme: str) -> None:
    to_compare(page)
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", BACKGROUNDS[scheme])


@pytest.mark.parametrize("scheme", ["dark"], indirect=True)
def test_a_click_on_a_point_opens_its_run(page: Page) -> None:
    to_compare(page)
    box = page.locator(POINTS).first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    heading(page, "Runs")
    expect(page).to_have_url(re.compile(r"/runs\?run=[0-9a-f]{32}$"))
    heading(page, "Confusion matrix")
    heading(page, "Make it again")


def test_an_upload_becomes_a_verdict_and_a_heat_map_for_each_frame(page: Page, face_video: Path) -> None:
    page.get_by_role("link", name="Try a clip").click()
    heading(page, "Try a clip")
    page.locator("input[type=file]").set_input_files(face_video)
    expect(page.get_by_text(re.compile(r"^\w* ?(Real|Fake)$")).first).to_be_visible()
    heading(page, "The crops it scored")
    crops = page.get_by_alt_text(re.compile(r"^Face crop at "))
    expect(crops.first).to_be_visible()
    frames = crops.count()
    assert frames in (4, 8), "the tiny store's detectors read 4 or 8 frames"

    page.get_by_role("link", name="What did it look at?").click()
    heading(page, "Attribution")
    heading(page, "Every frame")
    maps = page.get_by_alt_text(re.compile(r"^Heat map at "))
    expect(maps).to_have_count(frames)
    for place in (1, 2):
        expect(page.get_by_text(f"The line is at frame {place}:")).to_be_visible()
        for key, marks in DRAWN.items():
            expect(page.locator(f".st-key-{key} {marks}")).to_have_count(frames)
            assert abs(page.evaluate(ASIDE, [key, marks, place - 1])) < 1.5, f"px from its mark in {key}"
        page.get_by_role("slider", name="Frame").press("ArrowRight")
    page.get_by_role("combobox", name=re.compile("Method")).click()
    page.get_by_role("option", name="Integrated gradients").click()
    expect(page.get_by_text("Completeness error")).to_be_visible()
    expect(maps).to_have_count(frames)


@pytest.mark.parametrize("scheme", ["light"], indirect=True)
def test_a_bad_upload_is_answered_in_one_sentence(page: Page, tmp_path: Path) -> None:
    clip = tmp_path / "notes.mp4"
    clip.write_text("not a video")
    page.get_by_role("link", name="Try a clip").click()
    heading(page, "Try a clip")
    page.locator("input[type=file]").set_input_files(clip)
    expect(page.get_by_role("alert")).to_contain_text("notes.mp4 is not a video")
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_an_upload_is_deleted_when_its_window_is_closed(
    browser: Browser, app_url: str, app_temporary: Path, face_video: Path
) -> None:
    with browser.new_context() as context:
        window = context.new_page()
        window.goto(app_url)
        window.get_by_role("link", name="Try a clip").click()
        window.locator("input[type=file]").set_input_files(face_video)
        heading(window, "The crops it scored")
        assert [path.read_bytes() == face_video.read_bytes() for path in app_temporary.rglob("clip.mp4")] == [True]
    for _ in range(100):
        if not list(app_temporary.rglob("clip.mp4")):
            return
        time.sleep(0.1)
    pytest.fail("the upload outlived its session")


def test_a_link_to_a_run_may_be_the_first_thing_that_a_server_is_asked_for(
    browser: Browser, tiny_store: Path, tmp_path: Path
) -> None:
    run_id = tracking.detectors()[0]["run_id"]
    with serving(tiny_store, tmp_path) as url, browser.new_context() as context:
        window = context.new_page()
        window.goto(f"{url}/runs?run={run_id}")
        heading(window, "Runs")
        expect(window.get_by_role("link", name="Try a clip")).to_be_visible()
        heading(window, "Confusion matrix")
        assert window.url == f"{url}/runs?run={run_id}"


@pytest.mark.parametrize("scheme", ["dark"], indirect=True)
def test_a_narrow_window_has_nothing_cut_off_at_its_side(page: Page) -> None:
    heading(page, "Best checkpoint of each data set")
    to_compare(page)
    page.set_viewport_size({"width": 420, "height": 900})
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
