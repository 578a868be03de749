"""The table of a corpus's clips: one row a clip, one schema, and the check that no identity is in two splits."""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.paths import atomic_file
from dfd.provenance import file_digest

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
ATTRIBUTE = "attribute."  # before the name of a column that is not in the schema


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled video file.

    `clip_id` is unique within its corpus, methods and compressions included (`swap/id007`, not `id007`), so that the
    same pair of people under four methods stays four clips. A fake has a target (whose clip it was) and a source (whose
    face or motion was put in); a real clip has a target only. Identity names are global: an adapter prefixes its own
    (`ff-000`), so that a person keeps one name, and one split, across corpora.
    """

    corpus: str
    clip_id: str
    path: Path
    label: Label
    method: str  # "original" for a real clip
    compression: str  # "raw", "c23", "c40" or ""
    target_identity: str
    source_identity: str  # "" when there is none
    split: Split
    official_split: bool
    frames: int | None = None  # of the video; of a face-only video its crops, 0 where no face came of the clip
    attributes: tuple[tuple[str, str], ...] = ()  # what else is known, as ("gender", "female"): by name, no value ""

    @property
    def identities(self) -> frozenset[str]:
        """Everybody whose face went into the clip."""
        return frozenset(name for name in (self.target_identity, self.source_identity) if name)


COLUMNS = (
    "corpus",
    "clip_id",
    "path",
    "label",
    "method",
    "compression",
    "target_identity",
    "source_identity",
    "split",
    "official_split",
    "frames",
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A corpus's clips, in a fixed order."""

    name: str
    clips: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def split(self, split: Split) -> "Manifest":
        """The clips of one split."""
        return replace(self, clips=tuple(clip for clip in self.clips if clip.split == split))

    def asked(self, split: Split) -> "Manifest":
        """The clips of one split, of which there must be some.

        Raises:
            ManifestError: it has none.
        """
        clips = self.split(split)
        if not len(clips):
            raise ManifestError(f"corpus '{self.name}' has no {split} clips")
        return clips

    def of_both_classes(self) -> "Manifest":
        """Return self if there are real and fake clips in it, as training and every figure need.

        Raises:
            ManifestError: there are clips of one class alone.
        """
        there = {clip.label for clip in self.clips}
        if there == {Label.REAL}:
            raise ManifestError(
                f"corpus '{self.name}' has real clips alone, and a detector is trained and measured on fakes too; make "
                "fakes of them (`dfd train --pseudo-fakes`, or `dfd pseudo-fakes`), or name a corpus that has some"
            )
        if there == {Label.FAKE}:
            raise ManifestError(
                f"corpus '{self.name}' has fakes alone, and a detector is trained and measured on real clips too; name "
                "a corpus that has some"
            )
        return self

    def map(self, change: Callable[[Clip], Clip]) -> "Manifest":
        """The same manifest with every clip changed."""
        return replace(self, clips=tuple(change(clip) for clip in self.clips))

    def digest(self) -> str:
        """sha256 over every column but the path: what the data is, wherever it lies. First 16 hex digits."""
        digest = hashlib.sha256(self.name.encode())
        for clip in sorted(self.clips, key=lambda clip: (clip.corpus, clip.clip_id)):
            row = _row(clip, "")
            told = [row[name] for name in COLUMNS if name != "path"]  # without attributes as before there were any
            digest.update("\x1f".join([*told, *(f"{name}={value}" for name, value in clip.attributes)]).encode())
        return digest.hexdigest()[:16]

    def content(self) -> str:
        """`digest`, and the bytes of every clip's file: what is read from it. First 16 hex digits of a sha256.

        A clip that was replaced under its old id and length has the old digest and another content.
        """
        clips = sorted(self.clips, key=lambda clip: (clip.corpus, clip.clip_id))
        files = ["" if clip.frames == 0 else file_digest(clip.path) for clip in clips]
        return hashlib.sha256("\n".join([self.digest(), *files]).encode()).hexdigest()[:16]

    def check(self) -> "Manifest":
        """Return self if it is sound.

        Raises:
            ManifestError: no clips, a clip id twice, or an identity (target or source) in two splits.
        """
        if not self.clips:
            raise ManifestError(f"corpus '{self.name}' has no clips")
        seen: set[tuple[str, str]] = set()
        where: dict[str, set[str]] = defaultdict(set)
        for clip in self.clips:
            if (clip.corpus, clip.clip_id) in seen:
                raise ManifestError(
                    f"corpus '{clip.corpus}' has the clip id '{clip.clip_id}' twice; ids must be unique"
                )
            seen.add((clip.corpus, clip.clip_id))
            for identity in clip.identities:
                where[identity].add(clip.split)
        leaks = sorted(identity for identity, splits in where.items() if len(splits) > 1)
        if leaks:
            raise ManifestError(
                f"corpus '{self.name}' leaks {len(leaks)} identities between splits, for example '{leaks[0]}' "
                f"({' and '.join(sorted(where[leaks[0]]))}); give each identity, target or source, one split"
            )
        return self

    def write(self, path: Path) -> None:
        """Write as CSV, clip paths relative to the file's folder where they lie under it, attributes as columns."""
        base, resolve = os.path.join(os.path.realpath(path.parent), ""), _resolver()
        more = sorted({f"{ATTRIBUTE}{name}" for clip in self.clips for name, _ in clip.attributes})
        with atomic_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*COLUMNS, *more], restval="")
            writer.writeheader()
            writer.writerows(_row(clip, resolve(clip.path).removeprefix(base)) for clip in self.clips)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest that `Manifest.write` wrote, or a person in its columns.

    Raises:
        ManifestError: the file is missing, lacks a column, or has a value that is not allowed (the line is named).
    """
    if not path.is_file():
        raise ManifestError(f"there is no manifest at {path}; make it with `dfd preprocess` or `dfd sample`")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise ManifestError(f"{path} lacks the column '{missing[0]}'; a manifest has {', '.join(COLUMNS)}")
            resolve = _resolver()
            more = [name for name in reader.fieldnames or [] if name.startswith(ATTRIBUTE)]
            clips = [_clip(row, more, path, line, resolve) for line, row in enumerate(reader, start=2)]
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 text ({error.reason}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise ManifestError(f"{path} is not a CSV file ({error}); save it as CSV in UTF-8") from None
    return Manifest("+".join(dict.fromkeys(clip.corpus for clip in clips)) or path.parent.name, tuple(clips))


def attributes(row: Mapping[str, str], columns: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What those of the columns that are attributes say of a clip; one that says nothing is left out."""
    told = {name.removeprefix(ATTRIBUTE): row.get(name) for name in columns if name.startswith(ATTRIBUTE)}
    return tuple(sorted((name, value) for name, value in told.items() if value))


def merge(manifests: Iterable[Manifest]) -> Manifest:
    """Several corpora as one, named `first+second`; a clip is then known by corpus and clip id together."""
    parts = list(manifests)
    return Manifest("+".join(part.name for part in parts), tuple(clip for part in parts for clip in part))


def _resolver() -> Callable[[str | Path], str]:
    """Make paths absolute; links are followed in each folder once, not for each clip, and a clip may be a link."""
    folder_of = cache(os.path.realpath)

    def resolve(path: str | Path) -> str:
        folder, name = os.path.split(path)
        return os.path.join(folder_of(folder), name) if name not in ("", ".", "..") else os.path.realpath(path)

    return resolve


def _row(clip: Clip, path: str) -> dict[str, str]:
    row = {
        "corpus": clip.corpus,
        "clip_id": clip.clip_id,
        "path": path.replace(os.sep, "/"),
        "label": clip.label.word,
        "method": clip.method,
        "compression": clip.compression,
        "target_identity": clip.target_identity,
        "source_identity": clip.source_identity,
        "split": clip.split,
        "official_split": "yes" if clip.official_split else "no",
        "frames": "" if clip.frames is None else str(clip.frames),
    }
    return row | {f"{ATTRIBUTE}{name}": value for name, value in clip.attributes}


def _yes(word: str) -> bool:
    if word not in ("yes", "no"):
        raise ValueError(f"official_split is yes or no, not '{word}'")
    return word == "yes"


def _frames(count: str) -> int | None:
    if count and int(count) < 0:
        raise ValueError(f"frames cannot be '{count}'")
    return int(count) if count else None


def _clip(
    row: dict[str, str], more: Iterable[str], path: Path, line: int, resolve: Callable[[str | Path], str]
) -> Clip:
    try:
        split = row["split"]
        if split not in SPLITS:
            raise ValueError(f"'{split}' is not one of {', '.join(SPLITS)}")
        return Clip(
            corpus=row["corpus"],
            clip_id=row["clip_id"],
            path=Path(resolve(path.parent / row["path"])),
            label=Label.parse(row["label"]),
            method=row["method"],
            compression=row["compression"],
            target_identity=row["target_identity"],
            source_identity=row["source_identity"],
            split=split,
            official_split=_yes(row["official_split"]),
            frames=_frames(row["frames"]),
            attributes=attributes(row, more),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path} line {line}: {error}") from None
