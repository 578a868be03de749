"""Runs one training to its end and writes how it ended: a process that outlives whoever started it.

    python -m dfd._launch_child ENDED PATIENCE COMMAND...

SIGTERM is passed on once, so that the training can record its run as interrupted; a training that is still there
PATIENCE seconds later is killed. ENDED is a JSON file with the training's exit code (minus the signal that killed it)
and the time.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from dfd.paths import atomic_file

LOOK = 0.2  # seconds between two looks at the training


def main(ended: Path, patience: float, command: list[str]) -> int:
    """Run the command, write `ended`, and return the command's exit code."""
    asked = False

    def note(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, note)
    training = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    code = _wait(training, lambda: asked, patience)
    with atomic_file(ended) as part:
        part.write_text(json.dumps({"code": code, "ended": datetime.now(UTC).isoformat()}), encoding="utf-8")
    return code


def _wait(training: subprocess.Popen[bytes], asked: Callable[[], bool], patience: float) -> int:
    deadline: float | None = None
    while True:
        try:
            return training.wait(timeout=LOOK)
        except subprocess.TimeoutExpired:
            if deadline is None and asked():
                training.terminate()  # once: a second one would interrupt the writing of how it ended
                deadline = time.monotonic() + patience
            if deadline is not None and time.monotonic() > deadline:
                training.kill()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
