"""Faces in a clip: detect, follow, crop.

MTCNN looks at frames shrunk, at every `detect_every`-th one of a run, and boxes in between are interpolated. One
`FaceTrack` is one person. Crops are cut from the full-size frames, by the same function for training and for serving.
Source: Zhang et al. 2016 (MTCNN), through facenet-pytorch.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfd.errors import NoFaceError, VideoError
from dfd.face_finder import BATCH, FaceFinder
from dfd.frames import Reading, Source
from dfd.progress import Progress, part, silent
from dfd.recipe import CropRecipe
from dfd.tracks import Detections, FaceTrack, Trail, joined, link
from dfd.video import VideoInfo, probe

THOROUGH = 3  # of the frames that are looked at, each third is searched for faces of all sizes
SHRINKING = 0.6  # of the narrowest face's width, to which a face may shrink between two thorough looks
CLOSER_LOOK = 2.0  # factor on the detection size when a clip shows no face at all


@dataclass(frozen=True, slots=True)
class FaceClip:
    """One face track's crops."""

    crops: NDArray[np.uint8]  # (T, S, S, 3) RGB
    track: FaceTrack
    recipe: CropRecipe
    source: str  # the clip it was cut from

    def at(self, positions: NDArray[np.int64]) -> "FaceClip":
        """Some of its frames, by their places in it."""
        return FaceClip(self.crops[positions], self.track.at(positions), self.recipe, self.source)


@dataclass(frozen=True, slots=True)
class Search:
    """What a look through a clip found."""

    clips: list[FaceClip]  # the longest track first; empty when there is no face
    faces: int  # that stay in the clip, cut or not
    looked_at: int  # frames
    info: VideoInfo
    read_seconds: float  # spent waiting for the decoder
    indices: NDArray[np.int64]  # (N,) the frames that were decoded
    times: NDArray[np.float64]  # (N,) their seconds from the clip's start


READING = Reading()


def face_clips(
    path: Path, finder: FaceFinder, *, frames: int | None = None, progress: Progress = silent
) -> list[FaceClip]:
    """Every face that stays in a clip, as crops; the longest track first.

    Args:
        path: A video file.
        finder: Detector and recipe.
        frames: None: every frame up to `recipe.max_frames`. T: T of them as `recipe.sampling` says. "consecutive" gives
            the first T frames that hold the face; "even" T frames spread over the first `max_frames`, less those
            without it.
        progress: Told how far the search is.

    Raises:
        VideoError: the file cannot be read.
        NoFaceError: no face stays in any of the frames that were looked at.
    """
    found = search(path, finder, frames=frames, progress=progress)
    if not found.clips:
        raise NoFaceError(no_face_message(path, found.looked_at))
    return found.clips


def no_face_message(path: Path, looked_at: int) -> str:
    """What to tell a person whose clip shows no face."""
    return (
        f"no face was found in the {looked_at} frames of {path} that were looked at; "
        "give a clip in which a face is seen from the front and is at least 1/30 of the picture wide"
    )


def search(
    path: Path,
    finder: FaceFinder,
    *,
    frames: int | None = None,
    most: int | None = None,
    reading: Reading = READING,
    progress: Progress = silent,
) -> Search:
    """As `face_clips`, but an empty list where there is no face, and with what the search cost.

    Args:
        most: Cut only so many faces, the first ones.
        reading: How long and how busily the clip is read.

    Raises:
        VideoError: the file cannot be read.
    """
    return searches(path, finder, (frames,), most=most, reading=reading, progress=progress)[0]


def searches(
    path: Path,
    finder: FaceFinder,
    lengths: Sequence[int | None],
    *,
    most: int | None = None,
    reading: Reading = READING,
    progress: Progress = silent,
) -> list[Search]:
    """As `search` for each of several numbers of frames, while the clip is decoded and searched once for all.

    What is found for one of them is what `search` finds for it alone. An exception that `progress` raises ends the
    search at once, and the decoder with it.
    """
    progress(0.0, "Reading the clip")
    info = probe(path, timeout=reading.timeout)
    recipe = finder.recipe
    if recipe.detector == "given" and info.width != info.height:
        raise VideoError(
            f"{path} is {info.width} x {info.height} px, and by its recipe it should be a face crop, which is square; "
            "cut the face out, or use a detector that was trained on clips of whole scenes"
        )
    total = min(info.frames, recipe.max_frames)
    windows = [_window(recipe, info.frames, total, frames) for frames in lengths]
    found = _search(info, windows, finder, most, reading, progress)
    late = [at for at, window in enumerate(windows) if _comes_later(window, found[at], recipe, total)]
    if late:
        again = [_Window(np.arange(total), windows[at].keep) for at in late]
        for at, longer in zip(late, _search(info, again, finder, most, reading, progress), strict=True):
            found[at] = replace(longer, read_seconds=longer.read_seconds + found[at].read_seconds)
    return found


@dataclass(frozen=True, slots=True)
class _Window:
    """Frames that are looked at, and how many crops of a track are kept of them; None: all."""

    indices: NDArray[np.int64]
    keep: int | None


def _window(recipe: CropRecipe, available: int, total: int, frames: int | None) -> _Window:
    if frames is None or recipe.sampling == "even":
        return _Window(recipe.positions(available, frames or total), None)
    # Up to the next frame that is looked at, so that the last boxes are interpolated as they are in a longer run.
    first = min(total, -(-(frames - 1) // recipe.detect_every) * recipe.detect_every + 1)
    return _Window(np.arange(first), frames)


def _comes_later(window: _Window, found: Search, recipe: CropRecipe, total: int) -> bool:
    """Whether a run of the first frames has too few with the face, while there are more frames."""
    if window.keep is None or len(window.indices) >= total:
        return False
    return not found.clips or len(found.clips[0].track) < window.keep


def crop(frame: NDArray[np.uint8], box: NDArray[np.float32], recipe: CropRecipe) -> NDArray[np.uint8]:
    """The square around a box, `recipe.margin` times its longer side, resized with antialiasing.

    The square is cut to a fraction of a pixel, so that a slowly moving face does not tremble. What lies outside the
    frame repeats the frame's edge: a black band would be a stronger sign than anything in the face.

    Args:
        frame: (H, W, 3) uint8 RGB.
        box: x0 y0 x1 y1 in pixels.
        recipe: Margin and size.

    Returns:
        (S, S, 3) uint8 RGB, S = `recipe.size`.
    """
    centre, half = _square(box, recipe)
    left, top = (int(np.floor(middle - half)) for middle in centre)
    right, bottom = (int(np.ceil(middle + half)) for middle in centre)
    height, width = frame.shape[:2]
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        piece = frame[top:bottom, left:right]
    else:
        rows, columns = np.arange(top, bottom).clip(0, height - 1), np.arange(left, right).clip(0, width - 1)
        piece = frame.take(rows, axis=0).take(columns, axis=1)
    square = (centre[0] - half - left, centre[1] - half - top, centre[0] + half - left, centre[1] + half - top)
    image = Image.fromarray(np.ascontiguousarray(piece))
    return np.asarray(image.resize((recipe.size, recipe.size), Image.Resampling.BICUBIC, box=square))


def _square(box: NDArray[np.float32], recipe: CropRecipe) -> tuple[tuple[float, float], float]:
    """Centre (x, y) and half the side of a crop, in pixels of the frame."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return ((x0 + x1) / 2, (y0 + y1) / 2), max(x1 - x0, y1 - y0, 2.0) * recipe.margin / 2


def crop_landmarks(clip: FaceClip) -> NDArray[np.float32]:
    """Where the track's landmarks are in its crops: (T, 5, 2) x y in pixels of the crop."""
    squares = [_square(box, clip.recipe) for box in clip.track.boxes]
    centres = np.array([centre for centre, _ in squares])[:, None]
    halves = np.array([half for _, half in squares])[:, None, None]
    return ((clip.track.landmarks - centres + halves) * clip.recipe.size / (2 * halves)).astype(np.float32)


def _search(
    info: VideoInfo,
    windows: Sequence[_Window],
    finder: FaceFinder,
    most: int | None,
    reading: Reading,
    progress: Progress,
) -> list[Search]:
    """Tracks and crops in each window: of the first `most` tracks, the first `keep` crops."""
    keys = [_keys(window.indices, finder.recipe.detect_every) for window in windows]
    indices = np.unique(np.concatenate([window.indices for window in windows]))
    source = Source(info, indices, np.unique(np.concatenate(keys)), reading, again=len(windows) > 1)
    seen = _Seen(finder)
    longest_first = sorted(range(len(windows)), key=lambda at: -len(keys[at]))
    trails: list[list[Trail]] = [[] for _ in windows]
    for number, at in enumerate(longest_first):
        told = part(progress, 0.8 * number / len(windows), 0.8 * (number + 1) / len(windows))
        for closer in (1.0, CLOSER_LOOK):
            sightings = _look(source, keys[at], seen, closer, told)
            if linked := link(sightings, finder.recipe.link_iou):
                trails[at] = linked
                break
    wanted = [found[:most] for found in trails]
    clips = _cut(source, windows, wanted, finder.recipe, part(progress, 0.8, 1.0))
    progress(1.0, "Finding faces")
    searches = []
    for window, tracks, cut in zip(windows, trails, clips, strict=True):
        decoded = np.array([index for index in window.indices.tolist() if index in source.times], np.int64)
        times = np.array([source.times[index] for index in decoded.tolist()])
        searches.append(Search(cut, len(tracks), len(window.indices), info, source.seconds, decoded, times))
    return searches


def _keys(indices: NDArray[np.int64], every: int) -> NDArray[np.int64]:
    """The frames that are looked at: the first, the last, and those `every` or more after the one before."""
    keys = [int(indices[0])]
    for index in indices.tolist():
        if index - keys[-1] >= every:
            keys.append(index)
    return np.unique([*keys, indices[-1]])


class _Seen:
    """Who is seen in the frames of a clip: MTCNN is asked once for each frame, its size and the smallest face."""

    def __init__(self, finder: FaceFinder) -> None:
        self.finder = finder
        self._found: dict[tuple[int, int, float], Detections] = {}

    def faces(self, indices: Sequence[int], pixels: NDArray[np.uint8], least: float = 0.0) -> list[Detections]:
        """As `FaceFinder.detect`, of frames (N, H, W, 3) with their indices."""
        height, width = pixels.shape[1:3]
        keys = [(index, width, self.finder.smallest(height, width, least)) for index in indices]
        new = [at for at, key in enumerate(keys) if key not in self._found]
        if new:
            found = self.finder.detect(pixels[new], least)
            self._found.update(zip([keys[at] for at in new], found, strict=True))
        return [self._found[key] for key in keys]


def _look(
    source: Source, keys: NDArray[np.int64], seen: _Seen, closer: float, progress: Progress
) -> list[tuple[int, Detections]]:
    """What each key frame shows, in pixels of the full-size frame."""
    long_side = round(seen.finder.recipe.detect_long_side * closer)
    found: list[tuple[int, Detections]] = []
    narrowest, reached = np.inf, 0.0

    def read(last: int) -> None:
        nonlocal reached
        reached = float(np.searchsorted(keys, last, side="right")) / len(keys)
        progress(reached, "Finding faces")

    with closing(_batches(source, keys, long_side, read)) as batches:
        for indices, pixels in batches:
            faces, narrowest = _detect(indices, pixels, seen, narrowest)
            scale = source.info.width / pixels.shape[2]
            found += [(index, face.scaled(scale)) for index, face in zip(indices, faces, strict=True)]
            progress(reached, "Finding faces")
    return found


def _batches(
    source: Source, keys: NDArray[np.int64], long_side: int, read: Callable[[int], None]
) -> Generator[tuple[list[int], NDArray[np.uint8]], None, None]:
    """The key frames that decode, shrunk, `BATCH` at a time, with their indices."""
    with closing(source.shrunk(keys, long_side, read)) as frames:
        while batch := list(islice(frames, BATCH)):
            yield [index for index, _ in batch], np.stack([small for _, small in batch])


def _detect(
    indices: Sequence[int], pixels: NDArray[np.uint8], seen: _Seen, narrowest: float
) -> tuple[list[Detections], float]:
    """Faces in a batch of shrunk frames, and the narrowest face of the clip so far.

    Every third frame is searched for faces of all sizes, those between only for faces nearly as wide as the narrowest
    that is known: a newcomer is seen at most two looks later, and nearly half of the time is saved.
    """
    thorough = np.arange(len(pixels)) % THOROUGH == 0
    places = np.asarray(indices)
    whole = seen.faces(places[thorough].tolist(), pixels[thorough])
    narrowest = min([narrowest, *(float(face.widths.min()) for face in whole if len(face.boxes))])
    least = SHRINKING * narrowest if np.isfinite(narrowest) else 0.0
    rest = seen.faces(places[~thorough].tolist(), pixels[~thorough], least)
    faces = iter(whole), iter(rest)
    return [next(faces[0 if first else 1]) for first in thorough], narrowest


def _cut(
    source: Source,
    windows: Sequence[_Window],
    trails: Sequence[Sequence[Trail]],
    recipe: CropRecipe,
    progress: Progress,
) -> list[list[FaceClip]]:
    """The crops of every window's trails over all its frames between first and last sighting, or the first `keep`."""
    if not any(trails):
        return [[] for _ in trails]
    pieces: list[list[_Piece]] = [[_Piece([], []) for _ in followed] for followed in trails]
    with closing(source.parts(source.indices)) as parts:
        for frames in parts:
            for window, followed, done in zip(windows, trails, pieces, strict=True):
                looked_at = np.isin(frames.indices, window.indices)
                for trail, piece in zip(followed, done, strict=True):
                    inside = (frames.indices >= trail.indices[0]) & (frames.indices <= trail.indices[-1])
                    left = None if window.keep is None else window.keep - len(piece.crops)
                    chosen = np.flatnonzero(inside & looked_at)[:left]
                    track = trail.over(frames.indices[chosen], frames.times[chosen])
                    piece.crops.extend(
                        crop(frames.pixels[n], box, recipe) for n, box in zip(chosen, track.boxes, strict=True)
                    )
                    piece.tracks.append(track)
            progress(float(np.searchsorted(source.indices, frames.indices[-1]) + 1) / len(source.indices), "Cutting")
    return [
        [FaceClip(np.stack(each.crops), joined(each.tracks), recipe, str(source.info.path)) for each in done]
        for done in pieces
    ]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A face clip in the making."""

    crops: list[NDArray[np.uint8]]
    tracks: list[FaceTrack]
