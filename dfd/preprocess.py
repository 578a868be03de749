"""From a corpus's clips to face-only videos: its longest face track cut out of every clip, once.

What is finished stays: a run that was killed at any moment goes on where it was, and comes to the same bytes. Files
appear whole or not at all, `done.jsonl` remembers by size and time which sources need not be read again, and `.lock`
keeps a second run out of the folder. What is wrong with one clip is a line of the report, and the rest is done.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dfd import pool, provenance, storage
from dfd.face_only import FORMAT, side
from dfd.jobs import Job, Outcome, OutError, writing
from dfd.manifest import Clip, Manifest
from dfd.progress import Progress, silent
from dfd.recipe import CropRecipe

FEW = 6  # clips that are done sooner than a worker process has loaded torch
ENTRY = ("corpus", "clip_id", "source", "stamp", "made_by")  # what a line of `done.jsonl` is known by


@dataclass(frozen=True, slots=True)
class PreprocessReport:
    """What became of a corpus's clips."""

    done: int  # face-only videos written
    skipped: int  # that were there already, from the same bytes by the same recipe
    failures: list[tuple[str, str]]  # clip id and why
    copies: list[list[str]]  # ids of clips with the same bytes: in two splits or under two labels they spoil figures
    seconds: float


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
    `out/report.json` has the reasons, and the clips that are copies of one another.

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
    started, place = time.perf_counter(), str(out)
    with _claimed(place):
        ledger = _Ledger(place, recipe)
        jobs = [Job(at, clip.corpus, clip.clip_id, source(clip), place) for at, clip in enumerate(manifest.clips)]
        stamps = [storage.stamp(job.source) for job in jobs]
        done = {
            job.place: there for job, stamp in zip(jobs, stamps, strict=True) if (there := ledger.known(job, stamp))
        }
        waiting = [job for job in jobs if job.place not in done]
        few = len(waiting) <= FEW
        if engine is None:
            engine = partial(pool.run, workers=1 if few else workers or os.cpu_count() or 1)
        start = partial(_cutter, recipe, ahead=few)
        for number, outcome in enumerate(engine(start, waiting) if waiting else (), start=1):
            done[outcome.place] = outcome
            ledger.add(jobs[outcome.place], stamps[outcome.place], outcome)
            ready = len(jobs) - len(waiting) + number
            progress(number / len(waiting), f"face-only videos of {manifest.name}: {ready} of {len(jobs)}")
        ledger.close({jobs[at]: (stamps[at], outcome) for at, outcome in sorted(done.items())})
        _write_manifest(manifest, place, done)
        report = _report(manifest, done, time.perf_counter() - started)
        _write_report(manifest, place, recipe, report)
    return report


def _cutter(recipe: CropRecipe, *, ahead: bool) -> Callable[[Job], Outcome]:
    """What a worker begins with; torch comes with it, for which a parent of workers need not wait."""
    from dfd.cutter import Cutter

    return Cutter(recipe, ahead=ahead)


class _Ledger:
    """`done.jsonl`: a line a finished clip, so that a resumed run need not read the sources of finished ones again."""

    def __init__(self, out: str, recipe: CropRecipe) -> None:
        self._out, self._place = out, storage.join(out, "done.jsonl")
        self._made_by = f"{FORMAT} {recipe.key()}"
        self._finished: dict[tuple[str, ...], tuple[str, int, str]] = {}
        for line in (storage.read_text(self._place) or "").splitlines():
            try:
                entry = json.loads(line)
                facts = str(entry["file"]), int(entry["frames"]), str(entry["sha256"])
                self._finished[tuple(entry[name] for name in ENTRY)] = facts
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when a run was killed

    def known(self, job: Job, stamp: str | None) -> Outcome | None:
        """The outcome of a finished clip whose source has not changed, and whose video is there."""
        facts = None if stamp is None else self._finished.get(self._key(job, stamp))
        if facts is None:
            return None
        path = Path(self._out, facts[0])
        if not storage.is_url(self._out) and not (path.is_file() and side(path).is_file()):
            return None
        return Outcome(job.place, *facts)

    def add(self, job: Job, stamp: str | None, outcome: Outcome) -> None:
        """Remember an outcome; in an object store, where nothing can be appended, only `close` does."""
        if not storage.is_url(self._out):
            with writing(self._out), Path(self._place).open("a", encoding="utf-8") as file:
                file.write(self._line(job, stamp, outcome))

    def close(self, done: Mapping[Job, tuple[str | None, Outcome]]) -> None:
        """Write everything in the manifest's order."""
        with writing(self._out):
            lines = (self._line(job, stamp, outcome) for job, (stamp, outcome) in done.items())
            storage.write_text(self._place, "".join(lines))

    def _key(self, job: Job, stamp: str) -> tuple[str, ...]:
        return job.corpus, job.clip_id, job.source, stamp, self._made_by

    def _line(self, job: Job, stamp: str | None, outcome: Outcome) -> str:
        """Empty for a clip that failed, or that cannot be known again."""
        if stamp is None or not outcome.file:
            return ""
        facts = {"file": outcome.file, "frames": outcome.frames, "sha256": outcome.sha256}
        return json.dumps(dict(zip(ENTRY, self._key(job, stamp), strict=True)) | facts) + "\n"


def _report(manifest: Manifest, done: Mapping[int, Outcome], seconds: float) -> PreprocessReport:
    outcomes = [(clip.clip_id, done[at]) for at, clip in enumerate(manifest.clips)]
    failures = [(clip_id, outcome.reason) for clip_id, outcome in outcomes if outcome.reason]
    made = sum(outcome.made for _, outcome in outcomes)
    alike: dict[str, list[str]] = defaultdict(list)
    for clip_id, outcome in outcomes:
        if outcome.file:
            alike[outcome.sha256].append(clip_id)
    copies = [clip_ids for clip_ids in alike.values() if len(clip_ids) > 1]
    return PreprocessReport(made, len(outcomes) - made - len(failures), failures, copies, seconds)


def _write_report(manifest: Manifest, out: str, recipe: CropRecipe, report: PreprocessReport) -> None:
    facts = {
        "corpus": manifest.name, "recipe": recipe.model_dump(), "clips": len(manifest),
        "failures": report.failures, "copies": report.copies,
    }  # fmt: skip
    with writing(out):
        storage.write_text(storage.join(out, "report.json"), json.dumps(facts, indent=1) + "\n")


def _write_manifest(manifest: Manifest, out: str, done: Mapping[int, Outcome]) -> None:
    with writing(out), storage.written(storage.join(out, "manifest.csv")) as part:
        clips = [
            replace(clip, path=part.parent / done[at].file if done[at].file else clip.path, frames=done[at].frames)
            for at, clip in enumerate(manifest.clips)
        ]
        Manifest(manifest.name, tuple(clips)).write(part)


@contextmanager
def _claimed(out: str) -> Iterator[None]:
    """Keep other runs out of the folder meanwhile, and clear away what a killed one left half-written."""
    if storage.is_url(out):
        yield
        return
    folder = Path(out)
    with writing(out):
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / ".lock"
        holder = lock.read_text(encoding="utf-8") if lock.is_file() else ""
        if holder and not provenance.is_gone(holder):
            raise OutError(
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
