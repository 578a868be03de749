"""The real app on a free port with the tiny store, and a headless Chromium to drive it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 120_000  # ms; torch is imported the first time a clip is tried, on a machine that may be busy
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serving(home: Path, temporary: Path) -> Iterator[str]:
    """Serve the dashboard of `home` on a free port, its temporary files in `temporary`; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"DFD_HOME": str(home), "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_stcore/health", server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


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


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the dashboard did not start")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without one the tests are skipped, but never in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no Chromium; install Debian's package chromium")
        pytest.skip("no Chromium on this machine")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The colour scheme that the person's system asks for."""
    return request.param


@pytest.fixture
def page(browser: Browser, app_url: str, scheme: str) -> Iterator[Page]:
    """A window on the dashboard's first page; the test fails if anything is written to the console as an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    window = context.new_page()
    window.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    window.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.goto(app_url)
    yield window
    context.close()
    assert complaints == []
