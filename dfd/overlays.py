"""Heat maps as pictures: one scale for a whole clip, one colour map, blended over the crops that were scored.

Orange speaks for fake, blue for real, the two colours the charts use, unless another palette is asked for; the two of
each differ for every common kind of colour blindness, and their lightness falls alike with the strength of the
evidence. Weak evidence is transparent and the face under it grey, so that both stay in sight.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dfd.errors import DfdError
from dfd.paths import atomic_file

REAL, FAKE = (0x2A, 0x7D, 0xBF), (0xD5, 0x5E, 0x00)
MIDDLE = (0xF7, 0xF7, 0xF7)
PALETTE = "orange and blue"
PALETTES = {  # what speaks for real, for fake
    PALETTE: (REAL, FAKE),
    "purple and green": ((0x1A, 0x8C, 0x3F), (0x94, 0x3F, 0xB0)),
    "strength alone": ((0xF0, 0xE4, 0x42), (0xF0, 0xE4, 0x42)),  # whichever it speaks for
}
Side = Literal["both", "fake", "real"]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
PERCENTILE = 98.0  # of |a|: a few extreme pixels must not make the rest invisible
FACTS = "attribution.json"
MAKER = "dfd attribution"
FRAME_NAME = re.compile(r"frame_\d{3,}\.png")


def scale_of(maps: NDArray[np.float32]) -> float:
    """The |a| shown at full strength: the 98th percentile over the whole clip, so that its frames can be compared.

    A map of so few non-zero pixels that the percentile is 0 is scaled by its maximum; an all-zero one by 1.
    """
    strength = np.abs(maps)
    return float(np.percentile(strength, PERCENTILE) or strength.max(initial=0.0) or 1.0)


@cache
def table(palette: str = PALETTE) -> NDArray[np.uint8]:
    """The colour map: (511, 3) uint8 RGB from real (blue) over near-white to fake (orange), even steps in OKLab."""
    ends = PALETTES[palette]
    real, middle, fake = (_to_oklab(np.array(colour) / 255) for colour in (ends[0], MIDDLE, ends[1]))
    real[0] = fake[0] = (real[0] + fake[0]) / 2  # equal lightness at both ends: neither side looks stronger
    steps = np.linspace(0, 1, 256)[:, None]
    left, right = real + (middle - real) * steps, middle + (fake - middle) * steps
    colours = (_from_oklab(np.concatenate([left, right[1:]])) * 255).round().astype(np.uint8)
    colours.setflags(write=False)  # it is cached and shared
    return colours


def colours(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(...) in [-1, 1], clipped -> (..., 3) uint8 RGB."""
    return table()[(np.clip(values, -1, 1) * 255).round().astype(np.int64) + 255]


def blend(
    maps: NDArray[np.float32],
    crops: NDArray[np.uint8],
    *,
    opacity: float = 0.7,
    scale: float | None = None,
    palette: str = PALETTE,
    side: Side = "both",
) -> NDArray[np.uint8]:
    """Lay signed maps over crops.

    Args:
        maps: (T, H, W) float, positive for fake.
        crops: (T, H, W, 3) uint8 RGB.
        opacity: of the strongest evidence, 0 (the crops as they are) to 1; weaker evidence is more transparent in
            proportion.
        scale: the |a| at full strength; `scale_of(maps)` by default.
        palette: one of `PALETTES`.
        side: "fake" or "real" leaves out what speaks for the other, on the scale of both.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        ValueError: maps and crops differ in size, or there is no such palette.
    """
    if palette not in PALETTES:
        raise ValueError(f"unknown palette '{palette}'; choose one of {', '.join(PALETTES)}")
    if maps.shape != crops.shape[:-1]:
        raise ValueError(f"maps {maps.shape} do not fit crops {crops.shape}")
    lowest, highest = -1 if side != "fake" else 0, 1 if side != "real" else 0
    values = np.clip(maps / np.float32(scale or scale_of(maps)), lowest, highest, dtype=np.float32)
    strength, against = np.abs(values) * np.float32(opacity), values < 0
    pictures = crops.astype(np.float32)
    grey = pictures @ LUMA
    # Skin is orange too: the face loses its colour as the map gains it, and is grey from half opacity on.
    faded = np.float32(min(1.0, 2 * opacity))
    # The hue alone comes from the table's ends: its pale middle would fog the face where there is no evidence.
    for channel, (real, fake) in enumerate(table(palette)[[0, -1]].T.astype(np.float32)):
        face = pictures[..., channel] + faded * (grey - pictures[..., channel])
        pictures[..., channel] = face + strength * (np.where(against, real, fake) - face)
    return pictures.round(out=pictures).astype(np.uint8)


def strip(pictures: NDArray[np.uint8], columns: int | None = None) -> NDArray[np.uint8]:
    """Pictures (T, H, W, 3) side by side, `columns` a row (default: all); the last is filled with white."""
    count, height, width, _ = pictures.shape
    columns = min(columns or count, count)
    rows = -(-count // columns)
    cells = np.full((rows * columns, height, width, 3), 255, np.uint8)
    cells[:count] = pictures
    return cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def write_folder(pictures: NDArray[np.uint8], facts: Mapping[str, Any], out: Path) -> list[Path]:
    """Write `frame_000.png` and on, one a picture, and `attribution.json` last, so that it is there only when all is.

    The folder may hold other files and they stay. What this function wrote there before, whole or cut short, is
    replaced, with the frames that the new result does not have; files say themselves that they are its.

    Args:
        pictures: (T, H, W, 3) uint8 RGB.
        facts: what the JSON says; `files`, the pictures' names, and `made_by` are added.

    Raises:
        DfdError: `out` is a file, or holds a file of one of these names that was not written by this function.
    """
    if out.exists() and not out.is_dir():
        raise DfdError(f"{out} is a file; name a folder for the heat maps")
    names = [f"frame_{number:03d}.png" for number in range(len(pictures))]
    for name in (*names, FACTS):
        if (out / name).exists() and not _is_ours(out / name):
            raise DfdError(f"{out} already has a {name} that dfd did not write; name another folder")
    (out / FACTS).unlink(missing_ok=True)
    for path in out.glob("frame_*.png"):
        if FRAME_NAME.fullmatch(path.name) and _is_ours(path):
            path.unlink()
    mark = PngInfo()
    mark.add_text("Software", MAKER)
    for name, picture in zip(names, pictures, strict=True):
        with atomic_file(out / name) as part:
            Image.fromarray(picture).save(part, "PNG", pnginfo=mark)
    with atomic_file(out / FACTS) as part:
        part.write_text(json.dumps({"made_by": MAKER, **facts, "files": names}, indent=2), encoding="utf-8")
    return [out / name for name in (*names, FACTS)]


def _is_ours(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            facts = json.loads(path.read_text(encoding="utf-8"))
            return isinstance(facts, dict) and facts.get("made_by") == MAKER
        with Image.open(path) as picture:
            return picture.info.get("Software") == MAKER
    except (OSError, ValueError):  # a folder of that name, no JSON, no picture
        return False


# OKLab, a space in which equal distances look equal. Source: Björn Ottosson 2020, https://bottosson.github.io/posts/oklab
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _to_oklab(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def _from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
