"""The real app on a free port, and a headless Chromium to drive it: for benchmarks, and for the tests in a browser."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import free_port, serving

ROOT = Path(__file__).resolve().parent.parent
PAGES = {  # by the path of their address: their titles
    "": "Overview",
    "compare": "Compare",
    "try_clip": "Try a clip",
    "attribution": "Attribution",
    "datasets": "Data sets",
    "runs": "Runs",
    "train": "Train",
}
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'  # shown once a page's script has ended
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Where Chromium or Chrome is; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def served(home: Path, temporary: Path | None = None) -> Iterator[tuple[str, int]]:
    """Serve the dashboard of `home` on a free port, its temporary files in `temporary`: its address and process id.

    No `MLFLOW_` setting of this process reaches it.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"DFD_HOME": str(home.resolve())} | ({"TMPDIR": str(temporary)} if temporary else {})
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with serving(command, f"{url}/_stcore/health", None, environment, ROOT) as process:
        yield url, process
