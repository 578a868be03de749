"""Preprocessing that is killed: it goes on where it was, comes to the same bytes, and leaves no process behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from dfd import pool
from dfd.errors import DfdError
from dfd.video import write_video
from tests import videos
from tests.commands import finished, preprocessing, snapshot

CLIPS = 14


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("disk") / "corpus"
    for number in range(CLIPS):
        pixels = videos.face_frames(30, size=80 + 4 * number)
        write_video(root / ("real", "fake")[number % 2] / f"{number}.mp4", pixels, 25)
    (root / "fake" / "text.mp4").write_text("not a video")
    return root


def kill(run: subprocess.Popen[str]) -> list[psutil.Process]:
    """End a run as `kill -9` does; returns the processes that it had started."""
    family = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
    run.kill()
    run.communicate()
    return family


def wait_for_clips(run: subprocess.Popen[str], out: Path, count: int) -> None:
    """Until a run has begun, and that many clips are done."""
    while run.poll() is None and not ((out / ".lock").exists() and len(list(out.glob("clips/*.json"))) >= count):
        time.sleep(0.01)


def test_killed_ten_times_it_comes_to_the_same_bytes(root: Path, tmp_path: Path) -> None:
    """At random moments all along a run: four as it starts, the others in each sixth of the work, some way into a clip.

    Runs of two workers are among them while there is enough left for two.
    """
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finished(preprocessing(root, whole, "--workers", "1"))
    random, ends, orphans = np.random.default_rng(0), [], []
    for workers, sixth in ((2, 0), (1, None), (2, 1), (1, None), (2, 2), (1, 3), (1, None), (1, 4), (1, None), (1, 5)):
        run = preprocessing(root, killed, "--workers", str(workers))
        if sixth is None:
            time.sleep(random.uniform(0, 3))
        else:
            wait_for_clips(run, killed, int((sixth + random.uniform()) / 6 * CLIPS))
            time.sleep(random.uniform(0, 0.2))
        orphans += kill(run)
        ends.append(run.returncode)
    assert len(ends) == 10
    assert ends.count(-signal.SIGKILL) >= 9  # the last may find that all is done
    assert len(orphans) >= 10
    assert psutil.wait_procs(orphans, 30)[1] == []
    finished(preprocessing(root, killed, "--workers", "1"))
    assert snapshot(killed) == snapshot(whole)


def kill_this_process(job: int) -> None:
    """As the system does with a worker when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying() -> Callable[[int], None]:
    return kill_this_process


def test_a_worker_that_was_ended_from_outside_is_told() -> None:
    with pytest.raises(DfdError, match="a worker process was ended from outside.*what is done is kept"):
        list(pool.run(dying, range(20), 2))
