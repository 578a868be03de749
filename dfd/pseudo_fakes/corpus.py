"""A corpus of pseudo-fakes: real clips whole, a fake of each with its mask, as `dfd preprocess` and `dfd corpora` take.

`OUT/` gets `videos/`, `masks/`, `manifest.csv`, `clips.csv` (the same for `dfd corpora add`), `spec.json` and
`report.json`. The real clips are encoded anew, from the same frames and as the fakes are, so that nothing but the
manipulation tells one from the other. What is finished stays: a run that was killed goes on where it was.
"""

import csv
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfd import pool
from dfd.corpora import kinds, registry
from dfd.corpora.find import find
from dfd.corpora.listing import Disk, make_listing
from dfd.corpora.sample import mask_path, save_mask
from dfd.errors import DfdError, ManifestError, NoFaceError
from dfd.faces import FaceFinder, Reading, no_face_message, search
from dfd.jobs import Outcome, OutError, writing
from dfd.labels import Label
from dfd.manifest import ATTRIBUTE, Clip, Manifest
from dfd.paths import atomic_file
from dfd.progress import Progress, silent
from dfd.pseudo_fakes.blending import fake_parts
from dfd.pseudo_fakes.casting import cast, pair
from dfd.pseudo_fakes.settings import VERSION, Method, PseudoFakes, pseudo
from dfd.recipe import CropRecipe
from dfd.video import read_frames, write_video

FEW = 3  # clips that are done sooner than a worker process has loaded torch
PATIENCE = 600.0  # seconds to decode a clip
LONG_SIDE = 960  # px: larger frames are shrunk, since three clips of 150 frames are held at once
PRESET = "superfast"  # as the sample corpora
COLUMNS = ("file", "label", "method", "identity", "source", "split", "compression")


@dataclass(frozen=True, slots=True)
class Made:
    """A corpus of pseudo-fakes."""

    manifest: Manifest
    failures: tuple[tuple[str, str], ...]  # id of a real clip, and why it is not in the corpus
    fakes: int


@dataclass(frozen=True, slots=True)
class _Job:
    """One real clip, and the fake that is made of it."""

    place: int
    clip_id: str
    source: Path
    real: Path
    fake: tuple[Method, Path] | None
    settings: PseudoFakes
    crf: int

    def there(self) -> bool:
        """Whether everything was made before."""
        files = (self.real,) if self.fake is None else (self.real, self.fake[1], mask_path(self.fake[1]))
        return all(path.is_file() for path in files)


def real_clips(place: str) -> Manifest:
    """The real clips of a corpus, or of a folder: as `find`, or all videos of a folder that is laid out like none.

    In such a folder every file is a person of its own, unless its name, but for the suffix, is that of another.

    Raises:
        ManifestError: there is nothing of that name, no real clip in it, or it leaks identities between splits.
    """
    folder = Path(place)
    known = registry.is_registered(place) or not folder.is_dir() or (folder / "manifest.csv").is_file()
    if known or any(kind.is_there(folder) for kind in kinds.KINDS.values()):
        manifest = find(place)
    elif (folder / Label.FAKE.word).is_dir():
        raise ManifestError(f"{folder} has fake/ and no real/; name a folder of real clips")
    else:
        manifest = _bare(folder)
    reals = tuple(clip for clip in manifest if clip.label is Label.REAL)
    if not reals:
        raise ManifestError(f"corpus '{manifest.name}' has no real clip to make a pseudo-fake of; name another")
    return Manifest(manifest.name, reals)


def make_corpus(
    reals: Manifest,
    out: Path,
    settings: PseudoFakes,
    *,
    crf: int = 23,
    workers: int | None = None,
    progress: Progress = silent,
) -> Made:
    """Make a corpus of pseudo-fakes, or what of it is missing.

    Of each clip the first `CropRecipe.max_frames` frames in which its longest face is seen are kept.

    Args:
        reals: real clips, with their splits.
        out: folder, made if need be.
        settings: which fakes.
        crf: x264's constant rate factor of fakes and real clips.
        workers: processes; by default one a core.
        progress: told after every clip.

    Raises:
        ManifestError: `out` holds pseudo-fakes made otherwise, or no clip has a face.
        OutError: `out` cannot be written.
    """
    spec = {"corpus": reals.name, "version": VERSION, "crf": crf}
    _claim(out, spec | settings.model_dump(mode="json", exclude={"ignore_fakes"}))
    roles = cast(reals, settings)
    jobs, reasons = [], {}
    for at, clip in enumerate(reals):
        if clip.path.is_file():
            jobs.append(_job(at, clip, roles.get(clip.clip_id), out, settings, crf))
        else:
            reasons[at] = f"there is no file {clip.path}; check the corpus"
    waiting = [job for job in jobs if not job.there()]
    ready = len(jobs) - len(waiting)
    many = 1 if len(waiting) <= FEW else workers or os.cpu_count() or 1
    for outcome in pool.run(Maker, waiting, many) if waiting else ():
        ready += 1
        progress(ready / len(jobs), f"pseudo-fakes of {reals.name}: {ready} of {len(jobs)}")
        if outcome.reason:
            reasons[outcome.place] = outcome.reason
    return _finished(reals, out, [job for job in jobs if job.place not in reasons], reasons)


def _finished(reals: Manifest, out: Path, jobs: list[_Job], reasons: dict[int, str]) -> Made:
    """Write what the corpus consists of."""
    failures = tuple((reals.clips[at].clip_id, why) for at, why in sorted(reasons.items()))
    _write_json(out / "report.json", {"corpus": pseudo(reals.name), "clips": len(reals), "failures": failures})
    if not jobs:
        raise ManifestError(f"no clip of '{reals.name}' gave a pseudo-fake, for example: {': '.join(failures[0])}")
    clips = [
        one
        for job in jobs
        for one in pair(
            reals.clips[job.place], job.real, job.fake, job.settings, compression=f"crf{job.crf}", frames=None
        )
    ]
    manifest = Manifest(pseudo(reals.name), tuple(clips)).check()
    manifest.write(out / "manifest.csv")
    _write_table(manifest, out)
    return Made(manifest, failures, sum(clip.label is Label.FAKE for clip in manifest))


def _write_table(manifest: Manifest, out: Path) -> None:
    """The manifest as `dfd corpora add` takes it."""
    known = sorted({name for clip in manifest for name, _ in clip.attributes})
    with atomic_file(out / "clips.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow((*COLUMNS, *(f"{ATTRIBUTE}{name}" for name in known)))
        for clip in manifest:
            people, told = (clip.target_identity, clip.source_identity), dict(clip.attributes)
            row = (clip.path.relative_to(out).as_posix(), clip.label.word, clip.method, *people, clip.split)
            table.writerow((*row, clip.compression, *(told.get(name, "") for name in known)))


class Maker:
    """Makes the files of one real clip after another: MTCNN is loaded once."""

    def __init__(self) -> None:
        self._finder = FaceFinder(CropRecipe())

    def __call__(self, job: _Job) -> Outcome:
        """Write a real clip and its fake, or say why there is none.

        Raises:
            OutError: `out` cannot be written.
        """
        try:
            return self._make(job)
        except OutError:
            raise
        except DfdError as error:
            return Outcome(job.place, reason=str(error))

    def _make(self, job: _Job) -> Outcome:
        found = search(job.source, self._finder, most=1, reading=Reading(PATIENCE, ahead=False))
        if not found.clips:
            raise NoFaceError(no_face_message(job.source, found.looked_at))
        track = found.clips[0].track
        frames = read_frames(job.source, track.indices, long_side=LONG_SIDE, timeout=PATIENCE)
        height, width = frames.pixels.shape[1:3]
        scale = np.array([width / found.info.width, height / found.info.height], np.float32)
        landmarks = track.landmarks[np.isin(track.indices, frames.indices)] * scale
        pixels = np.ascontiguousarray(frames.pixels[:, : height // 2 * 2, : width // 2 * 2])  # H.264 halves colour
        with writing(str(job.real.parent)):
            if job.fake is not None:
                method, path = job.fake
                fake, mask = np.empty_like(pixels), np.empty(pixels.shape[:3], np.bool_)
                for chunk, part in fake_parts(method, pixels, landmarks, job.settings, job.clip_id):
                    fake[chunk], mask[chunk] = part.frames, part.mask > 0
                save_mask(mask_path(path), mask)
                write_video(path, fake, found.info.fps, crf=job.crf, preset=PRESET)
            write_video(job.real, pixels, found.info.fps, crf=job.crf, preset=PRESET)
        return Outcome(job.place, frames=len(pixels), made=True)


def _job(place: int, clip: Clip, method: Method | None, out: Path, settings: PseudoFakes, crf: int) -> _Job:
    with clip.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    asked = f"{VERSION} {settings.key()} {crf} {clip.corpus} {clip.clip_id} {content}"
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", clip.clip_id)[-60:]
    stem = f"{name}.{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    fake = None if method is None else (method, out / "videos" / f"{stem}-{method}.mp4")
    return _Job(place, clip.clip_id, clip.path, out / "videos" / f"{stem}-original.mp4", fake, settings, crf)


def _bare(root: Path) -> Manifest:
    """Every video below a folder as a real clip, split by identity."""
    disk = Disk(root)

    def real(file: str) -> Clip:
        return Clip(
            corpus=disk.root.name,
            clip_id=file,
            path=disk.path(file),
            label=Label.REAL,
            method="original",
            compression="",
            target_identity=f"{disk.root.name}-{Path(file).stem}",
            source_identity="",
            split="train",
            official_split=False,
        )

    return make_listing(disk, disk.root.name, map(real, disk.videos(deep=True))).manifest.check()


def _claim(out: Path, spec: dict[str, Any]) -> None:
    """Write into the folder what it is made from, or find the same there."""
    path = out / "spec.json"
    if not path.is_file():
        with writing(str(out)):
            _write_json(path, spec)
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ManifestError(f"{path} is damaged; delete the folder {out}, or choose another --out") from None
    if there != spec:
        raise ManifestError(f"{out} holds pseudo-fakes made otherwise, as its spec.json says; choose another --out")


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    with atomic_file(path) as part:
        part.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
