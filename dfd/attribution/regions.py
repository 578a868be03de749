"""Which part of the face an attribution lies in, by the five landmarks.

The parts are ellipses in the face's own axes (along the eyes, and across), in units of the distance between the eyes;
they are anatomy's rough proportions, not a segmentation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfd.faces import FaceClip, crop_landmarks

REGIONS = ("eyes", "nose", "mouth", "cheeks", "forehead", "boundary", "background")

EYE = (0.36, 0.26)  # half axes, brows included
MOUTH = (0.16, 0.26)  # beyond the corners; half height
NOSE = (0.24, 0.18)  # half width; beyond its tip
FACE = (1.12, 1.45)  # half axes of the face's oval
FACE_CENTRE = 0.35  # below the eyes
RIM = (0.82, 1.12)  # of the oval: where a swapped face is blended in


@dataclass(frozen=True, slots=True)
class RegionShares:
    """What each of `REGIONS` has of a clip's attribution."""

    share: NDArray[np.float64]  # (R,) of sum |a|, sums to 1; 0 for a map of nothing but 0
    area: NDArray[np.float64]  # (R,) of the pixels, sums to 1
    balance: NDArray[np.float64]  # (R,) in [-1, 1]: sum a / sum |a| within the region, 1 if all of it speaks for fake


def regions(clip: FaceClip) -> NDArray[np.uint8] | None:
    """(T, S, S) places in `REGIONS`; None where the landmarks are not known, as of crops that others cut."""
    if not np.isfinite(clip.track.landmarks).all() or not clip.track.landmarks.any():
        return None
    size = clip.crops.shape[1]
    pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(np.float64) + 0.5
    return np.stack([_parts(pixels, points) for points in crop_landmarks(clip).astype(np.float64)])


def region_shares(maps: NDArray[np.float32], parts: NDArray[np.uint8]) -> RegionShares:
    """How an attribution (T, S, S) divides among the regions (T, S, S)."""
    count = len(REGIONS)
    where, values = parts.ravel(), maps.ravel().astype(np.float64)
    strength = np.bincount(where, np.abs(values), count)
    signed = np.bincount(where, values, count)
    balance = np.divide(signed, strength, out=np.zeros(count), where=strength > 0)
    area = np.bincount(where, minlength=count) / len(where)
    return RegionShares(strength / (strength.sum() or 1.0), area, balance)


def _parts(pixels: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(S, S, 2) pixel centres and (5, 2) landmarks -> (S, S)."""
    left, right, nose, *corners = points
    eyes, mouth = (left + right) / 2, (corners[0] + corners[1]) / 2
    # Of a head that turns the eyes come together and the distance to the mouth stays, and the other way round.
    apart = max(_length(right - left), 1e-3)
    unit = max(apart, 0.95 * _length(mouth - eyes))
    along = (right - left) / apart
    across = np.array([-along[1], along[0]])
    axes = np.stack([along, across], axis=1) / unit

    def ellipse(centre: NDArray[np.float64], half: tuple[float, float]) -> NDArray[np.float64]:
        """Distance of each pixel from a centre, 1 on the ellipse."""
        return np.linalg.norm((pixels - centre) @ axes / half, axis=-1)

    oval = ellipse(eyes + across * FACE_CENTRE * unit, FACE)
    height = (pixels - eyes) @ axes[:, 1]  # below the eyes, in units
    found = np.full(pixels.shape[:2], REGIONS.index("background"), np.uint8)
    found[oval < RIM[1]] = REGIONS.index("boundary")
    found[(oval < RIM[0]) & (height >= 0)] = REGIONS.index("cheeks")
    found[(oval < RIM[0]) & (height < 0)] = REGIONS.index("forehead")
    long = _length(nose - eyes) / unit
    found[ellipse((eyes + nose) / 2, (NOSE[0], long / 2 + NOSE[1])) < 1] = REGIONS.index("nose")
    wide = _length(corners[1] - corners[0]) / unit / 2
    found[ellipse(mouth, (wide + MOUTH[0], MOUTH[1])) < 1] = REGIONS.index("mouth")
    for eye in (left, right):
        found[ellipse(eye, EYE) < 1] = REGIONS.index("eyes")
    return found


def _length(vector: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(vector))
