"""The demonstration: sample corpora, the sample sweep, and the dashboard as soon as there is a checkpoint to try."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from dfd import tracking
from dfd.config import read_experiment
from dfd.corpora import sample
from dfd.errors import DfdError
from dfd.paths import data_dir, home
from dfd.preprocess import preprocess
from dfd.progress import Progress, part, silent
from dfd.sweep import sweep

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
SWEEP = ROOT / "experiments" / "sample_sweep.yaml"
SPEC = sample.SampleSpec(identities=64)


def prepare(progress: Progress = silent) -> list[str]:
    """Make the sample corpora, find their faces, train the sample sweep; returns the sweep's run ids.

    What is there already is kept, so that a second call takes seconds.
    """
    corpora = sample.make(data_dir() / "sample", SPEC, progress=part(progress, 0, 0.1))
    experiment = read_experiment(SWEEP)
    for place, (name, manifest) in enumerate(corpora.items()):
        share = part(progress, 0.1 + 0.05 * place, 0.15 + 0.05 * place)
        report = preprocess(manifest, data_dir() / "faces" / name, experiment.crop, progress=share)
        for clip, reason in report.failures:
            log.warning("left out %s: %s", clip, reason)
    return sweep(experiment, part(progress, 0.2, 1))


def prepare_and_serve(port: int) -> int:
    """Train in a child process, and serve the dashboard from the first registered checkpoint on; returns an exit code.

    The child's progress goes on below the dashboard's address; Ctrl-C ends both.
    """
    child = subprocess.Popen([sys.executable, "-m", "dfd.cli", "demo", "--no-serve"])
    try:
        while tracking.best() is None:
            if child.poll() is not None:
                return child.returncode or 1
            time.sleep(2)
        return serve(port)
    finally:
        if child.poll() is None:
            child.terminate()  # so that its run is recorded as interrupted
            child.wait(timeout=60)


def serve(port: int) -> int:
    """Serve the dashboard until it is stopped; returns its exit code."""
    if not APP.is_file():
        raise DfdError(f"the dashboard {APP} is missing; run dfd from its repository (pip install -e .)")
    print(f"\nThe dashboard is at http://127.0.0.1:{port} (Ctrl-C ends it).\n", flush=True)
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    try:
        # The theme lies in the repository, so Streamlit starts there; dfd's home stays where it is.
        return subprocess.run(command, cwd=ROOT, env={**os.environ, "DFD_HOME": str(home())}, check=False).returncode
    except KeyboardInterrupt:
        return 0
