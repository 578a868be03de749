"""The portrait that every face of the sample corpus is drawn from: its landmarks, outline, hair and skin.

The photograph is scikit-image's `data.astronaut()` (NASA, public domain), cut to 256 px around the head. Positions are
pixels of that cut, x to the right and y down, measured by hand.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data, draw

SIDE = 256
"""px of a side of the portrait and of every face texture made from it."""

POINTS: dict[str, tuple[float, float]] = {
    "eye_l_outer": (103, 101),
    "eye_l_top": (113, 97),
    "eye_l_inner": (121.5, 103),
    "eye_l_bottom": (113, 104.5),
    "eye_r_inner": (148, 104.5),
    "eye_r_top": (157, 99.5),
    "eye_r_outer": (168, 103),
    "eye_r_bottom": (157, 107),
    "brow_l_outer": (100, 90),
    "brow_l_mid": (112, 87.5),
    "brow_l_inner": (124, 92),
    "brow_r_inner": (148, 93),
    "brow_r_mid": (160, 92),
    "brow_r_outer": (173, 95),
    "nose_bridge": (134, 105),
    "nose_tip": (134, 124),
    "nose_l": (122, 129),
    "nose_r": (147, 130),
    "nose_base": (134, 132),
    "mouth_l": (114.5, 141),
    "mouth_r": (153, 142),
    "lip_top": (134, 139),
    "gap_top": (134, 143.5),
    "gap_bottom": (133.5, 149.5),
    "lip_bottom": (133, 155),
    "jaw_1": (92, 100),
    "jaw_2": (93, 128),
    "jaw_3": (97, 148),
    "jaw_4": (107, 166),
    "jaw_5": (120, 176),
    "chin": (131, 178),
    "jaw_6": (146, 176),
    "jaw_7": (158, 165),
    "jaw_8": (170, 147),
    "jaw_9": (177, 128),
    "jaw_10": (181, 102),
    "hairline_l": (104, 76),
    "hairline_m": (138, 82),
    "hairline_r": (172, 86),
    "crown": (147, 16),
    "crown_l": (105, 30),
    "crown_r": (192, 36),
    "hair_l_1": (64, 70),
    "hair_l_2": (66, 105),
    "hair_l_3": (82, 120),
    "hair_r_1": (211, 85),
    "hair_r_2": (203, 110),
    "hair_r_3": (190, 127),
    "neck_l": (97, 182),
    "neck_r": (166, 184),
}
NAMES = tuple(POINTS)

# Outlines, in quarters of a pixel, as they were traced on the portrait shown four times as large.
_HEAD = [
    (590, 65), (650, 77), (700, 101), (743, 128), (782, 163), (807, 203), (825, 252), (839, 300), (843, 350),
    (835, 398), (819, 437), (793, 477), (768, 503), (756, 513), (747, 533), (731, 542), (712, 543), (702, 565),
    (691, 600), (675, 635), (667, 655), (663, 690), (662, 760), (388, 760), (387, 712), (385, 640), (380, 600),
    (373, 560), (368, 524), (347, 520), (332, 499), (324, 477), (312, 463), (288, 428), (268, 393), (261, 350),
    (257, 300), (258, 266), (271, 227), (293, 198), (332, 173), (371, 155), (402, 138), (422, 118), (452, 98),
    (491, 83), (531, 70),
]  # fmt: skip
_SKIN = [
    (386, 300), (400, 292), (425, 303), (460, 316), (505, 318), (550, 322), (595, 330), (640, 340), (690, 357),
    (706, 356), (716, 390), (722, 430), (722, 480), (716, 515), (752, 515), (747, 533), (731, 542), (712, 543),
    (702, 565), (691, 600), (675, 635), (667, 655), (663, 690), (662, 760), (388, 760), (387, 712), (385, 640),
    (380, 600), (373, 560), (368, 524), (347, 520), (332, 499), (326, 474), (352, 470), (366, 430), (378, 370),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Portrait:
    """The photograph and what is where in it; every map is float32 of (256, 256)."""

    rgb: NDArray[np.float32]  # (3, 256, 256), 0 to 255
    head: NDArray[np.float32]  # opacity of head, hair and neck, 0 to 1
    skin: NDArray[np.float32]  # share of skin, 0 to 1
    hair: NDArray[np.float32]  # share of hair, 0 to 1
    luminance: NDArray[np.float32]  # 0 to 255


@cache
def portrait() -> Portrait:
    """Read the portrait and trace it; once a process."""
    rgb = data.astronaut()[:SIDE, 90 : 90 + SIDE].astype(np.float32).transpose(2, 0, 1).copy()
    head, skin = _soft(_HEAD, 0.8), _soft(_SKIN, 1.2)
    head = np.clip(1.6 * head - 0.6, 0, 1)  # a little inside the outline, where none of the old background shines in
    head[184:], skin[184:] = head[184], skin[184]
    rgb = _with_neck(rgb)
    return Portrait(rgb, head, skin, np.clip(1 - skin, 0, 1), luminance(rgb))


def _with_neck(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Paint a bare neck over the black collar, so that open collars show skin: a cylinder lit from the left."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    across = (x - 131) / 36
    light = 0.80 - 0.13 * across - 0.24 * across**2 - 0.16 * np.exp(-(((y - 178) / 9) ** 2))
    neck = np.array([205, 167, 140], np.float32)[:, None, None] * light
    jaw = np.array([POINTS[name] for name in ("jaw_4", "jaw_5", "chin", "jaw_6", "jaw_7")]) + (0, 2)
    below = outline(np.vstack([[(97, 158)], jaw, [(166, 158), (172, 255), (92, 255)]]), 1.5)
    return (rgb + below * (neck - rgb)).astype(np.float32)


def luminance(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """(3, H, W) to (H, W) by ITU-R BT.601."""
    return np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), rgb, 1)


def outline(points: NDArray[np.floating], feather: float) -> NDArray[np.float32]:
    """A filled outline (N, 2) in px as opacity (256, 256), its edge softened over `feather` px."""
    grid = draw.polygon2mask((SIDE, SIDE), points[:, ::-1]).astype(np.float32)
    return gaussian_filter(grid, feather)


def _soft(quarters: list[tuple[int, int]], feather: float) -> NDArray[np.float32]:
    fine = draw.polygon2mask((SIDE * 4, SIDE * 4), np.array(quarters)[:, ::-1]).astype(np.float32)
    return gaussian_filter(fine.reshape(SIDE, 4, SIDE, 4).mean((1, 3)), feather)
