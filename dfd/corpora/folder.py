"""A folder of one's own clips: `real/` and `fake/`, any depth below them."""

import hashlib
from pathlib import Path

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, Split

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif"}
SHARES: tuple[tuple[Split, float], ...] = (("train", 0.7), ("val", 0.15), ("test", 0.15))


def folder(root: Path) -> Manifest:
    """The clips under `root/real` and `root/fake`.

    A clip's identity is its file's stem, so `real/ann.mp4` and `fake/swap/ann.mp4` are one person and share a split.
    Splits follow a hash of the identity: they stay as they are when clips are added. A fake's method is the folder it
    lies in below `fake/`, or "fake".

    Raises:
        ManifestError: there is no such folder, or no video under `real/` or `fake/`.
    """
    if not root.is_dir():
        raise ManifestError(f"there is no folder {root}; name one that has real/ and fake/ in it")
    clips = [clip for label in Label for clip in _clips(root, label)]
    for label in Label:
        if not any(clip.label is label for clip in clips):
            raise ManifestError(
                f"{root} has no video under {label.word}/; put at least one there ({', '.join(sorted(SUFFIXES))})"
            )
    return Manifest(root.resolve().name, tuple(clips))


def _clips(root: Path, label: Label) -> list[Clip]:
    top = root / label.word
    files = sorted(path for path in top.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [
        Clip(
            corpus=root.resolve().name,
            clip_id=path.relative_to(root).as_posix(),
            path=path.resolve(),
            label=label,
            method=_method(path.relative_to(top), label),
            compression="",
            target_identity=path.stem,
            source_identity="",
            split=split_of(path.stem),
            official_split=False,
        )
        for path in files
    ]


def _method(below: Path, label: Label) -> str:
    if label is Label.REAL:
        return "original"
    return below.parent.as_posix() if below.parent != Path() else "fake"


def split_of(identity: str) -> Split:
    """The split of an identity: the same on every machine, whatever else is in the corpus."""
    place = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) / 2**64
    for split, share in SHARES:
        if place < share:
            return split
        place -= share
    return "test"
