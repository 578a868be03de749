"""MTCNN on pictures: where the faces are (the only importer of facenet_pytorch).

Source: Zhang et al. 2016 (MTCNN), through facenet-pytorch.
"""

import threading
from functools import lru_cache
from typing import Any

import facenet_pytorch.models.utils.detect_face as mtcnn_cascade
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray

from dfd.recipe import CropRecipe
from dfd.threads import one_thread
from dfd.tracks import Detections

BATCH = 15  # frames a detection; more gains nothing on a CPU
FACTOR = 0.709  # MTCNN's own, from one level of its pyramid to the next: half the area
SMALLEST_FACE = 20  # px at the size of detection: MTCNN's own limit
SMALLEST_PART = 15  # and at least 1/15 of the longer side (24 px of 360): smaller faces cost a third more time


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
        smallest = self.smallest(pixels.shape[1], pixels.shape[2], least)
        if min(pixels.shape[1:3]) < smallest:
            return [Detections.none() for _ in pixels]
        # MTCNN is hundreds of small calls, and each waits for all threads: where others want the cores too, two threads
        # took five times as long as one, and no less where nobody does.
        with self._lock, one_thread():
            self._mtcnn.min_face_size = smallest
            for start in range(0, len(pixels), BATCH):
                planes = torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2).float().contiguous()
                faces = self._mtcnn.detect(planes.permute(0, 2, 3, 1), landmarks=True)
                found += [self._sure(*face) for face in zip(*faces, strict=True)]
        return found

    def smallest(self, height: int, width: int, least: float = 0.0) -> float:
        """px of the smallest face that `detect` looks for in frames of this size."""
        short_side, long_side = sorted((height, width))
        smallest, least = float(max(SMALLEST_FACE, long_side // SMALLEST_PART)), min(least, short_side)
        while smallest / FACTOR <= least:  # whole levels of the pyramid: those that remain give the same boxes
            smallest /= FACTOR
        return smallest

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
