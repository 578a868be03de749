"""A folder of one's own clips: `real/` and `fake/`, any depth below them; or real clips alone."""

from pathlib import Path, PurePosixPath

from dfd.corpora.listing import SUFFIXES, Disk, Listing, SplitBy, make_listing
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Clip

NEEDS = "real/ and fake/, or real clips alone, in real/ or by themselves"


def is_folder(root: Path) -> bool:
    """Whether a folder has `real/` and `fake/`."""
    return all((root / label.word).is_dir() for label in Label)


def has_real_alone(root: Path) -> bool:
    """Whether all videos below a folder lie in its `real/`, or all directly in it, and it has no `fake/`."""
    if (root / Label.FAKE.word).is_dir():
        return False
    places = {file.partition("/")[0] if "/" in file else "" for file in Disk(root).videos(deep=True)}
    return places in ({Label.REAL.word}, {""})


def folder(root: Path, *, name: str, split: SplitBy = "official") -> Listing:
    """The clips under `root/real` and `root/fake`, split by identity, since a folder has no official split.

    A clip's identity is its file's stem and the folder's name, so `real/ann.mp4` and `fake/swap/ann.mp4` are one person
    and share a split, and the `0001.mp4` of two folders are two people. A fake's method is the folder it lies in below
    `fake/`, or "fake". Of a folder that has real clips alone pseudo-fakes can be made.

    Raises:
        ManifestError: there is no such folder, or no video under `real/` or `fake/`, and it is not one of real clips
            alone.
    """
    disk = Disk(root)
    notes = ["there is no official split: clips are split by identity"] if split == "official" else []
    if has_real_alone(root):
        clips = [_clip(disk, name, file, Label.REAL) for file in disk.videos(deep=True)]
        notes.append("there is no fake/: every video is taken for a real clip")
        return make_listing(disk, name, clips, notes=notes)
    clips = []
    for label in Label:
        files = list(disk.videos(label.word, deep=True)) if (disk.root / label.word).is_dir() else []
        if not files:
            suffixes = ", ".join(sorted(SUFFIXES))
            raise ManifestError(f"{disk.root} has no video under {label.word}/; put at least one there ({suffixes})")
        clips += [_clip(disk, name, file, label) for file in files]
    return make_listing(disk, name, clips, notes=notes)


def _clip(disk: Disk, name: str, file: str, label: Label) -> Clip:
    place = PurePosixPath(file)
    return Clip(
        corpus=name,
        clip_id=file,
        path=disk.path(file),
        label=label,
        method="original" if label is Label.REAL else _method(place.parent.relative_to(label.word)),
        compression="",
        target_identity=f"{disk.root.name}-{place.stem}",
        source_identity="",
        split="train",
        official_split=False,
    )


def _method(below: PurePosixPath) -> str:
    return below.as_posix() if below != PurePosixPath() else "fake"
