"""The people of the sample corpus: one portrait, bent, lit and coloured into as many faces as are asked for.

A person is a face texture and where its parts are. Geometry is a thin-plate warp of the portrait's landmarks; shading
comes from the low band of a face of the LFW subset (25 px, scikit-image's `data.lfw_subset()`), each used once before
any is used again; skin and hair are recoloured. Nobody in it exists.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter
from skimage import data

from dfd.corpora.sample_features import Hair, draw_features, with_face_details, with_hair
from dfd.corpora.sample_portrait import NAMES, POINTS, SIDE, Portrait, luminance, outline, portrait

F = torch.nn.functional
Points = dict[str, NDArray[np.float32]]

LFW_FACES = 100  # the first hundred images of the subset are faces, the second hundred are not
SKINS = (
    (241, 205, 182),
    (232, 190, 164),
    (222, 176, 146),
    (210, 158, 122),
    (187, 134, 98),
    (150, 103, 73),
    (112, 76, 54),
)
HAIRS = (
    (38, 31, 28),
    (58, 43, 33),
    (84, 60, 42),
    (112, 82, 54),
    (128, 70, 42),
    (176, 142, 92),
    (142, 140, 138),
    (196, 192, 186),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person."""

    name: str
    texture: NDArray[np.float32]  # (4, 256, 256): RGB in 0 to 255, then opacity in 0 to 1
    points: Points  # landmark name -> (x, y) px in the texture
    flip: bool  # shown mirrored, so that the portrait's parting and light are not everybody's
    tone: NDArray[np.float32]  # (3,) mean colour of the face
    smile: float  # gap between the lips at rest, as a share of the portrait's
    seed: int


@lru_cache(maxsize=6)
def make_person(seed: int, identity: int) -> Person:
    """The same person for the same seed and number."""
    rng = np.random.default_rng((seed, identity, 1))
    features = draw_features(rng)
    points, shift = _unfolded(_geometry(rng, features.hair))
    skin = (np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.94, 1.05)).astype(np.float32)
    hair = (np.array(HAIRS[_hair_index(rng, skin)]) * rng.uniform(0.85, 1.15)).astype(np.float32)
    face = _lfw_face(seed, identity)
    base = with_hair(features)
    rgb = _shaded(base, face, strength=rng.uniform(0.35, 0.6))
    rgb = _coloured(base, rgb, skin, hair, contrast=rng.uniform(0.65, 1.0))
    rgb = with_face_details(rgb, features, hair)
    texture = _warped(np.concatenate([rgb, base.head[None]]).astype(np.float32), shift)
    mask = face_area(points, 3.0)
    tone = ((texture[:3] * mask).sum((1, 2)) / mask.sum()).astype(np.float32)
    smile = float(rng.choice([0.15, 0.35, 0.7, 1.0], p=[0.35, 0.25, 0.2, 0.2]))
    return Person(
        f"sample-{identity:03d}", texture, points, bool(rng.random() < 0.5), tone, smile, int(rng.integers(2**31))
    )


def face_area(points: Points, feather: float, shrink: float = 0.93) -> NDArray[np.float32]:
    """The face between brows and chin as opacity (256, 256)."""
    ring = np.array([points[name] for name in (
        "brow_l_outer", "jaw_2", "jaw_3", "jaw_4", "jaw_5", "chin", "jaw_6", "jaw_7", "jaw_8", "jaw_9",
        "brow_r_outer", "brow_r_mid", "brow_l_mid",
    )])  # fmt: skip
    ring[-2:, 1] -= 3
    ring[[0, -3], 1] -= 2
    centre = ring.mean(0)
    return outline((centre + (ring - centre) * shrink).astype(np.float32), feather)


def _geometry(rng: np.random.Generator, hair: Hair) -> Points:
    """Move the portrait's landmarks to another plausible face."""
    points, u = _home(), rng.uniform

    def move(names: str, dx: float = 0, dy: float = 0) -> None:
        for name in _named(names):
            points[name] += (dx, dy)

    def spread(names: str, by: float) -> None:
        for name in _named(names):
            points[name][0] += (points[name][0] - 135) * by

    spread("jaw_ hair eye brow nose mouth", u(-0.07, 0.07))
    jaw, chin = u(-0.10, 0.12), u(-7, 9)
    spread("jaw_3 jaw_4 jaw_5 jaw_6 jaw_7 jaw_8", jaw)
    spread("jaw_4 jaw_5 jaw_6 jaw_7", jaw * u(0, 0.8))
    move("chin jaw_5 jaw_6", dy=chin)
    move("jaw_4 jaw_7", dy=chin * 0.7)
    move("mouth lip gap", dy=chin * 0.35 + u(-2.5, 2.5))
    apart, tilt, slant = u(-2.5, 2.5), u(-1.6, 1.6), u(-1.6, 1.6)
    move("eye_l brow_l", dx=-apart)
    move("eye_r brow_r", dx=apart)
    move("eye brow", dy=u(-3, 3))
    move("brow", dy=u(-2, 2.5))
    move("brow_l_outer brow_r_outer", dy=tilt)
    move("brow_l_inner brow_r_inner", dy=-tilt * u(0, 1))
    move("eye_l_outer eye_r_outer", dy=slant)
    open_, wide = u(-1.3, 1.6), u(-1.5, 2)
    move("eye_l_top eye_r_top", dy=-open_ * 0.7)
    move("eye_l_bottom eye_r_bottom", dy=open_ * 0.4)
    move("eye_l_outer", dx=-wide)
    move("eye_r_outer", dx=wide)
    spread("nose_l nose_r", u(-0.2, 0.28))
    move("nose_tip nose_l nose_r nose_base", dy=u(-4, 4.5))
    thick = u(-1.2, 2.4)
    spread("mouth_", u(-0.17, 0.14))
    move("mouth_", dy=u(-1, 4))  # corners lower: less of the portrait's smile
    move("lip_top", dy=-thick * 0.6)
    move("lip_bottom", dy=thick)
    close = hair in ("short", "shaved")  # a skull varies less than hair does
    move("crown", dy=u(-4, 4) if close else u(-9, 6))
    spread("hair_l hair_r crown_l crown_r", u(-0.03, 0.03) if close else u(-0.12, 0.08))
    move("hair_l_3 hair_r_3 hair_l_2 hair_r_2", dy=u(-10, 14))
    move("hairline", dy=u(-9, 0))  # never down on the brows: the warp would fold
    spread("neck", u(-0.12, 0.16))
    return points


def _named(prefixes: str) -> list[str]:
    """The landmarks whose names begin with one of the words."""
    return [name for name in NAMES if name.startswith(tuple(prefixes.split()))]


def _unfolded(points: Points) -> tuple[Points, NDArray[np.float32]]:
    """The landmarks, brought nearer to the portrait's until the warp folds nowhere, and the warp's shift in px."""
    home, shift = _home(), _shift(points)
    while _least_area(shift) < 0.45:
        points = {name: (0.8 * xy + 0.2 * home[name]).astype(np.float32) for name, xy in points.items()}
        shift = _shift(points)
    return points, shift


def _least_area(shift: NDArray[np.float32]) -> float:
    """By how much the warp shrinks an area at most; below 0 it folds."""
    along_y = np.diff(shift, axis=0)[:, :-1] / ((SIDE - 1) / 32)
    along_x = np.diff(shift, axis=1)[:-1] / ((SIDE - 1) / 32)
    area = (1 + along_x[..., 0]) * (1 + along_y[..., 1]) - along_x[..., 1] * along_y[..., 0]
    return float(area.min())


def _shift(points: Points) -> NDArray[np.float32]:
    """(33, 33, 2) px from a place in the new face to its place in the portrait (thin-plate spline)."""
    there = np.array([points[name] for name in NAMES])
    here = np.array([POINTS[name] for name in NAMES])
    rim = np.array([(x, y) for x in (-20, 128, 276) for y in (-40, 60, 160, 300) if not (x == 128 and 0 < y < 200)])
    spline = RBFInterpolator(np.vstack([there, rim]), np.vstack([here - there, rim * 0.0]), smoothing=2.0)
    knots = np.linspace(0, SIDE - 1, 33)
    yy, xx = np.meshgrid(knots, knots, indexing="ij")
    return spline(np.stack([xx.ravel(), yy.ravel()], 1)).reshape(33, 33, 2).astype(np.float32)


def _warped(layers: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend (C, 256, 256) by a shift (33, 33, 2) in px."""
    shift = torch.from_numpy(coarse).permute(2, 0, 1)[None]
    shift = F.interpolate(shift, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    grid = pixel_grid(SIDE) + shift[0].permute(1, 2, 0) * (2 / (SIDE - 1))
    source = torch.from_numpy(layers)[None]
    out = F.grid_sample(source, grid[None], mode="bicubic", padding_mode="border", align_corners=True)[0].numpy()
    out[:3] = out[:3].clip(0, 255)
    out[3] = out[3].clip(0, 1)
    return out


def pixel_grid(side: int) -> torch.Tensor:
    """The identity map (side, side, 2) as x, y in -1 to 1, pixel centres at the ends."""
    line = torch.linspace(-1, 1, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], -1)


def _home() -> Points:
    """The portrait's own landmarks."""
    return {name: np.array(xy, np.float32) for name, xy in POINTS.items()}


@cache
def _home_face(feather: float) -> NDArray[np.float32]:
    return face_area(_home(), feather)


@cache
def _lfw() -> NDArray[np.float32]:
    return data.lfw_subset()[:LFW_FACES].astype(np.float32)


def _lfw_face(seed: int, identity: int) -> NDArray[np.float32]:
    """A face of the subset (25, 25); past the hundredth person, the mean of two that were not paired before."""
    lap, place = divmod(identity, LFW_FACES)
    order = np.random.default_rng((seed, 2)).permutation(LFW_FACES)
    face = _lfw()[order[place]]
    if lap == 0:
        return face
    return 0.5 * (face[:, ::-1] + _lfw()[order[(place + lap) % LFW_FACES]])


def _shaded(base: Portrait, face: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """The portrait with part of its low band of luminance taken from a 25 px face, feathered into the head."""
    # LFW's eyes lie at (8, 8.7) and (16.9, 8.7), its mouth corners at (9, 17.8) and (16, 17.8), of 25 px.
    here = (
        np.array([POINTS["eye_l_top"], POINTS["eye_r_top"], POINTS["mouth_l"], POINTS["mouth_r"]])
        + [[0, 3]] * 2
        + [[0, 0]] * 2
        if False
        else np.array([(113, 101), (157.5, 103.5), POINTS["mouth_l"], POINTS["mouth_r"]])
    )
    there = np.array([(8, 8.7), (16.9, 8.7), (9, 17.8), (16, 17.8)])
    affine = np.linalg.lstsq(np.hstack([here, np.ones((4, 1))]), there, rcond=None)[0]
    y, x = np.mgrid[:SIDE, :SIDE]
    at = np.stack([x, y, np.ones_like(x)], -1) @ affine / 24 * 2 - 1
    source = torch.from_numpy(np.ascontiguousarray(face))[None, None]
    grid = torch.from_numpy(at.astype(np.float32))[None]
    big = F.grid_sample(source, grid, mode="bicubic", padding_mode="border", align_corners=True)[0, 0].numpy()
    low, other = gaussian_filter(base.luminance, 4.5), gaussian_filter(big, 3.0)
    mask = _home_face(7.0)
    weight = mask / mask.sum()
    mean = (low * weight).sum()
    spread = np.sqrt(((low - mean) ** 2 * weight).sum())
    other = other - (other * weight).sum()
    other = other / np.sqrt((other**2 * weight).sum()) * spread
    change = mask * strength * (mean + np.clip(other, -2.2 * spread, 1.8 * spread) - low)
    return base.rgb * np.clip(1 + change / np.maximum(low, 40), 0.5, 1.12)


def _hair_index(rng: np.random.Generator, skin: NDArray[np.float32]) -> int:
    """Hair goes with skin: the darker the skin, the seldomer it is fair."""
    if skin.mean() > 160:
        return int(rng.choice(len(HAIRS), p=[0.13, 0.18, 0.2, 0.17, 0.09, 0.13, 0.06, 0.04]))
    return int(rng.choice([0, 1, 2, 6], p=[0.5, 0.3, 0.15, 0.05]))


def _coloured(
    base: Portrait, rgb: NDArray[np.float32], skin: NDArray[np.float32], hair: NDArray[np.float32], contrast: float
) -> NDArray[np.float32]:
    """Give skin and hair their colours; the whites of eyes and teeth change less."""
    mean = (portrait().rgb * _home_face(3.0)).sum((1, 2)) / _home_face(3.0).sum()
    gain = (skin / mean)[:, None, None]
    whites = sum(
        np.exp(-(((np.arange(SIDE)[None] - x) / w) ** 2) - ((np.arange(SIDE)[:, None] - y) / h) ** 2)
        for x, y, w, h in ((113, 101, 8, 3), (157.5, 103.5, 8, 3), (134, 146, 13, 4))
    )
    gain = gain ** (1 - 0.75 * np.clip(whites, 0, 1))
    light = luminance(rgb)
    bright = light / float(luminance(mean[:, None, None])[0, 0])
    gain = gain * bright.clip(1, 1.6) ** -0.55  # the portrait was lit by a flash
    inside = portrait().hair * portrait().head
    typical = (portrait().luminance * inside).sum() / inside.sum()
    strands = hair[:, None, None] * (np.maximum(light, 4) / typical) ** contrast
    return _shoulder(base.skin * rgb * gain + base.hair * strands).astype(np.float32)


def _shoulder(rgb: NDArray[np.float32], knee: float = 195.0) -> NDArray[np.float32]:
    """Bend highlights above `knee` towards 255 and keep their hue, where clipping would leave flat white."""
    peak = np.maximum(rgb.max(0), 1)
    above = np.maximum(peak - knee, 0)
    bent = np.minimum(peak, knee) + (255 - knee) * above / (above + (255 - knee))
    return rgb * (bent / peak)
