"""Face-only videos: a clip's face crops as a video file, and what is known of them in a `.json` beside it.

The file is H.264 that people can watch (in mpv, VLC or Chromium) and training reads fast: every pixel its own
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

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from dfd.errors import VideoError
from dfd.recipe import CropRecipe

if TYPE_CHECKING:
    from dfd.faces import FaceClip

ENCODING: dict[str, Any] = {"pixel_format": "yuv444p", "crf": 8, "preset": "ultrafast", "tune": "psnr", "gop": 15}
FORMAT = 2  # of the files written; a change makes every clip anew


def describe(face: "FaceClip", **facts: str | int) -> dict[str, Any]:
    """What is stored beside a face-only video: track, recipe, and further facts of the clip."""
    track = {column.name: getattr(face.track, column.name) for column in fields(face.track)}
    rounded = {
        name: np.round(values, 6 if name == "times" else 2) if values.dtype.kind == "f" else values
        for name, values in track.items()
    }
    track_facts = {name: _listed(values) for name, values in rounded.items()}
    return {"format": FORMAT, **facts, "recipe": face.recipe.model_dump(), "track": track_facts}


def _listed(values: NDArray[Any]) -> list[Any]:
    """As JSON has it, which knows no NaN: landmarks that nobody saw are null."""
    told = values.astype(object)
    if values.dtype.kind == "f":
        told[np.isnan(values)] = None
    listed: list[Any] = told.tolist()
    return listed


def frames_in(text: str | None) -> int | None:
    """Crops of a face-only video by its `.json`, None where that is missing, damaged or of another format."""
    facts = _parsed(text)
    return None if facts is None else len(facts["track"]["indices"])


def load_face_clip(path: Path) -> "FaceClip":
    """Read a face-only video back, with its track.

    Raises:
        VideoError: the video or the `.json` beside it is missing or damaged.
    """
    from dfd.faces import FaceClip, FaceTrack  # not above: torch comes with it, and few that know files need crops

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


def side(path: Path) -> Path:
    """Where the facts of a face-only video lie."""
    return path.with_suffix(".json")


def _own_facts(path: Path) -> dict[str, Any]:
    beside = side(path)
    facts = _parsed(beside.read_text(encoding="utf-8")) if beside.is_file() else None
    if facts is None:
        raise VideoError(f"{path} is not a face-only video: {beside.name} beside it is missing or damaged")
    return facts


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        facts = json.loads(text or "")
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else None
