"""Faces in a clip: detect, follow, crop.

MTCNN looks at frames shrunk, at every `detect_every`-th one of a run, and boxes in between are interpolated. One
`FaceTrack` is one person. Crops are cut from the full-size frames, by the same function for training and for serving.
Source: Zhang et al. 2016 (MTCNN), through facenet-pytorch.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import facenet_pytorch.models.utils.detect_face as mtcnn_cascade
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from dfd.errors import NoFaceError, VideoError
from dfd.progress import Progress, part, silent
from dfd.recipe import CropRecipe
from dfd.threads import one_thread
from dfd.tracks import Detections, FaceTrack, Trail, joined, link
from dfd.video import Frames, VideoInfo, iter_frames, probe

BATCH = 15  # frames a detection; more gains nothing on a CPU
THOROUGH = 3  # of the frames that are looked at, each third is searched for faces of all sizes
SHRINKING = 0.6  # of the narrowest face's width, to which a face may shrink between two thorough looks
FACTOR = 0.709  # MTCNN's own, from one level of its pyramid to the next: half the area
HELD_BYTES = 256 << 20  # frames up to this in all are kept from detection to cropping; beyond, they are decoded twice
CHUNK_BYTES = 24 << 20
SMALLEST_FACE = 20  # px at the size of detection: MTCNN's own limit
SMALLEST_PART = 15  # and at least 1/15 of the longer side (24 px of 360): smaller faces cost a third more time
CLOSER_LOOK = 2.0  # factor on the detection size when a clip shows no face at all


@dataclass(frozen=True, slots=True)
class FaceClip:
    """One face track's crops."""

    crops: NDArray[np.uint8]  # (T, S, S, 3) RGB
    track: FaceTrack
    recipe: CropRecipe
    source: str  # the clip it was cut from


@dataclass(frozen=True, slots=True)
class Search:
    """What a look through a clip found."""

    clips: list[FaceClip]  # the longest track first; empty when there is no face
    faces: int  # that stay in the clip, cut or not
    looked_at: int  # frames
    info: VideoInfo
    read_seconds: float  # spent waiting for the decoder


@dataclass(frozen=True, slots=True)
class Reading:
    """How long and how busily a clip is read."""

    timeout: float = 60.0  # seconds to wait for the decoder in each pass
    ahead: bool = True  # let it decode while faces are looked for: sooner done, but on a second core


READING = Reading()


class FaceFinder:
    """MTCNN for one recipe. Threads may share one; they take turns."""

    def __init__(self, recipe: CropRecipe, device: str = "cpu") -> None:
        self.recipe = recipe
        self._lock = threading.Lock()
        if recipe.detector == "given":
            return
        self._mtcnn = MTCNN(keep_all=True, device=torch.device(device)).eval()
        for net in (self._mtcnn.pnet, self._mtcnn.rnet, self._mtcnn.onet):
            net.to(memory_format=torch.channels_last)  # a third off the time on a CPU, same boxes

    def detect(self, pixels: NDArray[np.uint8], least: float = 0.0) -> list[Detections]:
        """Faces of at least `recipe.min_probability` in each of some frames.

        Args:
            pixels: (N, H, W, 3) uint8 RGB, as they are: shrink them first.
            least: px; narrower faces may be passed over. In any case faces are looked for down to 1/15 of the longer
                side only, or 20 px if that is more, and not in frames narrower than that.
        """
        if self.recipe.detector == "given":
            return [_whole(pixels.shape[1], pixels.shape[2]) for _ in pixels]
        found: list[Detections] = []
        short_side, long_side = sorted(pixels.shape[1:3])
        smallest = float(max(SMALLEST_FACE, long_side // SMALLEST_PART))
        if short_side < smallest:
            return [Detections.none() for _ in pixels]
        least = min(least, short_side)
        while smallest / FACTOR <= least:  # whole levels of the pyramid: those that remain give the same boxes
            smallest /= FACTOR
        # MTCNN is hundreds of small calls, and each waits for all threads: where others want the cores too, two threads
        # took five times as long as one, and no less where nobody does.
        with self._lock, one_thread():
            self._mtcnn.min_face_size = smallest
            for start in range(0, len(pixels), BATCH):
                planes = torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2).float().contiguous()
                faces = self._mtcnn.detect(planes.permute(0, 2, 3, 1), landmarks=True)
                found += [self._sure(*face) for face in zip(*faces, strict=True)]
        return found

    def _sure(self, boxes: object, scores: object, landmarks: object) -> Detections:
        if boxes is None:
            return Detections.none()
        keep = np.asarray(scores, np.float32) >= self.recipe.min_probability
        return Detections(np.asarray(boxes, np.float32)[keep], np.asarray(landmarks, np.float32)[keep])


def _whole(height: int, width: int) -> Detections:
    """A frame that is a crop already; where its eyes are nobody said."""
    return Detections(np.array([[0, 0, width, height]], np.float32), np.full((1, 5, 2), np.nan, np.float32))


@lru_cache(maxsize=512)
def _averages(inputs: int, outputs: int) -> torch.Tensor:
    """(outputs, inputs) weights of adaptive average pooling along one axis."""
    place, cell = torch.arange(inputs), torch.arange(outputs)[:, None]
    inside = (place >= cell * inputs // outputs) & (place < -(-(cell + 1) * inputs // outputs))
    return inside / inside.sum(dim=1, keepdim=True)


def _area(images: torch.Tensor, size: tuple[int, int], _pooled: Any = mtcnn_cascade.imresample) -> torch.Tensor:
    """facenet-pytorch's resize by area, (N, C, H, W) -> (N, C, *size), as two matrix products.

    The same numbers to a ten-thousandth of a level. It calls adaptive pooling for every level of the pyramid and every
    candidate, some fifty times a frame, which on a CPU takes more than half of the detection.
    """
    if images.is_cuda:
        return _pooled(images, size)
    height, width = images.shape[2:]
    return _averages(height, size[0]) @ images @ _averages(width, size[1]).T


mtcnn_cascade.imresample = _area


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
    progress(0.0, "Reading the clip")
    info = probe(path, timeout=reading.timeout)
    recipe = finder.recipe
    if recipe.detector == "given" and info.width != info.height:
        raise VideoError(
            f"{path} is {info.width} x {info.height} px, and by its recipe it should be a face crop, which is square; "
            "cut the face out, or use a detector that was trained on clips of whole scenes"
        )
    total = min(info.frames, recipe.max_frames)

    def look(indices: NDArray[np.int64], keep: int | None) -> Search:
        return _search(_Source(info, indices, reading), finder, keep, most, progress)

    if frames is None or recipe.sampling == "even":
        return look(recipe.positions(info.frames, frames or total), None)
    # Up to the next frame that is looked at, so that the last boxes are interpolated as they are in a longer run.
    first = min(total, -(-(frames - 1) // recipe.detect_every) * recipe.detect_every + 1)
    found = look(np.arange(first), frames)
    if first < total and (not found.clips or len(found.clips[0].track) < frames):
        longer = look(np.arange(total), frames)  # the face comes later
        return replace(longer, read_seconds=longer.read_seconds + found.read_seconds)
    return found


def shrink(frame: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) with the longer side at most `long_side` px, antialiased."""
    height, width = frame.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


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
    x0, y0, x1, y1 = (float(edge) for edge in box)
    half = max(x1 - x0, y1 - y0, 2.0) * recipe.margin / 2
    centre = (x0 + x1) / 2, (y0 + y1) / 2
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


class _Source:
    """The frames of a clip that are looked at: held in memory if they fit, else decoded again for every pass."""

    def __init__(self, info: VideoInfo, indices: NDArray[np.int64], reading: Reading) -> None:
        size = info.width * info.height * 3
        self.info, self.indices, self._reading = info, indices, reading
        self.seconds = 0.0
        self._chunk = int(np.clip(CHUNK_BYTES // size, 1, 32))
        self._hold = size * len(indices) <= HELD_BYTES
        self._held: list[Frames] = []

    def parts(self, wanted: NDArray[np.int64]) -> Iterator[Frames]:
        """The frames at `wanted` and, where all are held anyway, those between."""
        if self._held:
            yield from self._held
            return
        asked = (self.indices if self._hold else wanted).tolist()
        frames = iter_frames(
            self.info.path, asked, chunk=self._chunk, timeout=self._reading.timeout, ahead=self._reading.ahead
        )
        while True:
            started = time.perf_counter()
            part = next(frames, None)
            self.seconds += time.perf_counter() - started
            if part is None:
                return
            if self._hold:
                self._held.append(part)
            yield part


def _search(source: _Source, finder: FaceFinder, keep: int | None, most: int | None, progress: Progress) -> Search:
    """Tracks and crops: of the first `most` tracks, the first `keep` crops."""
    for closer in (1.0, CLOSER_LOOK):
        sightings = _look(source, finder, closer, part(progress, 0.0, 0.8))
        if trails := link(sightings, finder.recipe.link_iou):
            break
    clips = _cut(source, trails[:most], finder.recipe, keep) if trails else []
    progress(1.0, "Finding faces")
    return Search(clips, len(trails), len(source.indices), source.info, source.seconds)


def _keys(indices: NDArray[np.int64], every: int) -> NDArray[np.int64]:
    """The frames that are looked at: the first, the last, and those `every` or more after the one before."""
    keys = [int(indices[0])]
    for index in indices.tolist():
        if index - keys[-1] >= every:
            keys.append(index)
    return np.unique([*keys, indices[-1]])


def _look(source: _Source, finder: FaceFinder, closer: float, progress: Progress) -> list[tuple[int, Detections]]:
    """What each key frame shows, in pixels of the full-size frame."""
    long_side = round(finder.recipe.detect_long_side * closer)
    found: list[tuple[int, Detections]] = []
    narrowest = np.inf
    for indices, pixels in _batches(source, _keys(source.indices, finder.recipe.detect_every), long_side):
        faces, narrowest = _detect(pixels, finder, narrowest)
        scale = source.info.width / pixels.shape[2]
        found += [(index, face.scaled(scale)) for index, face in zip(indices, faces, strict=True)]
        progress(float(np.searchsorted(source.indices, indices[-1]) + 1) / len(source.indices), "Finding faces")
    return found


def _batches(source: _Source, keys: NDArray[np.int64], long_side: int) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """The key frames that decode, shrunk, `BATCH` at a time, with their indices."""
    indices: list[int] = []
    small: list[NDArray[np.uint8]] = []
    for frames in source.parts(keys):
        wanted = np.flatnonzero(np.isin(frames.indices, keys))
        indices += frames.indices[wanted].tolist()
        small += [shrink(frames.pixels[at], long_side) for at in wanted]
        while len(small) >= BATCH:
            yield indices[:BATCH], np.stack(small[:BATCH])
            del indices[:BATCH], small[:BATCH]
    if small:
        yield indices, np.stack(small)


def _detect(pixels: NDArray[np.uint8], finder: FaceFinder, narrowest: float) -> tuple[list[Detections], float]:
    """Faces in a batch of shrunk frames, and the narrowest face of the clip so far.

    Every third frame is searched for faces of all sizes, those between only for faces nearly as wide as the narrowest
    that is known: a newcomer is seen at most two looks later, and nearly half of the time is saved.
    """
    thorough = np.arange(len(pixels)) % THOROUGH == 0
    whole = finder.detect(pixels[thorough])
    narrowest = min([narrowest, *(float(face.widths.min()) for face in whole if len(face.boxes))])
    least = SHRINKING * narrowest if np.isfinite(narrowest) else 0.0
    rest = finder.detect(pixels[~thorough], least) if len(pixels) > 1 else []
    faces = iter(whole), iter(rest)
    return [next(faces[0 if first else 1]) for first in thorough], narrowest


def _cut(source: _Source, trails: list[Trail], recipe: CropRecipe, keep: int | None) -> list[FaceClip]:
    """The crops of every trail over all frames between its first and last sighting, or the first `keep` of them."""
    crops: list[list[NDArray[np.uint8]]] = [[] for _ in trails]
    parts: list[list[FaceTrack]] = [[] for _ in trails]
    for frames in source.parts(source.indices):
        for at, trail in enumerate(trails):
            inside = (frames.indices >= trail.indices[0]) & (frames.indices <= trail.indices[-1])
            chosen = np.flatnonzero(inside)[: None if keep is None else keep - len(crops[at])]
            track = trail.over(frames.indices[chosen], frames.times[chosen])
            crops[at] += [crop(frames.pixels[n], box, recipe) for n, box in zip(chosen, track.boxes, strict=True)]
            parts[at].append(track)
    return [
        FaceClip(np.stack(done), joined(tracks), recipe, str(source.info.path))
        for done, tracks in zip(crops, parts, strict=True)
    ]
