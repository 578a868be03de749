"""From a corpus's clips to face-only videos: its longest face track cut out of every clip, once.

A face-only video is H.264 that people can watch (in mpv, VLC or Chromium) and training reads fast: every pixel its own
colour (yuv444p), crf 8, a key frame each 15 frames. Measured on six real clips, 112 px, 150 frames, one core:

    format                                          PSNR mean (worst clip)   size     write
    x264 yuv420p crf 4 veryfast                      41.4 (36.4) dB          256 KB   124 ms
    x264 yuv444p crf 8 veryfast                      43.0 (41.1) dB          160 KB   119 ms
    x264 yuv444p crf 4 veryfast, tune psnr           46.7 (45.6) dB          411 KB   159 ms
    x264 yuv444p crf 8 ultrafast, tune psnr  <--     46.5 (45.2) dB          543 KB    77 ms
    x264rgb      crf 6 veryfast, tune psnr           50.1 (49.6) dB          715 KB   195 ms
    x264 yuv444p crf 0 ultrafast (8-bit YUV's limit) 52.8 (51.8) dB         1110 KB    53 ms

46.5 dB is a mean error of about one level in 255, below the noise of the clips' own compression.

`load_crops` reads all 150 crops of the chosen format in about 52 ms.
"""

import hashlib
import json
import multiprocessing
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from dfd.errors import DfdError, VideoError
from dfd.faces import FaceClip, FaceFinder, no_face_message, search
from dfd.manifest import Clip, Manifest
from dfd.paths import atomic_file
from dfd.progress import Progress, silent
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack
from dfd.video import write_video

ENCODING: dict[str, Any] = {"pixel_format": "yuv444p", "crf": 8, "preset": "ultrafast", "tune": "psnr", "gop": 15}
FEW = 6  # clips that are done sooner than a worker process has loaded torch
FORMAT = 1  # of the files written; a change makes every clip anew


@dataclass(frozen=True, slots=True)
class PreprocessReport:
    """What became of a corpus's clips."""

    done: int  # face-only videos written
    skipped: int  # that were there already, from the same bytes by the same recipe
    failures: list[tuple[str, str]]  # clip id and why
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    clip: Clip
    sha256: str
    target: Path
    recipe: CropRecipe


def preprocess(
    manifest: Manifest, out: Path, recipe: CropRecipe, *, workers: int = 2, progress: Progress = silent
) -> PreprocessReport:
    """Write a corpus's face-only videos and `out/manifest.csv`, which has all columns of `manifest` but leads to them.

    Every clip becomes `out/clips/NAME.KEY.mp4`, with the track, the recipe and the source's sha256 in a `.json` beside
    it; KEY is a digest of the clip's bytes and the recipe. What is there is not made again, so an interrupted run goes
    on where it stopped, and clips of two recipes never mix. `frames` becomes the number of crops: 0 for a clip that
    failed, whose path stays that of its source, so that coverage counts it. `out/report.json` has the reasons.

    Args:
        manifest: clips to read.
        out: folder, made if need be.
        recipe: how faces become crops.
        workers: processes, one core each. With 1, or for a few clips, this process does it.
        progress: told after every clip.

    Raises:
        DfdError: a worker process was killed from outside.
    """
    started = time.perf_counter()
    finished: dict[Clip, Clip] = {}
    failed: dict[Clip, str] = {}
    jobs: list[_Job] = []
    for clip in manifest:
        if not clip.path.is_file():
            failed[clip] = f"there is no file {clip.path}; check the manifest"
            continue
        job = _job(clip, out, recipe)
        if (frames := _frames_there(job)) is None:
            jobs.append(job)
        else:
            finished[clip] = replace(clip, path=job.target, frames=frames)
    skipped = len(finished)
    for number, (job, frames, reason) in enumerate(_run(jobs, workers), start=1):
        if reason:
            failed[job.clip] = reason
        else:
            finished[job.clip] = replace(job.clip, path=job.target, frames=frames)
        progress(number / len(jobs), f"face-only videos of {manifest.name}: {skipped + number} of {len(manifest)}")
    failures = [(clip.clip_id, failed[clip]) for clip in manifest if clip in failed]
    report = PreprocessReport(len(finished) - skipped, skipped, failures, time.perf_counter() - started)
    manifest.map(lambda clip: finished.get(clip) or replace(clip, frames=0)).write(out / "manifest.csv")
    _write_json(out / "report.json", {"corpus": manifest.name, "recipe": recipe.model_dump(), **asdict(report)})
    return report


def load_face_clip(path: Path) -> FaceClip:
    """Read a face-only video back, with its track.

    Raises:
        VideoError: the video or the `.json` beside it is missing or damaged.
    """
    facts = _own_facts(path)
    columns = {column.name: facts["track"][column.name] for column in fields(FaceTrack)}
    track = FaceTrack(
        boxes=np.array(columns["boxes"], np.float32).reshape(-1, 4),
        landmarks=np.array(columns["landmarks"], np.float32).reshape(-1, 5, 2),
        times=np.array(columns["times"], np.float64),
        indices=np.array(columns["indices"], np.int64),
        detected=np.array(columns["detected"], np.bool_),
    )
    crops = load_crops(path)
    if len(crops) != len(track):
        raise VideoError(f"{path} has {len(crops)} frames where its track has {len(track)}; preprocess the clip again")
    return FaceClip(crops, track, CropRecipe.model_validate(facts["recipe"]), facts["source"])


def recipe_of(path: Path) -> CropRecipe:
    """The recipe that a face-only video was cut by.

    Raises:
        VideoError: the `.json` beside it is missing or damaged.
    """
    return CropRecipe.model_validate(_own_facts(path)["recipe"])


def load_crops(path: Path, frames: int | None = None, sampling: str = "consecutive") -> NDArray[np.uint8]:
    """Crops of a face-only video, (T, S, S, 3) uint8 RGB: all, or `frames` of them, as `CropRecipe.positions` says.

    Read in this process: the files are our own. Consecutive frames stop decoding at the last one wanted.

    Raises:
        VideoError: the file is missing or damaged.
    """
    last = frames if sampling == "consecutive" else None
    crops = []
    scaler = VideoReformatter()  # kept: setting one up for every frame takes three times as long as decoding
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                crops.append(scaler.reformat(frame, format="rgb24").to_ndarray())
                if len(crops) == last:
                    break
    except (av.error.FFmpegError, IndexError) as error:
        raise VideoError(f"face-only video {path} cannot be read ({error}); run `dfd preprocess` again") from None
    if not crops:
        raise VideoError(f"face-only video {path} has no frames; run `dfd preprocess` again")
    if frames is not None and sampling == "even":
        crops = [crops[at] for at in CropRecipe(sampling="even", max_frames=len(crops)).positions(len(crops), frames)]
    return np.stack(crops)


def _run(jobs: list[_Job], workers: int) -> Iterator[tuple[_Job, int, str]]:
    """Do jobs in any order: each with its number of crops, or why there are none."""
    if workers == 1 or len(jobs) <= FEW:
        finders: dict[str, FaceFinder] = {}
        yield from ((job, *_do(job, finders)) for job in jobs)
        return
    # Spawned, not forked: a fork would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker) as pool:
        waiting = {pool.submit(_work, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], *future.result()
        except BrokenProcessPool:
            raise DfdError(
                "a worker process was killed, most likely for want of memory; "
                "run the same again with fewer workers: what is done is kept"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


_finders: dict[str, FaceFinder] = {}  # of a worker process: MTCNN is loaded once


def _start_worker() -> None:
    torch.set_num_threads(1)


def _work(job: _Job) -> tuple[int, str]:
    return _do(job, _finders)


def _do(job: _Job, finders: dict[str, FaceFinder]) -> tuple[int, str]:
    """Write one face-only video; its number of crops, or 0 and why there is none."""
    finder = _finder(job.recipe, finders)
    try:
        found = search(job.clip.path, finder)
        if not found.clips:
            return 0, no_face_message(job.clip.path, found.looked_at)
    except DfdError as error:
        return 0, str(error)
    face = found.clips[0]
    write_video(job.target, face.crops, found.info.fps, **ENCODING)
    _write_json(_side(job.target), _describe(job, face, len(found.clips)))  # last: it says that the video is whole
    return len(face.crops), ""


def _finder(recipe: CropRecipe, finders: dict[str, FaceFinder]) -> FaceFinder:
    if recipe.key() not in finders:
        finders[recipe.key()] = FaceFinder(recipe)
    return finders[recipe.key()]


def _describe(job: _Job, face: FaceClip, faces: int) -> dict[str, Any]:
    track = {column.name: getattr(face.track, column.name) for column in fields(FaceTrack)}
    return {
        "format": FORMAT,
        "clip_id": job.clip.clip_id,
        "source": str(job.clip.path),
        "source_sha256": job.sha256,
        "recipe": job.recipe.model_dump(),
        "faces": faces,
        "track": {
            name: (np.round(values, 6 if name == "times" else 2) if values.dtype.kind == "f" else values).tolist()
            for name, values in track.items()
        },
    }


def _job(clip: Clip, out: Path, recipe: CropRecipe) -> _Job:
    with clip.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    key = hashlib.sha256(f"{FORMAT} {ENCODING} {sha256} {recipe.key()}".encode()).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "_", clip.clip_id)[-80:]
    return _Job(clip, sha256, out / "clips" / f"{name}.{key}.mp4", recipe)


def _frames_there(job: _Job) -> int | None:
    """Crops of the job's face-only video, if it has been made."""
    facts = _facts(job.target) if job.target.is_file() else None
    return None if facts is None else len(facts["track"]["indices"])


def _side(path: Path) -> Path:
    return path.with_suffix(".json")


def _own_facts(path: Path) -> dict[str, Any]:
    facts = _facts(path)
    if facts is None:
        raise VideoError(f"{path} is not a face-only video: {_side(path).name} beside it is missing or damaged")
    return facts


def _facts(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(_side(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if facts.get("format") == FORMAT else None


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_file(path) as part:
        part.write_text(json.dumps(value, indent=None), encoding="utf-8")
