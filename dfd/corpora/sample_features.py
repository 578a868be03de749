"""What tells the sample corpus's people apart besides the shape of their faces: hair, ears, brows, beard, glasses.

Everything is painted on the portrait before it is bent to a person's geometry, so positions are the portrait's.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from dfd.corpora.sample_portrait import POINTS, SIDE, Portrait, luminance, outline, portrait

Map = NDArray[np.float32]
Hair = Literal["fringe", "swept", "long", "short", "shaved"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a person wears and grows."""

    hair: Hair
    beard: float  # opacity, 0 for none
    moustache: float
    brows: float  # px of thickness added
    lips: tuple[float, float, float]  # factor of their colour
    glasses: float  # opacity of the frame, 0 for none
    lens: float  # px of a lens's half width
    seed: int


def draw_features(rng: np.random.Generator) -> Features:
    """Choose at random, in combinations one meets."""
    masculine = rng.random() < 0.5
    kinds: list[Hair] = ["fringe", "swept", "long", "short", "shaved"]
    hair = rng.choice(kinds, p=[0.08, 0.2, 0.02, 0.55, 0.15] if masculine else [0.35, 0.15, 0.42, 0.08, 0.0])
    bearded = masculine and rng.random() < 0.5
    beard = rng.uniform(0.12, 0.75) if bearded else 0.0
    moustache = beard if bearded or not masculine or rng.random() < 0.85 else rng.uniform(0.3, 0.8)
    red = (0.93, 0.93, 0.9) if masculine else (rng.uniform(0.85, 1.0), rng.uniform(0.6, 0.86), rng.uniform(0.56, 0.8))
    return Features(
        hair, float(beard), float(moustache), float(rng.uniform(1.2, 3.0) if masculine else rng.uniform(0, 1.2)),
        red, float(rng.uniform(0.6, 0.95)) if rng.random() < 0.2 else 0.0, float(rng.uniform(14, 17)),
        int(rng.integers(2**31)),
    )  # fmt: skip


def with_hair(features: Features) -> Portrait:
    """The portrait with another hairstyle, still in its own colours."""
    base, rng = portrait(), np.random.default_rng(features.seed)
    if features.hair == "fringe":
        return base
    if features.hair == "long":
        return _long(base, rng)
    if features.hair == "swept":
        return _bared(base, _forehead(rng))
    if features.hair == "short":
        bared = _bared(base, _forehead(rng)) if rng.random() < 0.75 else base
        return _with_ears(_trimmed(bared, 51 + rng.uniform(-2, 4), rng.uniform(54, 64)))
    return _with_ears(_shaved(base, rng))


def with_face_details(rgb: Map, features: Features, hair: Map) -> Map:
    """Paint brows, lips, beard and glasses on a coloured face; `hair` is the hair's colour, (3,)."""
    rng = np.random.default_rng(features.seed + 1)
    lips = _lips()
    rgb = rgb * (1 + lips * (np.array(features.lips, np.float32)[:, None, None] - 1))
    grain = gaussian_filter(rng.standard_normal((SIDE, SIDE)).astype(np.float32), 0.8) * 2
    colour = hair[:, None, None] * (0.62 + 0.10 * grain)
    cover = np.clip(features.beard * _beard() + features.moustache * _moustache(), 0, 0.85) * (1 + 0.22 * grain)
    rgb = rgb + np.clip(cover, 0, 0.9) * (1 - lips) * (np.minimum(colour, rgb * 0.9) - rgb)
    brows = _brows(features.brows) * (0.78 + 0.12 * grain)
    rgb = rgb + np.clip(brows, 0, 0.9) * (np.minimum(hair[:, None, None] * 0.6, rgb * 0.75) - rgb)
    if features.glasses:
        tone = rng.choice([18, 35, 60]) * np.array([1, rng.uniform(0.75, 1), rng.uniform(0.6, 1)])
        rgb = rgb + features.glasses * _spectacles(features.lens) * (tone[:, None, None] - rgb)
    return rgb.clip(0, 255).astype(np.float32)


def _bared(base: Portrait, skin: Map) -> Portrait:
    """Skin where hair was, and over the shadow that the fringe threw on the brow."""
    mixed = np.maximum(base.skin, skin)
    share = skin * _above_brows()
    rgb = base.rgb + share * (_skin_everywhere() - base.rgb)
    return replace(base, rgb=rgb, skin=mixed, hair=1 - mixed, luminance=luminance(rgb))


def _forehead(rng: np.random.Generator) -> Map:
    """A hairline above the fringe: an arch, ragged from strand to strand."""
    y, x = _mesh()
    top = rng.uniform(54, 66)
    ragged = gaussian_filter1d(rng.standard_normal(SIDE), 1.5) * 2.2
    arch = rng.uniform(0.008, 0.016) * (x - 137) ** 2 + 3 * np.clip(np.abs(x - 137) - 34, 0, None) ** 1.2
    line = top + arch + ragged[None]
    return gaussian_filter(((y > line) & (y < 98) & (np.abs(x - 137.5) < 44)).astype(np.float32), 1.1)


def _trimmed(base: Portrait, wide: float, tall: float) -> Portrait:
    """Hair cut back to the skull: no longer than an ellipse, and none below the temples."""
    y, x = _mesh()
    skull = ((x - 137.5) / wide) ** 2 + ((y - 86) / np.where(y < 86, tall, 34)) ** 2 < 1
    kept = np.maximum(gaussian_filter(skull.astype(np.float32), 1.2), base.skin)
    return replace(base, head=np.minimum(base.head, kept))


def _shaved(base: Portrait, rng: np.random.Generator) -> Portrait:
    """A bare or closely cropped skull."""
    y, x = _mesh()
    across, up = (x - 137.5) / 48.5, (y - 88) / np.where(y < 88, 58, 30)
    skull = gaussian_filter(((across**2 + up**2) < 1).astype(np.float32), 1.0)
    light = 1.05 - 0.34 * np.clip(across**2 + np.minimum(up, 0) ** 2, 0, 1) ** 1.5 - 0.08 * across
    stubble = rng.uniform(0, 0.35) * gaussian_filter((_forehead(rng) < 0.5).astype(np.float32), 3)
    dome = _skin_everywhere() * light * (1 - stubble)
    # Under the fringe the skin must meet the face's own, so the dome fades in where the hair was.
    share = np.maximum(np.clip(1 - base.skin, 0, 1), _above_brows())
    rgb = base.rgb + share * (dome - base.rgb)
    head = np.maximum(skull, np.minimum(base.head, base.skin))
    bald, full = np.zeros_like(head), np.ones_like(head)
    return replace(base, rgb=rgb, head=head, skin=full, hair=bald, luminance=luminance(rgb))


def _with_ears(base: Portrait) -> Portrait:
    """Ears behind the face, where cut hair no longer hides them."""
    y, x = _mesh()
    rgb, head, skin = base.rgb, base.head, base.skin
    for cx, cy, lean in ((91.0, 113.0, 0.2), (182.5, 115.0, -0.2)):
        u, v = (x - cx + lean * (y - cy)) / 6.5, (y - cy) / 14.5
        radius = np.sqrt(u**2 + v**2)
        ear = gaussian_filter((radius < 1).astype(np.float32), 0.8) * (1 - 0.85 * head * skin)
        shade = 0.80 + 0.16 * np.cos(radius * 5.5) - 0.05 * v
        rgb = rgb + ear * (_skin_everywhere() * shade - rgb)
        head, skin = np.maximum(head, ear), np.maximum(skin, ear)
    return replace(base, rgb=rgb, head=head, skin=skin, hair=np.minimum(base.hair, 1 - skin), luminance=luminance(rgb))


def _long(base: Portrait, rng: np.random.Generator) -> Portrait:
    """Hair that falls to the shoulders on both sides, in strands."""
    y, x = _mesh()
    end, out = rng.uniform(178, 236), rng.uniform(0, 16)
    strands = gaussian_filter(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (16, 0.9))
    strands = strands / strands.std()
    wave = rng.uniform(0, 3.5) * np.sin(y / rng.uniform(9, 16) + rng.uniform(0, 6))
    fall = np.clip((y - 95) / 80, 0, 1)
    left = (x > 62 - out * fall + wave) & (x < 106 + wave)
    right = (x > 166 + wave) & (x < 209 + out * fall + wave)
    ragged = gaussian_filter1d(rng.standard_normal(SIDE), 2)[None] * 8
    shape = gaussian_filter(((left | right) & (y > 92) & (y < end + ragged)).astype(np.float32), 1.2)
    typical = (base.luminance * base.hair * base.head).sum() / (base.hair * base.head).sum()
    light = typical * (0.78 + 0.17 * strands - 0.15 * fall)
    cover = shape * (1 - base.skin)
    edge = np.maximum(cover * np.clip((y - 104) / 14, 0, 1), cover * (1 - base.head))
    rgb = base.rgb + edge * (np.clip(light, 8, 230) - base.rgb)
    skin = base.skin * (1 - edge)
    return replace(base, rgb=rgb, head=np.maximum(base.head, cover), skin=skin, hair=1 - skin, luminance=luminance(rgb))


@cache
def _above_brows() -> Map:
    """1 down to the fringe's shadow, then falling to 0 before the brows."""
    y, x = _mesh()
    edge = 82 + 0.06 * (x - 115)  # the head is tilted a little
    return np.clip((edge + 5 - y) / 5, 0, 1)


@cache
def _skin_everywhere() -> Map:
    """(3, 256, 256): the face's skin carried on beyond its edge, with pores."""
    base = portrait()
    y, _ = _mesh()
    sure = ((base.skin > 0.95) & (y > 88) & (y < 165)).astype(np.float32)
    weight = gaussian_filter(sure, 9) + 1e-4
    spread = np.stack([gaussian_filter(c * sure, 9) + 1e-4 * m for c, m in zip(base.rgb, (214, 172, 140), strict=True)])
    pores = gaussian_filter(np.random.default_rng(1).standard_normal((SIDE, SIDE)).astype(np.float32), 0.8)
    return (spread / weight * (1 + 0.03 * pores)).astype(np.float32)


@cache
def _lips() -> Map:
    """Upper and lower lip without the gap between them."""
    (lx, ly), (rx, ry) = POINTS["mouth_l"], POINTS["mouth_r"]
    upper = [(lx, ly), (124, 139.5), (130, 138.5), (134, 139.5), (138, 139), (144, 140), (rx, ry)]
    lower = [(146, 152), (133, 155.5), (121, 151.5)]
    gap = [(lx + 2, ly), (134, 143.5), (rx - 2, ry), (146, 147.5), (134, 149.5), (122, 147)]
    return np.clip(outline(np.array(upper + lower), 0.8) - outline(np.array(gap), 0.8), 0, 1)


@cache
def _beard() -> Map:
    names = ("jaw_2", "jaw_3", "jaw_4", "jaw_5", "chin", "jaw_6", "jaw_7", "jaw_8", "jaw_9")
    jaw = [POINTS[name] for name in names]
    inner = [(169, 134), (160, 148), (150, 156), (134, 158), (118, 156), (108, 148), (101, 133)]
    low = outline(np.array([(92, 112), *jaw, (179, 114), (174, 116), *inner, (97, 114)]), 3.0)
    return np.maximum(low, _moustache() * 0.9)


@cache
def _moustache() -> Map:
    upper = [(112, 143), (117, 136.5), (127, 133.5), (134, 134.5), (141, 134), (151, 137.5), (156, 144)]
    lower = [(150, 140.5), (140, 138.5), (134, 139), (128, 138), (119, 140)]
    return outline(np.array(upper + lower), 1.3)


def _brows(thickness: float) -> Map:
    y, x = _mesh()
    brows = np.zeros((SIDE, SIDE), np.float32)
    for side in "lr":
        xs, ys = zip(*sorted(POINTS[f"brow_{side}_{part}"] for part in ("outer", "mid", "inner")), strict=True)
        line = np.polyval(np.polyfit(xs, ys, 2), x)
        ends = np.clip((x - xs[0]) / 4, 0, 1) * np.clip((xs[2] + 1 - x) / 3, 0, 1)
        brows = np.maximum(brows, np.clip(0.5 + thickness * 0.75 - np.abs(y - line - 0.5), 0, 1) * ends)
    return gaussian_filter(brows, 0.6) * min(thickness, 1)


def _spectacles(half: float) -> Map:
    """Two rounded rims of `half` px half width, a bridge and the start of the temples, as opacity."""
    y, x = _mesh()
    rims = np.zeros((SIDE, SIDE), np.float32)
    for cx, cy in ((112.5, 103.0), (158.0, 105.5)):
        radius = (np.abs((x - cx) / half) ** 2.6 + np.abs((y - cy) / (half * 0.72)) ** 2.6) ** (1 / 2.6)
        rims = np.maximum(rims, np.clip(1.4 - np.abs(radius - 1) * half * 0.85, 0, 1))
    inner, outer = 112.5 + half, 158.0 - half
    arch = 101.0 - 1.5 * np.sin(np.pi * (x - inner) / max(outer - inner, 1))
    bars = (x > inner - 1) & (x < outer + 1) & (np.abs(y - arch) < 1.0)
    bars |= (x > 91) & (x < 113.5 - half) & (np.abs(y - 100) < 1.1)
    bars |= (x > 157 + half) & (x < 181) & (np.abs(y - 102.5) < 1.1)
    return np.maximum(rims, gaussian_filter(bars.astype(np.float32), 0.5))


def _mesh() -> tuple[Map, Map]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return y, x
