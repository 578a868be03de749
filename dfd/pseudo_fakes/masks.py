"""Where a pseudo-fake is blended in: a soft region between the hull of eyes and mouth and that of the whole face.

Five landmarks give no hull of the face, so its outline comes from a template, as radii around the face's middle. A
region is a ring between the two hulls, moved in and out by random waves: what the elastic deformation of the hull's
mask is in Shiohara & Yamasaki 2022. Their blurring of the mask is a ramp inwards from the outline here, so that the
mask is 0 outside it to the bit.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from dfd.pseudo_fakes.draws import Draws
from dfd.pseudo_fakes.face_space import CENTRE, as_tensor, in_square, sample, square_points

SIDE = 64  # of the map of radii
WAVE = 0.1  # of the way between the hulls that the outline is moved by
# Radii from the top of the face round to its bottom, every 22.5 degrees; units of the distance between the eyes.
FACE = (1.27, 1.26, 1.25, 1.10, 1.04, 1.02, 1.08, 1.20, 1.33)  # forehead, temple, cheek, jaw, chin
FEATURES = (0.80, 0.84, 0.88, 0.80, 0.68, 0.68, 0.78, 0.92, 1.00)  # brows to just below the mouth


def soft_mask(points: Tensor, draws: Draws, *, ratio: bool) -> Tensor:
    """The blending mask (T, 1, h, w) in [0, 1].

    Args:
        points: (T, h, w, 2) of face space.
        draws: of the same T frames.
        ratio: multiply by the blending ratio, which `warp` has not.
    """
    inside = sample(_depth(draws), in_square(points))
    feather = as_tensor(draws.feather)[:, None, None, None]
    ramp = (inside / feather).clamp(0, 1)
    mask = ramp * ramp * (3 - 2 * ramp)
    return mask * as_tensor(draws.ratio)[:, None, None, None] if ratio else mask


def _depth(draws: Draws) -> Tensor:
    """How far within the outline every point of the aligned square is, (T, 1, SIDE, SIDE); negative outside."""
    around = np.arange(16) * (2 * np.pi / 16)
    waves = np.stack([np.cos(around), np.sin(around), np.cos(2 * around), np.sin(2 * around)])
    reach = np.clip(draws.whole[:, None] + WAVE * draws.outline @ waves, 0, 1)
    face, features = _ring(FACE), _ring(FEATURES)
    radii = features + reach * (face - features)
    weights, distance = _polar()
    return as_tensor(radii @ weights.T - distance).reshape(-1, 1, SIDE, SIDE)


def _ring(half: tuple[float, ...]) -> NDArray[np.float64]:
    """(16,) radii round the face, from those of one half."""
    return np.array([*half, *half[-2:0:-1]])


@cache
def _polar() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every point of the square: weights (SIDE^2, 16) of the radii at its angle, and its distance (SIDE^2,)."""
    x, y = (square_points(SIDE).numpy().astype(np.float64) - CENTRE).reshape(-1, 2).T
    angle = np.arctan2(x, -y) % (2 * np.pi)
    spline = CubicSpline(np.arange(17), np.eye(16)[np.arange(17) % 16], bc_type="periodic")
    return spline(angle * (16 / (2 * np.pi))), np.hypot(x, y)
