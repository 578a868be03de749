"""Face clips as a page shows them: a crop of each, how large faces are, and what is known of one.

It reads the face-only videos and the `.json` beside them by itself: `dfd.face_only` brings torch, which takes seconds
to import, and hundreds of clips are looked at here for a chart or a few pictures.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfd.errors import VideoError
from dfd.video import Frames, read_frames

SAMPLE = 400  # clips whose face sizes are read


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """What is known of a face-only video."""

    source: str  # path or URL of the clip it was cut from
    faces: int  # people found in that clip; the video has the one who is longest in sight
    times: NDArray[np.float64]  # (T,) seconds from the clip's start
    width: float  # px of the face box in the clip's own frames, the median over the clip
    size: int  # px of a crop's side


@dataclass(frozen=True, slots=True)
class FaceSizes:
    """How large faces are, in a sample of clips."""

    table: pd.DataFrame  # clip_id, label, width (px, the median over the clip)
    asked: int  # clips drawn
    of: int  # clips with a face

    @property
    def unread(self) -> int:
        """Clips drawn whose face-only video lacks its facts."""
        return self.asked - len(self.table)

    @property
    def said(self) -> str:
        """Which clips these are, as a sentence."""
        which = "All clips with a face" if self.asked == self.of else f"{self.asked:,} of {self.of:,} clips with a face"
        lost = f"; {self.unread:,} of them cannot be read, `dfd preprocess` makes them again" if self.unread else ""
        return f"{which}{'' if self.asked == self.of else ', the same ones each time'}{lost}."


def face_facts(path: Path) -> FaceFacts:
    """What is known of a face-only video, without decoding it.

    Raises:
        VideoError: it is gone, or the `.json` beside it is missing or damaged.
    """
    if not path.is_file():
        raise VideoError(f"face-only video {path} is gone; run `dfd preprocess` again")
    beside = path.with_suffix(".json")
    try:
        return _facts(json.loads(beside.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise VideoError(
            f"{beside}, what is known of a face-only video, cannot be read ({error}); run `dfd preprocess` again"
        ) from None


def face_sizes(clips: pd.DataFrame, most: int = SAMPLE) -> FaceSizes:
    """Widths of the faces in at most so many clips, the same ones each time.

    Args:
        clips: as from `inventory.clips`.
        most: clips to look at.
    """
    there = clips[clips["crops"] > 0]
    drawn = there.nsmallest(most, "mixed")
    rows = []
    for clip in drawn.itertuples(index=False):
        try:
            facts = face_facts(Path(clip.face_path))
        except VideoError:
            continue  # counted as unread
        rows.append((clip.clip_id, clip.label, facts.width))
    return FaceSizes(pd.DataFrame(rows, columns=["clip_id", "label", "width"]), len(drawn), len(there))


def middle_crop(path: Path) -> NDArray[np.uint8]:
    """The crop (S, S, 3) at the last key frame before the middle of a face-only video; only that frame is decoded.

    Raises:
        VideoError: the video is missing or damaged.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            container.seek((stream.duration or 0) // 2, stream=stream)
            return np.asarray(next(container.decode(stream)).to_ndarray(format="rgb24"), np.uint8)
    except (av.error.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise VideoError(f"face-only video {path} cannot be read ({error}); run `dfd preprocess` again") from None


def some_crops(path: Path, facts: FaceFacts, most: int) -> Frames:
    """At most so many crops of a face-only video, evenly from first to last, with their times in the clip.

    Raises:
        VideoError: the video is missing or damaged.
    """
    count = len(facts.times)
    found = read_frames(path, np.linspace(0, count - 1, min(most, count)).round().astype(int))
    return replace(found, times=facts.times[found.indices])


def _facts(facts: dict[str, Any]) -> FaceFacts:
    track = facts["track"]
    boxes = np.array(track["boxes"], np.float64).reshape(-1, 4)
    if not len(boxes):
        raise ValueError("it has no boxes")
    return FaceFacts(
        source=facts["source"],
        faces=facts["faces"],
        times=np.array(track["times"], np.float64),
        width=float(np.median(boxes[:, 2] - boxes[:, 0])),
        size=facts["recipe"]["size"],
    )
