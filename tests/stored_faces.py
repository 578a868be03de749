"""What `dfd train` reads: the clips of a tiny table as preprocessed corpora, and an experiment file on them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from dfd.data import Table
from dfd.face_only import ENCODING, describe
from dfd.faces import FaceClip
from dfd.manifest import Manifest
from dfd.tracks import FaceTrack
from dfd.video import write_video
from tests.conftest import tiny_experiment


def stored(home: Path, table: Table) -> None:
    """Put every corpus of a table where `dfd preprocess` would."""
    for corpus in sorted({clip.corpus for clip in table.manifest}):
        clips, folder = [], home / "data" / "faces" / corpus
        for row, clip in enumerate(table.manifest):
            if clip.corpus == corpus:
                path, crops = folder / f"{row}.mp4", table.values[table.rows[row]]
                write_video(path, crops, 25, **ENCODING)
                face = FaceClip(crops, _track(len(crops)), table.recipe, str(clip.path))
                path.with_suffix(".json").write_text(json.dumps(describe(face, source=str(clip.path), faces=1)))
                clips.append(replace(clip, path=path))
        Manifest(corpus, tuple(clips)).write(folder / "manifest.csv")


def experiment_file(path: Path, **changes: object) -> Path:
    """`tiny_experiment` as a file."""
    path.write_text(yaml.safe_dump(tiny_experiment(**changes).model_dump(mode="json")), encoding="utf-8")
    return path


def _track(frames: int) -> FaceTrack:
    return FaceTrack(
        boxes=np.tile(np.array([10, 10, 40, 40], np.float32), (frames, 1)),
        landmarks=np.zeros((frames, 5, 2), np.float32),
        times=np.arange(frames) / 25,
        indices=np.arange(frames),
        detected=np.ones(frames, np.bool_),
    )
