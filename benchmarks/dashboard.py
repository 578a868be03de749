"""The dashboard on a large store, beside MLflow's own search of the same store, and under many sessions at once.

    python -m benchmarks.many_runs HOME MANY
    python -m benchmarks.dashboard MANY [--repeats 5] [--sessions 5]
    python -m benchmarks.dashboard HOME --trying 20 --clip CLIP

A headless Chromium drives the real app. Once each page was opened in a session, the first of a process, all is warm:

- page: from asking for its address, in a new window, to its title shown (first paint) and to its script's end (whole)
- change: from the browser's asking for another metric, or a word in the search of Runs, to the last change on the page
- redraw: the same of another frame, or another opacity, on Attribution, and before that to the new heat map; the maps
  are there
- mlflow: `MlflowClient.search_runs` through all runs, in this process; and its first page of 1,000, as its own UI asks
- memory: of the dashboard's process, without the pages of its libraries' files, which the system shares and can drop
  (torch with CUDA: some 400 MiB), with `--sessions` windows that have opened every page; and after one explained a clip
- trying: `--trying` windows give a clip to Try at the same moment; every one of them must come to a verdict

Limits: first paint 1.5 s, a change 0.5 s, a redraw 0.3 s, 1 GiB for 5 sessions, no session without a verdict. Exit
code 1 if one is missed.
"""

import argparse
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from mlflow.tracking import MlflowClient
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.browser import IDLE, PAGES, QUIET, chromium, served
from benchmarks.timing import line, timed

PAINT, CHANGE, REDRAW, MEMORY = 1.5, 0.5, 0.3, 1024  # s, s, s, MiB
PATIENCE = 120_000  # ms
LONGEST = 1200  # s that sessions may wait for a verdict
# Times, in ms of the page's clock: when the browser last asked the server, and when what is shown last changed since
# `watch`. The script's own state, which Streamlit shows too, is never seen to change by a script that is quick.
ASKED = """() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (...what) {
    if (window.seen && window.seen.asked === null) window.seen.asked = performance.now();
    return send.apply(this, what);
  };
}"""
WATCH = """() => {
  window.seen = {asked: null, changed: null, pictured: null};
  new MutationObserver((changes) => {
    if (window.seen.asked === null) return;
    // What a canvas holds is not shown: it is what a table tells screen readers, some time after it is drawn.
    const shown = changes.some(({target}) => !(target.closest ? target : target.parentElement)?.closest('canvas'));
    if (shown) window.seen.changed = performance.now();
    if (changes.some((change) => change.attributeName === 'src')) window.seen.pictured ??= window.seen.changed;
  }).observe(document.querySelector('[data-testid="stMain"]'),
    {subtree: true, childList: true, attributes: true, characterData: true});
}"""
STEPS_UP = 9  # from the usual opacity to the highest
QUIET_FOR = 400  # ms without a change after which a page is drawn


@contextmanager
def driven(home: Path) -> Iterator[tuple[str, psutil.Process, Browser]]:
    """The dashboard of a home: its address, its process, and a headless browser."""
    path = chromium()
    if path is None:
        raise SystemExit("no Chromium on this machine; install Debian's package chromium")
    expect.set_options(timeout=PATIENCE)
    with served(home) as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=QUIET)
        yield address, psutil.Process(process), browser
        browser.close()


def window(browser: Browser) -> Page:
    """A window of a person of their own: another session."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(f"({ASKED})()")
    return page


def opened(page: Page, address: str, title: str) -> tuple[float, float]:
    """Seconds to the page's title, and to its script's end."""
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", name=title, exact=True).first.wait_for()
    painted = time.perf_counter() - started
    page.locator(IDLE).wait_for()
    return painted, time.perf_counter() - started


def changed(page: Page, act: Callable[[], None]) -> float:
    """Seconds from asking the server, upon an act of the user's, to the last change of what is shown."""
    page.evaluate(WATCH)
    act()
    page.wait_for_function(f"window.seen.changed !== null && performance.now() - window.seen.changed > {QUIET_FOR}")
    page.locator(IDLE).wait_for()
    return _since_asked(page, "changed")


def _since_asked(page: Page, moment: str) -> float:
    return float(page.evaluate(f"window.seen.{moment} - window.seen.asked")) / 1000


def metric_changes(page: Page, address: str, repeats: int) -> list[float]:
    """Seconds of choosing one metric after the other on Compare."""
    opened(page, f"{address}/compare", "Compare")
    taken = []
    for at in range(repeats):
        page.get_by_role("combobox", name=re.compile("^(Selected .*)?Metric")).first.click()
        option = page.get_by_role("option").nth(1 + at % 3)
        taken.append(changed(page, option.click))
    return taken


def searches(page: Page, address: str, repeats: int) -> list[float]:
    """Seconds of narrowing the table of Runs by a word."""
    opened(page, f"{address}/runs", "Runs")
    field = page.get_by_label("Search").first
    return [changed(page, lambda word=f"seed {at + 1}": field.fill(word)) for at in range(repeats)]  # type: ignore[misc]


def redraws(page: Page, address: str, repeats: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of moving the sliders of Attribution, by slider, once a sample clip was tried and explained.

    To the new heat map, and to the page's last change.
    """
    opened(page, f"{address}/try_clip", "Try a clip")
    page.get_by_text("Sample clips", exact=True).click()
    page.get_by_role("combobox").nth(1).click()
    page.get_by_role("option").nth(1).click()
    page.get_by_role("link", name="What did it look at?").click()
    expect(page.get_by_role("heading", name="Every frame", exact=True)).to_be_visible()
    page.locator(IDLE).wait_for()
    pictured, taken = {}, {}
    for name in ("Frame", "Heat map opacity"):
        slider = page.get_by_role("slider", name=name)
        slider.focus()
        what = name.lower()
        pictured[what], taken[what] = [], []
        for _ in range(min(repeats, STEPS_UP)):
            taken[what].append(changed(page, lambda: page.keyboard.press("ArrowRight")))
            pictured[what].append(_since_asked(page, "pictured"))
    return pictured, taken


def measure(home: Path, repeats: int, sessions: int) -> bool:
    """Pages, changes, memory and MLflow's search; prints a table and says whether every limit is kept."""
    kept = True
    with driven(home) as (address, process, browser):
        first = window(browser)
        for path, title in PAGES.items():
            opened(first, f"{address}/{path}", title)
        for path, title in PAGES.items():
            taken = [opened(first, f"{address}/{path}", title) for _ in range(repeats)]
            painted, whole = zip(*taken, strict=True)
            print(line(f"{title}: first paint (limit {PAINT})", painted))
            print(line(f"{title}: whole", whole))
            kept &= statistics.median(painted) <= PAINT
        for name, taken in (
            ("Compare: another metric", metric_changes(first, address, repeats)),
            ("Runs: a word to search", searches(first, address, repeats)),
        ):
            print(line(f"{name} (limit {CHANGE})", taken))
            kept &= statistics.median(taken) <= CHANGE
        for _ in range(sessions - 1):
            another = window(browser)
            for path, title in PAGES.items():
                opened(another, f"{address}/{path}", title)
        kept &= held(f"memory with {sessions} sessions (limit {MEMORY})", process) <= MEMORY
        pictured, redrawn = redraws(first, address, repeats)
        for name, taken in redrawn.items():
            print(line(f"Attribution: another {name}, its heat map", pictured[name]))
            print(line(f"Attribution: another {name} (limit {REDRAW})", taken))
            kept &= statistics.median(taken) <= REDRAW
        held("memory after a clip was explained", process)
    print(line("mlflow: search_runs, all", [timed(lambda: search(home, None)) for _ in range(min(3, repeats))]))
    print(line("mlflow: search_runs, first 1,000", [timed(lambda: search(home, 1)) for _ in range(repeats)]))
    return kept


def held(what: str, process: psutil.Process) -> float:
    """Print the MiB that a process holds, of its own and in all; returns those of its own."""
    info = process.memory_info()
    own = (info.rss - info.shared) / 2**20
    print(line(what, [own], "MiB"))
    print(line("  and with its libraries' files (RSS)", [info.rss / 2**20], "MiB"))
    return own


def search(home: Path, pages: int | None) -> int:
    """MLflow's own search, in pages of 1,000; returns how many runs it found."""
    client = MlflowClient(f"sqlite:///{(home / 'mlruns' / 'mlflow.db').resolve().as_posix()}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    found, token, read = 0, None, 0
    while pages is None or read < pages:
        page = client.search_runs(ids, max_results=1000, page_token=token)
        found, token, read = found + len(page), page.token, read + 1
        if not token:
            break
    return found


def trying(home: Path, clip: Path, count: int) -> bool:
    """Windows that give a clip to Try at once; prints how long they waited, and says whether all had a verdict."""
    with driven(home) as (address, process, browser):
        pages = [window(browser) for _ in range(count)]
        for page in pages:
            opened(page, f"{address}/try_clip", "Try a clip")
        before, started = process.memory_info().rss / 2**20, time.perf_counter()
        for page in pages:
            page.locator("input[type=file]").first.set_input_files(clip)
        waited: dict[int, float] = {}
        most = before
        while len(waited) < count and time.perf_counter() - started < LONGEST:
            for at, page in enumerate(pages):
                if at not in waited and page.get_by_role("heading", name="The crops it scored").count():
                    waited[at] = time.perf_counter() - started
            most = max(most, process.memory_info().rss / 2**20)
            time.sleep(0.1)
    print(line(f"{len(waited)} of {count} sessions: from the clip to the verdict", list(waited.values())))
    print(line("memory before", [before], "MiB"))
    print(line("memory, most", [most], "MiB"))
    return len(waited) == count


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--trying", type=int, default=0, help="only this: sessions that try a clip at once")
    parser.add_argument("--clip", type=Path)
    asked = parser.parse_args()
    if asked.trying:
        if asked.clip is None:
            parser.error("--trying needs --clip")
        return 0 if trying(asked.home, asked.clip, asked.trying) else 1
    return 0 if measure(asked.home, asked.repeats, asked.sessions) else 1


if __name__ == "__main__":
    raise SystemExit(main())
