"""FaceForensics++ (Roessler et al. 2019) as its download script leaves it, DeepFakeDetection's actors included.

`original_sequences/{youtube,actors}/QUALITY/videos` and `manipulated_sequences/METHOD/QUALITY/videos`; QUALITY is raw,
c23 or c40. A fake `AAA_BBB` is clip AAA (the target) with the face or motion of clip BBB (the source). The official
splits are lists of pairs, train.json, val.json and test.json, which lie in the authors' repository and not in the data.
An actor's clip is `AA__scene`, an actor's fake `AA_BB__scene__ID`; no official split has them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dfd.corpora.listing import Disk, Listing, SplitBy, make_listing
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Split

Compression = Literal["raw", "c23", "c40"]
COMPRESSIONS: tuple[Compression, ...] = ("raw", "c23", "c40")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
ACTORS = "DeepFakeDetection"
PUBLISHED: Mapping[Split, int] = {"train": 360, "val": 70, "test": 70}  # pairs
NEEDS = "original_sequences/ or manipulated_sequences/, as FaceForensics++'s download script makes them"

_NAMES = {
    "youtube": re.compile(r"(?P<target>\d{3})"),
    "actors": re.compile(r"(?P<target>\d{2})__.+"),
    "fake": re.compile(r"(?P<target>\d{3})_(?P<source>\d{3})"),
    ACTORS: re.compile(r"(?P<target>\d{2})_(?P<source>\d{2})__.+"),
}


def is_faceforensics(root: Path) -> bool:
    """Whether a folder is laid out like FaceForensics++."""
    return (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir()


def faceforensics(
    root: Path,
    *,
    name: str,
    split: SplitBy = "official",
    compression: Compression = "c23",
    methods: Sequence[str] | None = None,
    actors: bool = False,
    splits: Path | None = None,
) -> Listing:
    """The clips of one compression.

    Args:
        root: holds `original_sequences/` and `manipulated_sequences/`.
        name: of the corpus.
        split: by the official pair lists, or by identity, without them.
        compression: raw, c23 or c40.
        methods: of `METHODS`; by default those that are there.
        actors: take DeepFakeDetection's clips too; no official split has them, so that they are split by identity.
        splits: folder of the pair lists; by default the root, its `splits/` or its `dataset/splits/`.

    Raises:
        ManifestError: the pair lists are not there or contradict themselves, or a folder lacks the compression.
    """
    disk = Disk(root)
    if compression not in COMPRESSIONS:
        raise ManifestError(f"FaceForensics++ has no compression '{compression}'; it has {', '.join(COMPRESSIONS)}")
    pairs = _Pairs.read(disk.root, splits) if split == "official" else None
    groups, notes = _groups(disk, methods, actors)
    clips: list[Clip] = []
    found: dict[str, set[str]] = {}
    for group in groups:
        listed = list(_clips(disk, group, name, compression, pairs))
        found[group.folder] = {clip.clip_id for clip in listed}
        clips += listed
    missing = [
        f"{group.folder}/{compression}/videos/{stem}.mp4"
        for group in {YOUTUBE, *groups}
        if pairs and not group.of_actors
        for stem in (pairs.fakes if group.label is Label.FAKE else pairs.splits)
        if f"{group.method}/{compression}/{stem}" not in found.get(group.folder, ())
    ]
    return make_listing(disk, name, clips, missing=missing, notes=[*notes, *(pairs.notes if pairs else ())])


@dataclass(frozen=True, slots=True)
class _Group:
    """Clips of one folder."""

    folder: str  # below the root
    method: str
    label: Label
    of_actors: bool

    @property
    def form(self) -> re.Pattern[str]:
        """What its file names look like, without the suffix."""
        if self.label is Label.REAL:
            return _NAMES["actors" if self.of_actors else "youtube"]
        return _NAMES[ACTORS if self.of_actors else "fake"]


YOUTUBE = _Group("original_sequences/youtube", "original", Label.REAL, of_actors=False)


def _groups(disk: Disk, methods: Sequence[str] | None, actors: bool) -> tuple[list[_Group], list[str]]:
    """The folders to read, and what is to be said of those that are not."""
    unknown = sorted(set(methods or ()) - {*METHODS, ACTORS})
    if unknown:
        raise ManifestError(f"FaceForensics++ has no method '{unknown[0]}'; it has {', '.join((*METHODS, ACTORS))}")
    actors = actors or ACTORS in (methods or ())
    wanted = [method for method in METHODS if methods is None or method in methods] + [ACTORS] * actors
    groups = [YOUTUBE, *[_Group("original_sequences/actors", "original", Label.REAL, of_actors=True)] * actors]
    groups += [_Group(f"manipulated_sequences/{method}", method, Label.FAKE, method == ACTORS) for method in wanted]
    there = [group for group in groups if (disk.root / group.folder).is_dir()]
    absent = [group.folder for group in groups if group not in there]
    asked = [folder for folder in absent if methods and folder.rpartition("/")[2] in methods]
    if asked:
        raise ManifestError(f"there is no {disk.root / asked[0]}; download it, or leave it out of --methods")
    notes = [f"{folder} is not there" for folder in absent]
    if not actors and _has_actors(disk.root):
        notes.append(
            "the actors' clips (original_sequences/actors, DeepFakeDetection) are left out; --actors takes them"
        )
    if actors:
        notes.append("the actors' clips, which no official split has, are split by identity, into the test split too")
    return there, notes


def _has_actors(root: Path) -> bool:
    """Whether DeepFakeDetection, which came later, is there as well."""
    return (root / "original_sequences/actors").is_dir() or (root / "manipulated_sequences" / ACTORS).is_dir()


def _clips(disk: Disk, group: _Group, name: str, compression: Compression, pairs: "_Pairs | None") -> Iterator[Clip]:
    below = f"{group.folder}/{compression}/videos"
    if not (disk.root / below).is_dir():
        others = [other for other in COMPRESSIONS if (disk.root / group.folder / other / "videos").is_dir()]
        there = (
            f"there is {' and '.join(others)}, which `dfd corpora add --compression` takes"
            if others
            else "nor any other compression"
        )
        raise ManifestError(f"there is no {disk.root / below}, {there}; download it or name what is there")
    prefix = "ff-actor-" if group.of_actors else "ff-"
    for file in disk.videos(below):
        stem = file.rpartition("/")[2].rpartition(".")[0]
        match = group.form.fullmatch(stem)
        if match is None:
            disk.left_out[file] = "its name is not one that FaceForensics++ gives"
            continue
        people = match.groupdict(default="")
        official = None if pairs is None or group.of_actors else pairs.split_of(stem)
        if pairs and not group.of_actors and official is None:
            disk.left_out[file] = "it is in none of the official pair lists"
            continue
        yield Clip(
            corpus=name,
            clip_id=f"{'actors' if group.folder.endswith('actors') else group.method}/{compression}/{stem}",
            path=disk.path(file),
            label=group.label,
            method=group.method,
            compression=compression,
            target_identity=prefix + people["target"],
            source_identity=prefix + people["source"] if "source" in people else "",
            split=official or "train",
            official_split=official is not None,
        )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The official pair lists."""

    splits: Mapping[str, Split]  # of each clip of youtube
    fakes: frozenset[str]  # AAA_BBB and BBB_AAA of each pair
    notes: tuple[str, ...]

    def split_of(self, stem: str) -> Split | None:
        """The split of a clip or a fake, by its name; None where no list has it."""
        return self.splits.get(stem[:3]) if "_" not in stem or stem in self.fakes else None

    @classmethod
    def read(cls, root: Path, given: Path | None) -> "_Pairs":
        """Read the lists, from the folder that was given or where they may lie.

        Raises:
            ManifestError: they are not there, are no lists of pairs, or have a clip in two splits.
        """
        places = [given] if given else [root, root / "splits", root / "dataset" / "splits"]
        place = next((place for place in places if any((place / f"{split}.json").is_file() for split in SPLITS)), None)
        if place is None:
            raise ManifestError(
                f"train.json, val.json and test.json, FaceForensics++'s official splits, are not in "
                f"{' or '.join(map(str, places))}; take them from dataset/splits of "
                "https://github.com/ondyari/FaceForensics and put them there, or use `dfd corpora add` with --splits, "
                "which names their folder, or with --split identity"
            )
        found: dict[str, Split] = {}
        fakes: set[str] = set()
        notes = []
        for split in SPLITS:
            pairs = _read_pairs(place / f"{split}.json")
            if len(pairs) != PUBLISHED[split]:
                notes.append(f"{split}.json has {len(pairs)} pairs; the published one has {PUBLISHED[split]}")
            for first, second in pairs:
                for person in (first, second):
                    if found.setdefault(person, split) != split:
                        raise ManifestError(f"{place} has clip '{person}' in {found[person]}.json and in {split}.json")
                fakes |= {f"{first}_{second}", f"{second}_{first}"}
        return cls(found, frozenset(fakes), tuple(notes))


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(first, str) and isinstance(second, str) for first, second in pairs):
            raise ValueError("a pair is two names in quotes")
        return [(first, second) for first, second in pairs]
    except (OSError, ValueError, TypeError) as error:
        raise ManifestError(f"{path} is not a list of pairs ({error}); take it anew from the authors") from None
