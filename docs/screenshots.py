"""Take the pictures of the README from a running dashboard: `python -m docs.screenshots http://127.0.0.1:8501`.

Needs Chromium, and a store and sample corpus as `make demo` leaves them; writes docs/*.png.
"""

import re
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.browser import QUIET, chromium

DOCS = Path(__file__).resolve().parent
PATIENCE = 300_000  # ms


def main(url: str) -> None:
    """Walk the pages in both colour schemes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=QUIET)
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 1440, "height": 1000}, color_scheme=scheme, device_scale_factor=1.5
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            walk(page, url, scheme)
            context.close()
        browser.close()


def walk(page: Page, url: str, scheme: str) -> None:
    """Compare, a verdict on a sample clip, its attribution, the runs, and a data set with its face clips."""
    page.goto(f"{url}/compare")
    page.locator(".js-plotly-plot .points path").first.wait_for()
    shoot(page, f"compare-{scheme}")
    page.get_by_role("link", name="Try a clip").click()
    page.get_by_text("Sample clips", exact=True).click()
    page.get_by_role("combobox").nth(1).click()
    page.get_by_role("option").nth(1).click()
    expect(page.get_by_role("heading", name="The crops it scored", exact=True)).to_be_visible()
    shoot(page, f"try-{scheme}")
    page.get_by_role("link", name="What did it look at?").click()
    expect(page.get_by_role("heading", name="Every frame", exact=True)).to_be_visible()
    shoot(page, f"attribution-{scheme}")
    page.get_by_role("link", name=re.compile("^.*Runs$")).click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    shoot(page, f"runs-{scheme}")
    page.goto(f"{url}/datasets?corpus=sample-swap")
    expect(page.get_by_alt_text(re.compile("^A face from ")).last).to_be_visible()
    page.get_by_role("heading", name="Clips a person", exact=True).evaluate("heading => heading.scrollIntoView()")
    shoot(page, f"datasets-{scheme}")


def shoot(page: Page, name: str) -> None:
    """Save what is seen, once pictures and charts have settled."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(3000)
    page.screenshot(path=DOCS / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1])
