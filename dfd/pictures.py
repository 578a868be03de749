"""A folder of face crops that others cut, one picture a frame, read as a face clip.

Some corpora are shared so (DeepfakeBench's, among others). Pictures have no times: they are taken for 25 a second.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dfd.corpora.listing import PICTURES
from dfd.errors import VideoError
from dfd.faces import FaceClip, crop
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack

RATE = 25.0  # pictures a second


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names: `2.png` before `10.png`."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    return sorted(files, key=_natural)


def fingerprint(folder: Path) -> str:
    """sha256 over the pictures' names and bytes, as hex digits."""
    digest = hashlib.sha256()
    for path in picture_files(folder):
        digest.update(f"{path.name}\x1f{path.stat().st_size}\x1f".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_folder(folder: Path, recipe: CropRecipe) -> FaceClip:
    """The first `recipe.max_frames` pictures as crops, (T, S, S, 3); what is not square is filled up with its edges.

    Raises:
        VideoError: there is no picture, one cannot be read, or the recipe looks for faces in whole scenes.
    """
    if recipe.detector != "given":
        raise VideoError(
            f"{folder} is a folder of face crops, and the recipe looks for faces in whole scenes; set crop to "
            "{detector: given, margin: 1} in the experiment"
        )
    files = picture_files(folder)[: recipe.max_frames]
    if not files:
        raise VideoError(f"{folder} has no picture ({', '.join(sorted(PICTURES))}); take it out of the table")
    pictures = [_read(path) for path in files]
    boxes = [np.array([0, 0, picture.shape[1], picture.shape[0]], np.float32) for picture in pictures]
    crops = np.stack([crop(picture, box, recipe) for picture, box in zip(pictures, boxes, strict=True)])
    count = len(files)
    track = FaceTrack(
        boxes=np.stack(boxes),
        landmarks=np.full((count, 5, 2), np.nan, np.float32),
        times=np.arange(count) / RATE,
        indices=np.arange(count),
        detected=np.ones(count, bool),
    )
    return FaceClip(crops, track, recipe, str(folder))


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path} is no picture that can be read ({error}); copy it again or delete it") from None


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
