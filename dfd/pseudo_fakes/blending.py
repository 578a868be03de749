"""A pseudo-fake of a clip: what is put in, blended with what was there.

fake = source * mask + target * (1 - mask)        (the blending of Shiohara & Yamasaki 2022)
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd.pseudo_fakes.draws import Draws, draw
from dfd.pseudo_fakes.face_space import Placement, face_points, place
from dfd.pseudo_fakes.masks import soft_mask
from dfd.pseudo_fakes.self_blending import transformed
from dfd.pseudo_fakes.settings import Method, PseudoFakes
from dfd.pseudo_fakes.warping import warped

PIXELS = 300_000  # of windows at once: more would leave the cache

SOURCES: Mapping[Method, Callable[[Tensor, Tensor, Placement, Draws], Tensor]] = {
    "self_blend": transformed,
    "warp": warped,
}


@dataclass(frozen=True, slots=True)
class Fake:
    """Frames with a fake face, and where it is."""

    frames: NDArray[np.uint8]  # (T, H, W, 3) RGB; where the mask is 0, as they were
    mask: NDArray[np.float32]  # (T, H, W) in [0, 1]: share of what was put in


def make_fake(
    method: Method,
    frames: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    settings: PseudoFakes,
    clip_id: str,
) -> Fake:
    """A pseudo-fake of a clip; the same seed and clip id give the same one.

    Args:
        method: of `METHODS`.
        frames: (T, H, W, 3) uint8 RGB of a real clip.
        landmarks: (T, 5, 2) eyes, nose, mouth corners, x y in pixels.
        settings: how it is made.
        clip_id: what the draws depend on, with the seed.

    Raises:
        ValueError: frames or landmarks of another shape, or landmarks that are not finite.
    """
    fake, mask = np.empty_like(frames), np.empty(frames.shape[:3], np.float32)
    for chunk, part in fake_parts(method, frames, landmarks, settings, clip_id):
        fake[chunk], mask[chunk] = part.frames, part.mask
    return Fake(fake, mask)


def fake_parts(
    method: Method,
    frames: NDArray[np.uint8],
    landmarks: NDArray[np.floating],
    settings: PseudoFakes,
    clip_id: str,
) -> Iterator[tuple[slice, Fake]]:
    """As `make_fake`, some frames at a time, so that no whole clip of masks need be held."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if len(frames) != len(landmarks):
        raise ValueError(f"{len(frames)} frames have {len(landmarks)} frames of landmarks")
    placement = place(landmarks, *frames.shape[1:3])
    draws = draw(settings, len(frames), clip_id)
    step = max(1, PIXELS // (placement.height * placement.width))
    for start in range(0, len(frames), step):
        chunk = slice(start, min(start + step, len(frames)))
        yield chunk, _blend(method, frames[chunk], placement[chunk], draws[chunk])


def _blend(method: Method, frames: NDArray[np.uint8], placement: Placement, draws: Draws) -> Fake:
    height, width = placement.height, placement.width
    cuts = [(slice(y, y + height), slice(x, x + width)) for x, y in placement.corner.tolist()]
    window = np.stack([frame[cut] for frame, cut in zip(frames, cuts, strict=True)])
    target = torch.from_numpy(window).permute(0, 3, 1, 2).float().contiguous()
    points = face_points(placement)
    mask = soft_mask(points, draws, ratio=method == "self_blend")
    source = SOURCES[method](target, points, placement, draws)
    blended = torch.lerp(target, source.clamp_(0, 255), mask)
    patch = (blended + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    fake, whole = frames.copy(), np.zeros(frames.shape[:3], np.float32)
    for at, cut in enumerate(cuts):
        fake[at][cut], whole[at][cut] = patch[at], mask[at, 0].numpy()
    return Fake(fake, whole)
