"""What is around a face in the sample corpus: clothes, room and sensor noise."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dfd.corpora.sample_people import Person
from dfd.corpora.sample_portrait import SIDE, outline

CLOTHES = (
    (46, 56, 78), (96, 40, 44), (58, 92, 70), (142, 148, 154), (30, 30, 34), (196, 190, 178), (72, 104, 142),
    (150, 112, 60), (110, 74, 110), (208, 208, 212), (44, 84, 92), (164, 84, 66),
)  # fmt: skip
MARGIN = 24  # px of room beyond the frame on every side, for the camera to drift over


def dressed(person: Person, rng: np.random.Generator) -> NDArray[np.float32]:
    """The person's texture (4, 256, 256) with shoulders in a garment under the head."""
    colour = np.array(CLOTHES[rng.integers(len(CLOTHES))]) * rng.uniform(0.85, 1.15)
    x0, x1 = person.points["neck_l"][0] - 3, person.points["neck_r"][0] + 3
    middle, broad, slope = (x0 + x1) / 2, rng.uniform(0.92, 1.15), rng.uniform(-5, 8)
    dip, top = rng.choice([-4.0, 9.0, 14.0, 38.0]), 184 + rng.uniform(-2, 4)
    along = np.linspace(0, 1, 15)
    curve = 4 * along * (1 - along) * (1 if dip < 30 else 1 - 0.4 * np.abs(2 * along - 1))  # a deep dip is a V
    neckline = list(zip(x0 + (x1 - x0) * along, top + dip * curve, strict=True))
    half = min(116 * broad, middle - 6, SIDE - 7 - middle)  # the texture's rim stays clear of it
    shape = ((x1 - middle) / half + 0.17, top + 9), (0.78, 211 + slope), (0.95, 229 + slope), (1.0, 300)
    right = [(middle + u * half, y) for u, y in shape]
    left = [(2 * middle - x, y) for x, y in reversed(right)]
    cloth = outline(np.array(neckline + right + left), 1.0)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    folds = gaussian_filter(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (9, 5)) * 4
    weave = gaussian_filter(rng.standard_normal((SIDE, SIDE)).astype(np.float32), 0.7) * rng.uniform(0.01, 0.05)
    under_chin = np.exp(-(((y - top) / 9) ** 2)) * (np.abs(x - middle) < (x1 - x0) * 0.7)
    shade = 0.95 - 0.18 * (x - middle) / 120 + 0.12 * folds + weave - 0.25 * under_chin
    stripes = 1 + rng.choice([0, 0, 0, 0.12]) * np.sign(np.sin(y * 0.55))
    texture = person.texture.copy()
    texture[3] *= 1 - _step(y, top + max(dip, 4) + 6, top + max(dip, 4) + 14) * (1 - cloth)
    texture[:3] += cloth * (np.clip(colour[:, None, None] * shade * stripes, 0, 245) - texture[:3])
    texture[3] = np.maximum(texture[3], cloth)
    return texture


def room(rng: np.random.Generator, size: int) -> torch.Tensor:
    """A background (3, size + 2 * MARGIN, ...) in 0 to 255, out of focus: wall, boards, lamps, windows."""
    side = size + 2 * MARGIN
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    wall = rng.uniform(50, 205) * (1 + rng.uniform(-0.13, 0.13, 3))
    turn = rng.uniform(0, 2 * np.pi)
    fall = 1 + rng.uniform(0.1, 0.35) * ((x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn))
    image = wall[:, None, None] * fall
    for _ in range(rng.integers(2, 9)):
        colour = wall * rng.uniform(0.45, 1.5) * (1 + rng.uniform(-0.18, 0.18, 3))
        if rng.random() < 0.6:
            w, h = rng.uniform(0.05, 0.5), rng.uniform(0.05, 0.8)
            cx, cy = rng.uniform(-0.1, 1.1, 2)
            shape = (np.abs(x - cx) < w / 2) & (np.abs(y - cy) < h / 2)
        else:
            shape = (x - rng.random()) ** 2 + (y - rng.random()) ** 2 < rng.uniform(0.02, 0.12) ** 2
        image = np.where(shape, colour[:, None, None], image)
    blur = rng.uniform(2.0, 7.0) * size / 256
    image = np.stack([gaussian_filter(channel, blur) for channel in image])
    mottle = gaussian_filter(rng.standard_normal((side, side)), 3) * rng.uniform(4, 18)
    return torch.from_numpy((image + mottle).clip(4, 250).astype(np.float32))


def sensor_noise(rng: np.random.Generator, size: int, sigma: float) -> torch.Tensor:
    """Noise (3, size + 64, size + 64) of standard deviation `sigma`, a little correlated as demosaicing leaves it.

    A frame takes a window of it at its own offset: drawing it anew would cost more than the rest of the frame.
    """
    noise = rng.standard_normal((3, size + 64, size + 64)).astype(np.float32)
    noise = gaussian_filter(noise, (0, 0.55, 0.55))
    noise = 0.75 * noise + 0.5 * noise.mean(0, keepdims=True)
    return torch.from_numpy(noise * np.float32(sigma / noise.std()))


def _step(value: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    u = np.clip((value - low) / (high - low), 0, 1)
    return u * u * (3 - 2 * u)
