"""What an adapter found: the clips of a corpus, what its own lists name beside them, and what was not taken.

Folders are read with `os.scandir`, which asks nothing of a file but its name, so that a corpus of 128,000 clips is
listed in seconds. Links are followed.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest, Split
from dfd.splits import SHARES, divide

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
BESIDE_TEST: Mapping[Split, float] = {"train": 0.85, "val": 0.15}  # of what an official test split leaves

SplitBy = Literal["official", "identity"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What an adapter found under a root."""

    manifest: Manifest
    expected: int  # clips that the corpus's own lists and metadata name
    missing: tuple[str, ...]  # of those, the ones not on disk: paths relative to the root
    left_out: tuple[tuple[str, str], ...]  # path or clip id of what is on disk and not taken, and why
    notes: tuple[str, ...]  # what a user must know of this corpus

    @property
    def coverage(self) -> float:
        """Share of the expected clips that are on disk."""
        return 1 - len(self.missing) / self.expected

    @property
    def known(self) -> frozenset[str]:
        """Everything on disk by name, taken or not."""
        return frozenset(clip.clip_id for clip in self.manifest) | {name for name, _ in self.left_out}


class Disk:
    """The videos below a root, every file once; `left_out` names what cannot be a clip, and why.

    Raises:
        ManifestError: there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ManifestError(f"there is no folder {root}; name the one that holds the corpus")
        self.root = root.resolve()
        self.left_out: dict[str, str] = {}
        self._first: dict[str, str] = {}  # by real path, of files and folders: the name under which it was found

    def path(self, name: str) -> Path:
        """Where a file that `videos` named lies."""
        return Path(f"{self.root}/{name}")

    def folders(self, below: str = "") -> list[str]:
        """Names of the folders in a folder, sorted."""
        return [entry.name for entry in self._entries(below) if entry.is_dir()]

    def videos(self, below: str = "", *, deep: bool = False) -> Iterator[str]:
        """Paths of the videos in a folder, relative to the root; with `deep` of all folders below it too."""
        real = os.path.realpath(self.root / below)
        if not self._is_first(real, below):
            return
        for entry in self._entries(below):
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.is_file():
                if PurePosixPath(entry.name).suffix.lower() in SUFFIXES:
                    target = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
                    if self._is_first(target, name):
                        yield name
            elif entry.is_dir():
                if deep:
                    yield from self.videos(name, deep=True)
            elif entry.is_symlink():
                self.left_out[name] = f"it is a link to {os.readlink(entry.path)}, which is not there"

    def albums(self, below: str = "") -> Iterator[str]:
        """The folders at any depth that pictures lie in, relative to the root; not the root itself."""
        entries = self._entries(below)
        if below and any(PurePosixPath(entry.name).suffix.lower() in PICTURES for entry in entries):
            yield below
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():  # a link may lead up, and round
                yield from self.albums(f"{below}/{entry.name}".lstrip("/"))

    def _entries(self, below: str) -> list[os.DirEntry[str]]:
        """What is in a folder, sorted, but for hidden files (`._x.mp4` is macOS's shadow of x.mp4)."""
        try:
            with os.scandir(self.root / below) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            place = self.root / below
            raise ManifestError(f"{place} cannot be read ({error.strerror}); check its permissions") from None
        for name in (entry.name for entry in visible if not _is_text(entry.name)):
            shown = os.fsencode(name).decode(errors="backslashreplace")
            self.left_out[f"{below}/{shown}".lstrip("/")] = "its name is not UTF-8; rename it"
        return sorted((entry for entry in visible if _is_text(entry.name)), key=lambda entry: entry.name)

    def _is_first(self, real: str, name: str) -> bool:
        first = self._first.setdefault(real, name)
        if first != name:
            self.left_out[name] = f"it is the same as {first or self.root}"
        return first == name


def make_listing(
    disk: Disk,
    name: str,
    clips: Iterable[Clip],
    *,
    missing: Iterable[str] = (),
    notes: Iterable[str] = (),
    shares: Mapping[Split, float] = SHARES,
) -> Listing:
    """Divide the clips, and put together what became of everything that is on disk or should be.

    Raises:
        ManifestError: there is no clip.
    """
    found, gone = tuple(_unique(disk, clips)), tuple(sorted(set(missing)))
    if not found:
        example = next(iter(disk.left_out.items()), None)
        reason = f"; {example[0]}: {example[1]}" if example else f", such as {gone[0]}" if gone else ""
        raise ManifestError(f"{disk.root} has no clip of corpus '{name}'{reason}; check that it is the corpus's folder")
    divided = divide(Manifest(name, found), shares)
    left_out = (*disk.left_out.items(), *divided.left_out)
    notes = (*notes, *_one_sided(divided.manifest))
    return Listing(divided.manifest, len(found) + len(gone), gone, left_out, notes)


def _unique(disk: Disk, clips: Iterable[Clip]) -> Iterator[Clip]:
    """The first clip of each id: `000.mp4` and `000.avi` in one folder are one clip."""
    first: dict[str, Clip] = {}
    for clip in clips:
        if first.setdefault(clip.clip_id, clip) is clip:
            yield clip
        else:
            name = os.path.relpath(clip.path, disk.root)
            disk.left_out[name] = f"{first[clip.clip_id].path.name} is clip {clip.clip_id} already"


def _one_sided(manifest: Manifest) -> Iterator[str]:
    """What no detector can be trained or measured on."""
    present = {(clip.split, clip.label) for clip in manifest}
    expected = tuple(Label)
    if all(label is Label.REAL for _, label in present):
        yield "it has real clips alone, which serve for pseudo-fakes (`dfd train --pseudo-fakes`, `dfd pseudo-fakes`)"
        expected = (Label.REAL,)
    for split in SPLITS:
        for label in expected:
            if (split, label) not in present:
                yield f"the {split} split has no {label.word} clip"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
