"""Where a fake was manipulated, as its face crops show it: the truth that heat maps are held to.

The fakes of the sample corpora and pseudo-fakes have a mask over the frames of the clip, `masks/STEM.npz` for
`videos/STEM.mp4`. What `dfd preprocess` keeps beside a face-only video (the clip it was cut from, the boxes, the
recipe) is enough to cut the mask as the crops were cut, by the same function.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd.corpora.sample import load_mask, mask_path
from dfd.errors import ManifestError
from dfd.face_only import load_face_clip
from dfd.faces import FaceClip, crop
from dfd.labels import Label
from dfd.manifest import Clip


def mask_of(clip: Clip) -> NDArray[np.float32] | None:
    """The mask of a preprocessed fake: (T, S, S), the share of every pixel of the crops that was manipulated.

    None where none is known: for a real clip, for a fake that others made, for a clip without a face.

    Raises:
        VideoError: the face-only video is missing or damaged.
        ManifestError: the mask is damaged, or that of another clip.
    """
    if clip.label is Label.REAL or clip.frames == 0:
        return None
    face = load_face_clip(clip.path)
    # A pseudo-fake that was made of a face-only video has its mask beside it, wherever dfd's home was moved to.
    return _cut(mask_path(clip.path), face) if mask_path(clip.path).is_file() else mask_in_crops(face)


def mask_in_crops(face: FaceClip) -> NDArray[np.float32] | None:
    """As `mask_of`, of crops that were cut from a clip just now, or read back.

    Raises:
        ManifestError: the mask is damaged, or that of another clip.
    """
    path = mask_path(Path(face.source))
    return _cut(path, face) if path.is_file() else None


def _cut(path: Path, face: FaceClip) -> NDArray[np.float32]:
    frames = load_mask(path)
    last = int(face.track.indices.max())
    if last >= len(frames):
        raise ManifestError(f"{path} has {len(frames)} frames and its clip has {last + 1}; make its corpus again")
    shown = [
        crop(frames[at].astype(np.uint8) * 255, box, face.recipe)
        for at, box in zip(face.track.indices, face.track.boxes, strict=True)
    ]
    found: NDArray[np.float32] = np.stack(shown).astype(np.float32)
    found /= 255
    return found
