"""Pseudo-fakes of face-only videos: what a detector that has real clips alone is trained on.

They are made once, in `data/pseudo/CORPUS/`, under names that hold a digest of the face-only video and the settings.
The real clips are encoded anew beside them: if fakes alone were encoded twice, that is what a detector would learn.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd import pool
from dfd.corpora.sample import mask_path, save_mask
from dfd.errors import DfdError, ManifestError, NoFaceError
from dfd.face_only import ENCODING, describe, frames_in, load_face_clip, side
from dfd.faces import FaceClip, FaceFinder, Reading, crop_landmarks, no_face_message, search
from dfd.jobs import Outcome, OutError, writing
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, merge
from dfd.paths import atomic_file, data_dir
from dfd.progress import Progress, part, silent
from dfd.pseudo_fakes.blending import make_fake
from dfd.pseudo_fakes.casting import cast, pair
from dfd.pseudo_fakes.settings import VERSION, Method, PseudoFakes, pseudo
from dfd.recipe import CropRecipe
from dfd.video import write_video

log = logging.getLogger(__name__)

FEW = 12  # clips that are done sooner than a worker process has loaded torch
PATIENCE = 600.0  # seconds to decode a face clip in which landmarks are looked for


@dataclass(frozen=True, slots=True)
class _Job:
    """One real clip, and the fake that is made of it."""

    place: int
    clip: Clip
    real: Path
    fake: tuple[Method, Path] | None
    settings: PseudoFakes

    def there(self) -> Outcome | None:
        """What was made before, whole."""
        videos = [self.real] if self.fake is None else [self.real, self.fake[1]]
        files = [*videos, *map(side, videos), *([] if self.fake is None else [mask_path(self.fake[1])])]
        if not all(path.is_file() for path in files):
            return None
        count = frames_in(side(self.real).read_text(encoding="utf-8"))
        return None if count is None else Outcome(self.place, frames=count)


def with_partners(
    manifest: Manifest, settings: PseudoFakes, *, workers: int | None = None, progress: Progress = silent
) -> Manifest:
    """The real clips of preprocessed corpora and pseudo-fakes of them, each corpus under the name `<corpus>+pseudo`.

    Splits and identities are kept. A clip of which no fake can be made counts as one without a face, as it does in
    preprocessing, and the log says why.

    Args:
        manifest: of face-only videos.
        settings: which fakes.
        workers: processes; by default one a core, and this one for a few clips.
        progress: told after every clip.

    Raises:
        ManifestError: there are fakes, and `ignore_fakes` does not say that they are to be left out; or no real clip.
    """
    fakes = sum(clip.label is Label.FAKE for clip in manifest)
    if fakes and not settings.ignore_fakes:
        raise ManifestError(
            f"corpus '{manifest.name}' has {fakes} fakes; to train on pseudo-fakes in their place set "
            "data.pseudo_fakes.ignore_fakes to true, or give --pseudo-fakes"
        )
    reals = [clip for clip in manifest if clip.label is Label.REAL]
    if not reals:
        raise ManifestError(f"corpus '{manifest.name}' has no real clip to make a pseudo-fake of; add some")
    corpora = list(dict.fromkeys(clip.corpus for clip in reals))
    made = []
    for at, name in enumerate(corpora):
        own = Manifest(name, tuple(clip for clip in reals if clip.corpus == name))
        stretch = part(progress, at / len(corpora), (at + 1) / len(corpora))
        made.append(_partnered(own, settings, workers, stretch))
    return merge(made).check()


def _partnered(reals: Manifest, settings: PseudoFakes, workers: int | None, progress: Progress) -> Manifest:
    folder, roles = data_dir() / "pseudo" / reals.name, cast(reals, settings)
    seen = [clip for clip in reals if clip.frames != 0]
    jobs = [_job(at, clip, roles.get(clip.clip_id), folder, settings) for at, clip in enumerate(seen)]
    clips: list[Clip] = []
    for job, outcome in zip(jobs, _done(jobs, workers, progress), strict=True):
        if outcome.reason:
            log.warning("no pseudo-fake of %s: %s", job.clip.clip_id, outcome.reason)
        path, fake = (job.real, job.fake) if outcome.frames else (job.clip.path, None)
        clips += pair(job.clip, path, fake, settings, frames=outcome.frames)
    for clip in reals:
        if clip.frames == 0:
            clips += pair(clip, clip.path, None, settings)
    found = Manifest(pseudo(reals.name), tuple(clips))
    found.write(folder / "manifest.csv")
    return found


def _done(jobs: list[_Job], workers: int | None, progress: Progress) -> list[Outcome]:
    """What became of every job, in their order; those that are not done are done now."""
    done = {job.place: outcome for job in jobs if (outcome := job.there()) is not None}
    waiting = [job for job in jobs if job.place not in done]
    many = 1 if len(waiting) <= FEW else workers or os.cpu_count() or 1
    for number, outcome in enumerate(pool.run(_maker, waiting, many), start=1):
        done[outcome.place] = outcome
        progress(number / len(waiting), f"pseudo-fakes: {len(done)} of {len(jobs)}")
    return [done[job.place] for job in jobs]


def _job(place: int, clip: Clip, method: Method | None, folder: Path, settings: PseudoFakes) -> _Job:
    if not clip.path.is_file():
        raise ManifestError(f"face-only video {clip.path} of '{clip.corpus}' is gone; run `dfd preprocess` again")
    with clip.path.open("rb") as file:
        asked = f"{VERSION} {ENCODING} {clip.clip_id} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    stem = f"{clip.path.stem}.{_digest(asked)}"
    fake = None
    if method is not None:
        fake = method, folder / "videos" / f"{stem}-{method}.{settings.key()}.mp4"
    return _Job(place, clip, folder / "videos" / f"{stem}-original.mp4", fake, settings)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _maker() -> Callable[[_Job], Outcome]:
    return _make


def _make(job: _Job) -> Outcome:
    """Write a real clip and its fake, or say why there is none."""
    try:
        face = load_face_clip(job.clip.path)
        landmarks = _landmarks(face, job.clip.path)
        with writing(str(job.real.parent)):
            if job.fake is not None:
                method, path = job.fake
                fake = make_fake(method, face.crops, landmarks, job.settings, job.clip.clip_id)
                save_mask(mask_path(path), fake.mask > 0)
                _write(path, face, fake.frames, landmarks)
            _write(job.real, face, face.crops, landmarks)
    except OutError:
        raise
    except DfdError as error:
        return Outcome(job.place, reason=str(error))
    return Outcome(job.place, frames=len(face.crops), made=True)


def _landmarks(face: FaceClip, path: Path) -> NDArray[np.float32]:
    """(T, 5, 2) in pixels of the crops; looked for where the crops were cut by others, who did not say.

    Raises:
        NoFaceError: none is found in the crops.
    """
    known = crop_landmarks(face)
    if np.isfinite(known).all():
        return known
    found = search(path, _finder(), most=1, reading=Reading(PATIENCE, ahead=False))
    if not found.clips:
        raise NoFaceError(no_face_message(path, found.looked_at))
    track = found.clips[0].track
    frames = np.arange(len(face.crops))
    columns = [np.interp(frames, track.indices, column) for column in track.landmarks.reshape(-1, 10).T]
    return np.stack(columns, axis=1).reshape(-1, 5, 2).astype(np.float32)


@cache
def _finder() -> FaceFinder:
    return FaceFinder(CropRecipe())


def _write(path: Path, face: FaceClip, crops: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
    """Write a face-only video that is cut from itself, so that its mask is found as that of any clip is."""
    size, count = crops.shape[1], len(crops)
    edges = size / 2 + size / (2 * face.recipe.margin) * np.array([-1, -1, 1, 1])
    boxes = np.tile(edges.astype(np.float32), (count, 1))
    track = replace(face.track, boxes=boxes, landmarks=landmarks, indices=np.arange(count))
    facts = describe(FaceClip(crops, track, face.recipe, str(path)), source=str(path), faces=1)
    steps = np.diff(face.track.times)
    write_video(path, crops, float(1 / np.median(steps)) if count > 1 and np.median(steps) > 0 else 25.0, **ENCODING)
    with atomic_file(side(path)) as written:  # last: it says that the video is whole
        written.write_text(json.dumps(facts, allow_nan=False), encoding="utf-8")
