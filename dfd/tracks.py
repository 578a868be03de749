"""Who is who from one frame to the next: detections linked into tracks by overlap, and boxes in between.

Pure geometry; `dfd.faces` brings the detections and cuts the crops.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

MAX_MISSES = 3  # looked-at frames in a row in which a face may go unseen before its track ends
REACH = 0.75  # of its own side that a face may move between two looks without overlap enough to be known by it
MIN_FRAMES = 8  # a shorter track is a false alarm or a passer-by, unless the run itself is short


@dataclass(frozen=True, slots=True)
class Detections:
    """The faces in one frame."""

    boxes: NDArray[np.float32]  # (K, 4) x0 y0 x1 y1, pixels of the full-size frame
    landmarks: NDArray[np.float32]  # (K, 5, 2) eyes, nose, mouth corners, x y in the same pixels

    @classmethod
    def none(cls) -> "Detections":
        """No face."""
        return cls(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32))

    @property
    def widths(self) -> NDArray[np.float32]:
        """(K,) px."""
        return self.boxes[:, 2] - self.boxes[:, 0]

    def scaled(self, factor: float) -> "Detections":
        """The same faces in a picture `factor` times as large."""
        return Detections(self.boxes * np.float32(factor), self.landmarks * np.float32(factor))


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One person's face through a clip."""

    boxes: NDArray[np.float32]  # (T, 4) x0 y0 x1 y1, pixels of the full-size frame
    landmarks: NDArray[np.float32]  # (T, 5, 2) eyes, nose, mouth corners
    times: NDArray[np.float64]  # (T,) seconds from the clip's start
    indices: NDArray[np.int64]  # (T,) frames of the clip
    detected: NDArray[np.bool_]  # (T,) False where the box was interpolated

    def __len__(self) -> int:
        return len(self.indices)

    def at(self, positions: NDArray[np.int64]) -> "FaceTrack":
        """Some of its frames, by their places in it."""
        return FaceTrack(*(getattr(self, column.name)[positions] for column in fields(self)))


@dataclass(slots=True)
class Trail:
    """The sightings of one face, in the order of their frames."""

    indices: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames of the clip from the first sighting to the last."""
        return self.indices[-1] - self.indices[0] + 1

    @property
    def area(self) -> float:
        """Mean area of the box in pixels."""
        sides = np.stack(self.boxes)[:, 2:] - np.stack(self.boxes)[:, :2]
        return float(sides.prod(axis=1).mean())

    def see(self, index: int, box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> None:
        """Add a sighting."""
        self.indices.append(index)
        self.boxes.append(box)
        self.landmarks.append(landmarks)

    def expected(self, index: int) -> NDArray[np.float32]:
        """Where the box should be at frame `index` if the face keeps its pace."""
        if len(self.boxes) < 2:
            return self.boxes[-1]
        pace = (self.boxes[-1] - self.boxes[-2]) / (self.indices[-1] - self.indices[-2])
        shift = pace.reshape(2, 2).mean(axis=0) * (index - self.indices[-1])  # of the centre: sizes jitter too much
        return self.boxes[-1] + np.tile(shift, 2).astype(np.float32)

    def over(self, indices: NDArray[np.int64], times: NDArray[np.float64]) -> FaceTrack:
        """The track over some frames: boxes and landmarks, linear between sightings."""
        points = np.concatenate([np.stack(self.boxes), np.stack(self.landmarks).reshape(-1, 10)], axis=1)
        between = np.stack([np.interp(indices, self.indices, column) for column in points.T], axis=1).astype(np.float32)
        return FaceTrack(
            boxes=between[:, :4],
            landmarks=between[:, 4:].reshape(-1, 5, 2),
            times=times,
            indices=indices,
            detected=np.isin(indices, self.indices),
        )


def joined(tracks: Sequence[FaceTrack]) -> FaceTrack:
    """Stretches of one track, one after the other."""
    columns = ([getattr(track, column.name) for track in tracks] for column in fields(FaceTrack))
    return FaceTrack(*(np.concatenate(parts) for parts in columns))


def link(sightings: Sequence[tuple[int, Detections]], min_iou: float) -> list[Trail]:
    """Follow every face that stays.

    Boxes are matched by their overlap with where each face was last seen or, moving on, should be (Hungarian
    assignment), never by size or order: both flip when people move.

    Args:
        sightings: Frame index and detections of every frame that was looked at, in rising order.
        min_iou: Overlap (intersection over union) from which two boxes are one person.

    Returns:
        The longest trail first. Lengths within a tenth of the longest count as equal, and the larger face leads.
    """
    done: list[Trail] = []
    alive: list[tuple[Trail, int]] = []  # with the looked-at frames since it was seen
    for index, found in sightings:
        trails = [trail for trail, _ in alive]
        matched = _match(trails, index, found.boxes, min_iou)
        for trail, face in matched.items():
            trails[trail].see(index, found.boxes[face], found.landmarks[face])
        kept = [(trail, 0 if at in matched else misses + 1) for at, (trail, misses) in enumerate(alive)]
        done += [trail for trail, misses in kept if misses > MAX_MISSES]
        alive = [(trail, misses) for trail, misses in kept if misses <= MAX_MISSES]
        for face in sorted(set(range(len(found.boxes))) - set(matched.values())):
            alive.append((Trail([index], [found.boxes[face]], [found.landmarks[face]]), 0))
    looked = np.array([index for index, _ in sightings])
    return _ranked([trail for trail in done + [trail for trail, _ in alive] if _stays(trail, looked)])


def iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every box (N, 4) with every other (M, 4): (N, M), in [0, 1]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    whole: NDArray[np.float32] = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _match(trails: list[Trail], index: int, boxes: NDArray[np.float32], min_iou: float) -> dict[int, int]:
    """Position of a trail -> position of the box that continues it."""
    if not trails or not len(boxes):
        return {}
    last = np.stack([trail.boxes[-1] for trail in trails])
    moved = np.stack([trail.expected(index) for trail in trails])
    overlap = np.maximum(iou(last, boxes), iou(moved, boxes))
    score = np.where(overlap >= min_iou, overlap, 0.0) + 0.1 * _nearness(last, boxes)
    rows, columns = linear_sum_assignment(-score)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if score[row, column] > 0}


def _nearness(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """For a head that is thrown aside between two looks: 1 where it was, 0 from `REACH` of its side or at another size.

    It counts for so little that it only decides between boxes that nothing overlaps.
    """
    sides = [np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)) for boxes in (one, other)]
    centres = [(boxes[:, 2:] + boxes[:, :2]) / 2 for boxes in (one, other)]
    away = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2) / (REACH * sides[0][:, None])
    alike = np.abs(np.log(sides[0][:, None] / sides[1][None])) < np.log(1.5)
    near: NDArray[np.float32] = np.clip(1 - away, 0, None) * alike
    return near


def _stays(trail: Trail, looked: NDArray[np.int64]) -> bool:
    """Long enough, and seen in more than half of the frames that were looked at meanwhile."""
    shortest = max(1, min(MIN_FRAMES, int(looked[-1] - looked[0] + 1) // 4))
    looks = np.count_nonzero((looked >= trail.indices[0]) & (looked <= trail.indices[-1]))
    return trail.frames >= shortest and 2 * len(trail.indices) > int(looks)


def _ranked(trails: list[Trail]) -> list[Trail]:
    longest = max((trail.frames for trail in trails), default=0)
    near: list[Trail] = []
    rest: list[Trail] = []
    for trail in trails:
        (near if trail.frames >= 0.9 * longest else rest).append(trail)
    return sorted(near, key=lambda trail: -trail.area) + sorted(rest, key=lambda trail: -trail.frames)
