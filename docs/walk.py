"""Walk every page of the dashboard on one store after another, in light and dark, wide and narrow, and look for faults.

    python -m docs.walk OUT HOME [HOME ...]

HOME is a dfd home: an empty folder, what `make demo SERVE=0` leaves, what `benchmarks.many_runs` makes. OUT gets a
picture of each page from top to end, `HOME-page-scheme-width.png`, to be looked at: what `faults` finds is only what
needs no eye. Needs Chromium. Exit code 1 if there is a fault.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from benchmarks.browser import IDLE, PAGES, QUIET, chromium, served

SCHEMES = ("light", "dark")
WIDTHS = (1440, 400)  # px: a desk, a phone
PATIENCE = 120_000  # ms
SETTLED = 1500  # ms that charts are given to draw themselves
# What is wrong with what is shown, each a line; a page scrolls within an element of its own.
FAULTS = """() => {
  const main = document.querySelector('[data-testid="stMain"]'), found = [];
  const seen = element => element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
  const each = (selector, wrong, what) => {
    for (const element of main.querySelectorAll(selector))
      if (seen(element) && wrong(element)) found.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  };
  each('[data-testid="stException"]', () => true, 'a traceback');
  each('img', image => !image.alt || /^[0-9]+$/.test(image.alt), 'a picture without words');
  each('img', image => image.complete && image.naturalWidth === 0, 'a picture that is not there');
  each('button', button => !(button.innerText || button.ariaLabel || button.title).trim(), 'a button without a name');
  each('.js-plotly-plot', chart => !chart.querySelector('.main-svg'), 'a chart that is not drawn');
  const wider = main.scrollWidth - main.clientWidth;
  if (wider > 1) found.push(`wider than the window by ${wider} px`);
  return found;
}"""


@contextmanager
def window(browser: Browser, scheme: str, width: int) -> Iterator[tuple[Page, list[str]]]:
    """A window of a person of their own, and what is written to its console as an error."""
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)  # type: ignore[arg-type]
    page, complaints = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: complaints.append(message.text) if _complains(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page, complaints
    context.close()


def _complains(message: ConsoleMessage) -> bool:
    # At the address of a page Streamlit looks for its server below that address first, and then at the root.
    sought = "/_stcore/" in message.location.get("url", "") and "404" in message.text
    return message.type == "error" and not sought


def faults(page: Page, url: str, path: str) -> list[str]:
    """Open a page, wait until all of it is there, and say what is wrong with it."""
    page.goto(f"{url}/{path}")
    expect(page.get_by_role("heading", name=PAGES[path], exact=True).first).to_be_visible()
    page.locator(IDLE).wait_for()
    page.wait_for_timeout(SETTLED)
    page.locator(IDLE).wait_for()
    return list(page.evaluate(FAULTS))


def picture(page: Page, path: Path) -> None:
    """All of the page: Streamlit scrolls within an element, so the window is made as tall as what is in it."""
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(max(height, size["height"]), 8000)})
    page.wait_for_timeout(SETTLED)
    page.screenshot(path=path)
    page.set_viewport_size(size)


def walk(browser: Browser, home: Path, out: Path) -> list[str]:
    """Every page of a store, in every scheme and width; returns the faults."""
    found = []
    with served(home) as (url, _):
        for scheme in SCHEMES:
            for width in WIDTHS:
                with window(browser, scheme, width) as (page, complaints):
                    for path, title in PAGES.items():
                        wrong = [*faults(page, url, path), *complaints]
                        complaints.clear()
                        found += [f"{home.name}, {title}, {scheme}, {width} px: {what}" for what in wrong]
                        picture(page, out / f"{home.name}-{path or 'overview'}-{scheme}-{width}.png")
    return found


def main() -> int:
    """Walk, print the faults; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("homes", type=Path, nargs="+", metavar="HOME")
    asked = parser.parse_args()
    path = chromium()
    if path is None:
        raise SystemExit("no Chromium on this machine; install Debian's package chromium")
    asked.out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=QUIET)
        for home in asked.homes:
            found += walk(browser, home, asked.out)
        browser.close()
    print("\n".join(found) or "no faults")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
