"""Frames of the sample corpus: a take of one person, and the same take with a fake face laid over it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dfd.corpora.sample_fakes import FAMILIES, Family, lay, make_layer
from dfd.corpora.sample_motion import Rig, Take, frame_maps, record
from dfd.corpora.sample_people import make_person
from dfd.corpora.sample_scene import MARGIN, dressed, room, sensor_noise

F = torch.nn.functional
CHUNK = 5  # frames at once: more would leave the cache


@dataclass(frozen=True, slots=True)
class Pair:
    """A real clip and the fake made from it."""

    real: NDArray[np.uint8]  # (T, H, W, 3) RGB
    fake: NDArray[np.uint8]  # (T, H, W, 3) RGB
    mask: NDArray[np.bool_]  # (T, H, W) where the fake was laid over


def render_pair(
    family: Family, identity: int, source: int, *, seed: int, frames: int, size: int, fps: float, difficulty: float
) -> Pair:
    """Render one identity's pair in one corpus; `source` is whose face a swap puts in."""
    person = make_person(seed, identity)
    rng = np.random.default_rng((seed, identity, 10 + FAMILIES.index(family)))
    texture = dressed(person, rng)
    take = record(rng, person, frames, size, fps)
    background = room(rng, size)
    noise = sensor_noise(rng, size, rng.uniform(2.5, 4.5))
    offsets = rng.integers(0, 64, (frames, 2))
    other = make_person(seed, source) if family == "swap" else None
    layer = make_layer(family, person, other, texture, take.expression, fps, difficulty, rng)
    rig = Rig(texture, person.points)
    real, fake = (np.empty((frames, size, size, 3), np.uint8) for _ in range(2))
    masks = np.zeros((frames, size, size), bool)
    for start in range(0, frames, CHUNK):
        chunk = slice(start, min(start + CHUNK, frames))
        maps = frame_maps(take, chunk)
        light = _light(take, chunk)
        grain = [noise[:, y : y + size, x : x + size] for y, x in offsets[chunk]]
        image = _compose(rig.pose(take.expression, chunk), maps, background, take, chunk).mul_(light)
        for frame, own in zip(image, grain, strict=True):
            frame += own
        _store(image, real[chunk])
        fake[chunk] = real[chunk]
        window, patch, mask = lay(image, grain, light, maps, layer, chunk)
        _store(patch, fake[chunk, window[0], window[1]])
        masks[chunk, window[0], window[1]] = mask.numpy()
    return Pair(real, fake, masks)


def _compose(
    textures: torch.Tensor, maps: torch.Tensor, background: torch.Tensor, take: Take, chunk: slice
) -> torch.Tensor:
    """The person before the room, (t, 3, H, W), without light and noise."""
    person = F.grid_sample(textures, maps, mode="bilinear", padding_mode="border", align_corners=True)
    behind = torch.empty_like(person[:, :3])
    for at, out in zip(take.drift[chunk].tolist(), behind, strict=True):
        whole = int(np.floor(at))
        near, far = (slice(MARGIN + step, MARGIN + step + take.size) for step in (whole, whole + 1))
        torch.lerp(background[:, near, near], background[:, far, far], at - whole, out=out)
    return behind.lerp_(person[:, :3], person[:, 3:])


def _light(take: Take, chunk: slice) -> torch.Tensor:
    """Factor of light, (t, 1, H, W)."""
    line = torch.linspace(-1, 1, take.size)
    level, across, down = take.light[chunk].T[:, :, None, None, None]
    return level + across * line + down * line[:, None]


def _store(image: torch.Tensor, out: NDArray[np.uint8]) -> None:
    """Clamp (t, 3, H, W) in place, as a camera saturates, and round it into (t, H, W, 3)."""
    whole = (image.clamp_(0, 255) + 0.5).to(torch.uint8).numpy()
    for channel in range(3):  # four times as fast as one transposed copy
        out[..., channel] = whole[:, channel]
