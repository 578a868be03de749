"""Which of DFDC's fakes were altered in their voice alone: their picture is their original's, encoded once more.

Frames of both are looked at at the same places, 320 px wide, in cells of 8 px, by mean luminance. Encoding again moves
all cells a little, where there is texture more; a changed face moves the cells it covers much. So the measure is how
much the most-changed cell differs, over how much a cell of the upper quartile does, plus one grey level.

Measured on clips encoded at crf 23. Encoded again at crf 23, 28, 32 and 36, eighteen of them (ten films of people and
eight sample clips) came to at most 1.5, 2.0, 2.5 and 3.2. Beside their originals, eight published face swaps (SimSwap,
GHOST) came to at least 6.6, and sixteen sample fakes at crf 28 to at least 4.7 at difficulty 0.2, 2.0 at 0.6 and 1.1 at
1.0, where nothing is left to see. The limit lies between copies and the fakes that can be seen; a fake below it would
be left out with the copies.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd import storage
from dfd.errors import VideoError
from dfd.paths import data_dir
from dfd.progress import Progress, silent
from dfd.video import probe, read_frames

LIMIT = 2.5  # a fake whose picture differs less from its original's is taken for altered in its voice alone
LOOKS = 5  # frames of a clip
LONG_SIDE, CELL = 320, 8  # px
GREY = np.array([0.299, 0.587, 0.114], np.float32)
FEW = 8  # comparisons that are done sooner than a worker process has started


def difference(fake: Path, original: Path) -> float:
    """How much the pictures of two clips differ, from 0 on; see `LIMIT`. Infinite where the sizes do.

    Raises:
        VideoError: one of them cannot be read.
    """
    frames = min(probe(fake).frames, probe(original).frames)
    return _difference(_cells(fake, frames), _cells(original, frames))


def differences(pairs: Mapping[Path, Path], progress: Progress = silent) -> dict[Path, float]:
    """The difference of every fake from its original, but for those that cannot be read.

    What was found is kept in `data/corpora/dfdc_pictures.jsonl`, so that a fake is looked at again only if it or its
    original changes.
    """
    from dfd import pool  # it brings torch, which takes seconds that listing a corpus need not wait

    journal = _Journal(data_dir() / "corpora" / "dfdc_pictures.jsonl")
    found: dict[Path, float] = {}
    waiting: dict[Path, list[Path]] = defaultdict(list)
    for fake, original in pairs.items():
        known = journal.known(fake, original)
        if known is None:
            waiting[original].append(fake)
        else:
            found[fake] = known
    total, jobs = sum(map(len, waiting.values())), [_Job(original, tuple(fakes)) for original, fakes in waiting.items()]
    workers = 1 if total <= FEW else os.cpu_count() or 1
    done = 0
    for job, values in pool.run(_comparer, jobs, workers):
        for fake, value in values.items():
            journal.add(fake, job.original, value)
            found[fake] = value
        done += len(job.fakes)
        progress(done / total, f"pictures of fakes beside their originals': {done} of {total}")
    return found


@dataclass(frozen=True, slots=True)
class _Job:
    """An original, which is decoded once, and its fakes."""

    original: Path
    fakes: tuple[Path, ...]


def _comparer() -> Callable[[_Job], tuple[_Job, dict[Path, float]]]:
    return _compare


def _compare(job: _Job) -> tuple[_Job, dict[Path, float]]:
    try:
        frames = probe(job.original).frames
    except VideoError:
        return job, {}
    return job, dict(_values(job, frames))


def _values(job: _Job, frames: int) -> Iterator[tuple[Path, float]]:
    cells = cache(lambda length: _cells(job.original, length))
    for fake in job.fakes:
        try:
            length = min(probe(fake).frames, frames)
            yield fake, _difference(_cells(fake, length), cells(length))
        except VideoError:
            continue  # preprocessing names it, with the reason


def _cells(path: Path, frames: int) -> NDArray[np.float32]:
    """(LOOKS, rows, columns) mean luminance of the cells, at places spread over the first `frames` frames."""
    places = [int(frames * (look + 0.5) / LOOKS) for look in range(LOOKS)]
    seen = read_frames(path, places, long_side=LONG_SIDE)
    if len(seen) < len(set(places)):
        raise VideoError(f"{path} is damaged: frame {min(set(places) - set(seen.indices.tolist()))} does not decode")
    luminance = seen.pixels.astype(np.float32) @ GREY
    looks, height, width = luminance.shape
    rows, columns = height // CELL, width // CELL
    cut = luminance[:, : rows * CELL, : columns * CELL].reshape(looks, rows, CELL, columns, CELL)
    return cut.mean(axis=(2, 4))


def _difference(cells: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    if cells.shape != others.shape:
        return float("inf")
    change = np.abs(cells - others).mean(axis=0)
    return float(change.max() / (np.percentile(change, 75) + 1))


class _Journal:
    """What was found, a line a fake, keyed by the size and time of both files; a killed run keeps what it had."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, float] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            try:
                key, value = json.loads(line)
                self._found[key] = float(value)
            except (ValueError, TypeError):
                continue  # the line that was being written when a run was killed

    def known(self, fake: Path, original: Path) -> float | None:
        """What was found of a pair that has not changed since."""
        return self._found.get(_key(fake, original))

    def add(self, fake: Path, original: Path, value: float) -> None:
        """Remember a pair."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([_key(fake, original), value]) + "\n")


def _key(fake: Path, original: Path) -> str:
    return " ".join(f"{path} {storage.stamp(str(path))}" for path in (fake, original))
