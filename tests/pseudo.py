"""Face clips with known landmarks, and preprocessed corpora of real ones, for tests of pseudo-fakes."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd.face_only import ENCODING, describe, side
from dfd.faces import FaceClip
from dfd.labels import Label
from dfd.manifest import Clip, Manifest
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack
from dfd.video import write_video
from tests import videos

# Where scikit-image's portrait has eyes, nose and mouth corners, as shares of `videos.head`.
POINTS = np.array([[0.39, 0.53], [0.62, 0.52], [0.51, 0.66], [0.42, 0.78], [0.61, 0.77]])


def face(frames: int = 6, size: int = 96) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A head that stands still, (T, S, S, 3), and its landmarks (T, 5, 2)."""
    pixels = np.stack([np.asarray(videos.head(size))] * frames)
    return pixels, np.tile((POINTS * size).astype(np.float32), (frames, 1, 1))


def real_corpus(
    home: Path, name: str = "reals", *, people: int = 16, recipe: CropRecipe | None = None, fakes: bool = False
) -> Manifest:
    """As `dfd preprocess` leaves a corpus of real clips; with `fakes`, everybody's is a darker copy."""
    folder = home / "data" / "faces" / name
    recipe = recipe or CropRecipe(size=32, max_frames=8)
    clips = []
    for person in range(people):
        for label in Label if fakes else (Label.REAL,):
            clip = Clip(
                corpus=name,
                clip_id=f"{label.word}/p{person:02}",
                path=folder / "clips" / f"{label.word}{person:02}.mp4",
                label=label,
                method="swap" if label is Label.FAKE else "original",
                compression="",
                target_identity=f"p{person:02}",
                source_identity="",
                split=("train", "train", "val", "test")[person % 4],  # type: ignore[arg-type]
                official_split=False,
                frames=recipe.max_frames,
            )
            _write(clip, recipe, level=person - (30 if label is Label.FAKE else 0))
            clips.append(clip)
    manifest = Manifest(name, tuple(clips)).check()
    manifest.write(folder / "manifest.csv")
    return manifest


def without_landmarks(clip: Clip) -> None:
    """Leave a face-only video as it is of crops that others cut."""
    facts = json.loads(side(clip.path).read_text(encoding="utf-8"))
    facts["track"]["landmarks"] = [[[None, None]] * 5 for _ in facts["track"]["landmarks"]]
    side(clip.path).write_text(json.dumps(facts), encoding="utf-8")


def _write(clip: Clip, recipe: CropRecipe, level: int) -> None:
    """A face-only video that was cut from the middle of a clip four times as wide."""
    crops, landmarks = face(recipe.max_frames, recipe.size)
    crops = (crops.astype(int) + level).clip(0, 255).astype(np.uint8)
    half, middle = recipe.size / (2 * recipe.margin), 2 * recipe.size
    box = np.array([middle - half, middle - half, middle + half, middle + half], np.float32)
    track = FaceTrack(
        boxes=np.tile(box, (len(crops), 1)),
        landmarks=landmarks + 1.5 * recipe.size,
        times=np.arange(len(crops)) / 25,
        indices=np.arange(len(crops)),
        detected=np.ones(len(crops), np.bool_),
    )
    write_video(clip.path, crops, 25, **ENCODING)
    facts = describe(FaceClip(crops, track, recipe, "gone.mp4"), source="gone.mp4", faces=1)
    side(clip.path).write_text(json.dumps(facts), encoding="utf-8")
