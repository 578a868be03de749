"""Preprocessing over Ray: the files of the local pool, from this machine's two workers, whatever happens to one."""

import time
from pathlib import Path

import psutil
import pytest

from dfd.video import write_video
from tests import videos
from tests.commands import finished, preprocessing, snapshot

pytest.importorskip("ray", reason="only requirements-cluster.txt brings Ray")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("disk") / "corpus"
    for number in range(10):
        pixels = videos.face_frames(60, size=80 + 4 * number)
        write_video(root / ("real", "fake")[number % 2] / f"{number}.mp4", pixels, 25)
    (root / "fake" / "text.mp4").write_text("not a video")
    return root


@pytest.fixture(scope="module")
def by_pool(root: Path) -> dict[str, bytes]:
    finished(preprocessing(root, root.parent / "pool", "--workers", "1"))
    return snapshot(root.parent / "pool")


def test_ray_gives_the_files_of_the_pool(root: Path, by_pool: dict[str, bytes], tmp_path: Path) -> None:
    finished(preprocessing(root, tmp_path / "ray", "--engine", "ray", "--workers", "2"))
    assert snapshot(tmp_path / "ray") == by_pool


def test_an_actor_that_is_killed_costs_nothing(root: Path, by_pool: dict[str, bytes], tmp_path: Path) -> None:
    """Results go to a URL, as on a cluster."""
    out = tmp_path / "ray"
    run = preprocessing(root, out.as_uri(), "--engine", "ray", "--workers", "2")
    while run.poll() is None and not list(out.glob("clips/*.json")):
        time.sleep(0.02)
    actors = [
        process
        for process in psutil.Process(run.pid).children(recursive=True)
        if "Actor" in " ".join(process.cmdline()) and process.children()  # its decoder: it has begun to work
    ]
    actors[0].kill()
    finished(run)
    assert snapshot(out) == by_pool
