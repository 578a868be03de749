"""A home with corpora for tests of what is shown of them: real manifests, face-only videos without MTCNN's work."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfd.corpora import registry
from dfd.data import Table
from dfd.face_only import ENCODING, describe
from dfd.faces import FaceClip
from dfd.manifest import Clip, Manifest, read_manifest
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack
from dfd.video import write_video
from tests import corpora_trees

RECIPE = CropRecipe(size=32, max_frames=8)


def added(tree: Path, name: str = "swaps", *, people: int = 12) -> Manifest:
    """A folder with real/ and fake/swap/, everybody once in each, added under a name."""
    return registry.add(name, corpora_trees.folder(tree, people=people)).manifest()


def preprocessed(home: Path, manifest: Manifest, *, faceless: Sequence[str] = (), width: float = 80.0) -> Path:
    """As `dfd preprocess` leaves a corpus: the n-th face-only video has 2 + n % 7 frames and a level of its own."""
    folder = home / "data" / "faces" / manifest.name
    clips = list(_cut(folder, manifest, faceless, width))
    Manifest(manifest.name, tuple(clips)).write(folder / "manifest.csv")
    report(folder, failures=[(clip_id, "no face was found") for clip_id in faceless])
    return folder


def stored(home: Path, table: Table) -> None:
    """A table's crops, cut by `RECIPE`, as face-only videos of its corpora: what training reads."""
    for corpus in {clip.corpus: None for clip in table.manifest}:
        part, folder = table.where(corpus=corpus), home / "data" / "faces" / corpus
        clips = []
        for number, clip in enumerate(part.manifest):
            path = folder / "clips" / f"{number}.mp4"
            _write(path, part.frames(number, np.arange(part.lengths[number])), 80.0, str(clip.path))
            clips.append(replace(clip, path=path))
        Manifest(corpus, tuple(clips)).write(folder / "manifest.csv")


def report(folder: Path, *, failures: Iterable[tuple[str, str]] = (), copies: Iterable[Sequence[str]] = ()) -> None:
    """What preprocessing says of a corpus."""
    facts = {"failures": list(failures), "copies": [list(same) for same in copies]}
    (folder / "report.json").write_text(json.dumps(facts), encoding="utf-8")


def rewrite(manifest: Path, **changes: str) -> None:
    """Change columns of a manifest's first clip, as an editor would."""
    first, *rest = read_manifest(manifest).clips
    Manifest(first.corpus, (replace(first, **changes), *rest)).write(manifest)


def _cut(folder: Path, manifest: Manifest, faceless: Sequence[str], width: float) -> Iterator[Clip]:
    for number, clip in enumerate(manifest):
        if clip.clip_id in faceless:
            yield replace(clip, frames=0)
            continue
        path, frames = folder / "clips" / f"{number}.mp4", 2 + number % 7
        _write(path, np.full((frames, 32, 32, 3), 40 + 5 * number % 200, np.uint8), width + number, str(clip.path))
        yield replace(clip, path=path, frames=frames)


def _write(path: Path, crops: NDArray[np.uint8], width: float, source: str) -> None:
    write_video(path, crops, 25, **ENCODING)
    face = FaceClip(crops, _track(len(crops), width), RECIPE, source)
    path.with_suffix(".json").write_text(json.dumps(describe(face, source=source, faces=1)))


def _track(frames: int, width: float) -> FaceTrack:
    return FaceTrack(
        boxes=np.tile(np.array([10, 10, 10 + width, 120], np.float32), (frames, 1)),
        landmarks=np.zeros((frames, 5, 2), np.float32),
        times=1 + np.arange(frames) / 25,
        indices=25 + np.arange(frames),
        detected=np.ones(frames, np.bool_),
    )
