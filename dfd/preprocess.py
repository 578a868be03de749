"""From a corpus's clips to face-only videos: its longest face track cut out of every clip, once.

What is finished stays: a run that was killed at any moment goes on where it was, and comes to the same bytes. Files
appear whole or not at all, `done.jsonl` remembers by size and time which sources need not be read again, and `.lock`
keeps a second run out of the folder.
"""

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from dfd import pool, provenance, storage
from dfd.errors import DfdError
from dfd.face_only import ENCODING, FORMAT, describe, frames_in, side
from dfd.faces import FaceFinder, no_face_message, search
from dfd.manifest import Clip, Manifest
from dfd.progress import Progress, silent
from dfd.recipe import CropRecipe
from dfd.video import write_video

FEW = 6  # clips that are done sooner than a worker process has loaded torch


@dataclass(frozen=True, slots=True)
class PreprocessReport:
    """What became of a corpus's clips."""

    done: int  # face-only videos written
    skipped: int  # that were there already, from the same bytes by the same recipe
    failures: list[tuple[str, str]]  # clip id and why
    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to be cut."""

    place: int  # in the manifest
    corpus: str
    clip_id: str
    source: str  # path or URL of the clip
    out: str  # folder or URL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    place: int
    file: str = ""  # of the face-only video, below `out`
    frames: int = 0
    made: bool = False  # False: it was there
    reason: str = ""  # why there is none


Engine = Callable[[Callable[[], Callable[[Job], Outcome]], list[Job]], Iterable[Outcome]]
"""Does jobs in any order: `pool.run` with its workers, or `cluster.run`."""


def preprocess(
    manifest: Manifest,
    out: Path | str,
    recipe: CropRecipe,
    *,
    workers: int | None = None,
    engine: Engine | None = None,
    source: Callable[[Clip], str] = lambda clip: str(clip.path),
    progress: Progress = silent,
) -> PreprocessReport:
    """Write a corpus's face-only videos and `out/manifest.csv`, which has all columns of `manifest` but leads to them.

    Every clip becomes `out/clips/NAME.KEY.mp4`, with its track and recipe in a `.json` beside it; KEY is a digest of
    the clip's id and bytes and of the recipe, so that clips of two recipes never mix. `frames` becomes the number of
    crops: 0 for a clip that failed, whose path stays that of its source, so that coverage counts it.
    `out/report.json` has the reasons.

    Args:
        manifest: clips to read.
        out: folder, made if need be, or URL.
        recipe: how faces become crops.
        workers: processes of the pool, by default one a core. With 1, or for a few clips, this process does it.
        engine: does the jobs in place of the pool.
        source: where a clip lies, if not at its path.
        progress: told after every clip.

    Raises:
        DfdError: another run writes to `out`, a worker process was killed from outside, or `out` cannot be written.
    """
    started = time.perf_counter()
    with _claimed(str(out)):
        ledger = _Ledger(str(out), recipe)
        jobs = [
            Job(place, clip.corpus, clip.clip_id, source(clip), str(out)) for place, clip in enumerate(manifest.clips)
        ]
        stamps = [storage.stamp(job.source) for job in jobs]
        done = {
            job.place: there for job, stamp in zip(jobs, stamps, strict=True) if (there := ledger.known(job, stamp))
        }
        waiting = [job for job in jobs if job.place not in done]
        if engine is None:
            engine = partial(pool.run, workers=1 if len(waiting) <= FEW else workers or os.cpu_count() or 1)
        for number, outcome in enumerate(engine(partial(Cutter, recipe), waiting) if waiting else (), start=1):
            done[outcome.place] = outcome
            ledger.add(jobs[outcome.place], stamps[outcome.place], outcome)
            ready = len(jobs) - len(waiting) + number
            progress(number / len(waiting), f"face-only videos of {manifest.name}: {ready} of {len(jobs)}")
        ledger.close({jobs[place]: (stamps[place], outcome) for place, outcome in sorted(done.items())})
        failures = [(jobs[place].clip_id, outcome.reason) for place, outcome in sorted(done.items()) if outcome.reason]
        _write_manifest(manifest, str(out), done)
        facts = {"corpus": manifest.name, "recipe": recipe.model_dump(), "clips": len(jobs), "failures": failures}
        storage.write_text(storage.join(str(out), "report.json"), json.dumps(facts, indent=1) + "\n")
    made = sum(outcome.made for outcome in done.values())
    return PreprocessReport(made, len(jobs) - made - len(failures), failures, time.perf_counter() - started)


class Cutter:
    """Does jobs of one recipe: MTCNN is loaded once, on the GPU where there is one."""

    def __init__(self, recipe: CropRecipe) -> None:
        self._finder = FaceFinder(recipe, "cuda" if torch.cuda.is_available() else "cpu")

    def __call__(self, job: Job) -> Outcome:
        """Write one face-only video, or say why there is none."""
        try:
            if not storage.is_url(job.source) and not Path(job.source).is_file():
                return Outcome(job.place, reason=f"there is no file {job.source}; check the manifest")
            with storage.fetched(job.source) as path:
                return self._cut(job, path)
        except DfdError as error:
            return Outcome(job.place, reason=str(error))
        except PermissionError as error:
            return Outcome(job.place, reason=f"{job.source} cannot be read ({error.strerror}); check its permissions")

    def _cut(self, job: Job, path: Path) -> Outcome:
        file = _file(job, path, self._finder.recipe)
        target = storage.join(job.out, file)
        if storage.exists(target) and (frames := frames_in(storage.read_text(_side(target)))) is not None:
            return Outcome(job.place, file, frames)
        found = search(path, self._finder)
        if not found.clips:
            return Outcome(job.place, reason=no_face_message(Path(job.source), found.looked_at))
        face = found.clips[0]
        facts = describe(face, clip_id=job.clip_id, source=job.source, faces=len(found.clips))
        with _writing(job.out):
            with storage.written(target) as part:
                write_video(part, face.crops, found.info.fps, **ENCODING)
            storage.write_text(_side(target), json.dumps(facts))  # last: it says that the video is whole
        return Outcome(job.place, file, len(face.crops), made=True)


class _Ledger:
    """`done.jsonl`: a line a finished clip, so that a resumed run need not read the sources of finished ones again."""

    def __init__(self, out: str, recipe: CropRecipe) -> None:
        self._out, self._place = out, storage.join(out, "done.jsonl")
        self._made_by = f"{FORMAT} {recipe.key()}"
        self._entries: dict[tuple[str, str], dict[str, str | int]] = {}
        for line in (storage.read_text(self._place) or "").splitlines():
            try:
                entry = json.loads(line)
                self._entries[entry["corpus"], entry["clip_id"]] = entry
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when a run was killed

    def known(self, job: Job, stamp: str | None) -> Outcome | None:
        """The outcome of a finished clip whose source has not changed, and whose video is there."""
        entry = self._entries.get((job.corpus, job.clip_id))
        if entry is None or stamp is None or entry != self._entry(job, stamp, entry["file"], entry["frames"]):
            return None
        target = storage.join(self._out, str(entry["file"]))
        if not storage.is_url(target) and not (Path(target).is_file() and Path(_side(target)).is_file()):
            return None
        return Outcome(job.place, str(entry["file"]), int(entry["frames"]))

    def add(self, job: Job, stamp: str | None, outcome: Outcome) -> None:
        """Remember an outcome; in an object store, where nothing can be appended, only `close` does."""
        if outcome.file and stamp is not None and not storage.is_url(self._out):
            with _writing(self._out), Path(self._place).open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._entry(job, stamp, outcome.file, outcome.frames)) + "\n")

    def close(self, done: Mapping[Job, tuple[str | None, Outcome]]) -> None:
        """Write everything in the manifest's order."""
        lines = [
            json.dumps(self._entry(job, stamp, outcome.file, outcome.frames)) + "\n"
            for job, (stamp, outcome) in done.items()
            if outcome.file and stamp is not None
        ]
        with _writing(self._out):
            storage.write_text(self._place, "".join(lines))

    def _entry(self, job: Job, stamp: str, file: str | int, frames: str | int) -> dict[str, str | int]:
        return {
            "corpus": job.corpus, "clip_id": job.clip_id, "source": job.source, "stamp": stamp,
            "made_by": self._made_by, "file": file, "frames": frames,
        }  # fmt: skip


def _file(job: Job, path: Path, recipe: CropRecipe) -> str:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DfdError(f"{job.source} cannot be read ({error.strerror}); check the disk it lies on") from None
    asked = f"{FORMAT} {ENCODING} {recipe.key()} {job.corpus} {job.clip_id} {sha256}"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", job.clip_id)[-80:]
    return f"clips/{name}.{hashlib.sha256(asked.encode()).hexdigest()[:12]}.mp4"


def _side(target: str) -> str:
    return target.removesuffix(".mp4") + ".json" if storage.is_url(target) else str(side(Path(target)))


def _write_manifest(manifest: Manifest, out: str, done: Mapping[int, Outcome]) -> None:
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        local = Path(folder) if storage.is_url(out) else Path(out)  # the folder that written paths are relative to
        clips = [
            replace(clip, path=local / done[place].file if done[place].file else clip.path, frames=done[place].frames)
            for place, clip in enumerate(manifest.clips)
        ]
        path = local / "manifest.csv"
        Manifest(manifest.name, tuple(clips)).write(path)
        if storage.is_url(out):
            storage.write_text(storage.join(out, "manifest.csv"), path.read_text(encoding="utf-8"))


@contextmanager
def _claimed(out: str) -> Iterator[None]:
    """Keep other runs out of the folder meanwhile, and clear away what a killed one left half-written."""
    if storage.is_url(out):
        yield
        return
    folder = Path(out)
    with _writing(out):
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / ".lock"
        holder = lock.read_text(encoding="utf-8") if lock.is_file() else ""
        if holder and not provenance.is_gone(holder):
            raise DfdError(
                f"another run writes to {folder} ({holder}: host, process, start); wait for it, or delete {lock} if "
                "that host is down"
            )
        lock.write_text(provenance.this_process(), encoding="utf-8")
        for part in (path for path in folder.rglob(".*.part*") if path.is_file()):
            part.unlink()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


@contextmanager
def _writing(out: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DfdError(f"{out} cannot be written ({error.strerror}); what is done is kept") from None
