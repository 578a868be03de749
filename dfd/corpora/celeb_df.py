"""Celeb-DF, version 1 or 2 (Li et al. 2020), as it comes: Celeb-real, Celeb-synthesis, YouTube-real and a test list.

A fake `idX_idY_ZZZZ` is clip `Celeb-real/idX_ZZZZ` with Y's face: X is the target, Y the source. The authors do not
say so, but those who pair fakes with their originals find the same frames there (SIDA's preparation of the corpus, the
README of DeepFake-Generation-Celeb-DF-v2). Nobody is named in YouTube-real: every clip is a person of its own.

`List_of_testing_videos.txt` has lines such as `1 Celeb-real/id1_0007.mp4`, in which **1 is real**. There is no official
training or validation split, and the people of the test list are in most other clips too: a fake of somebody in it
cannot be trained on.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dfd.corpora.listing import BESIDE_TEST, Disk, Listing, SplitBy, make_listing
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Clip
from dfd.splits import SHARES

TEST_LIST = "List_of_testing_videos.txt"
LABELS: Mapping[str, Label] = {"Celeb-real": Label.REAL, "YouTube-real": Label.REAL, "Celeb-synthesis": Label.FAKE}
PUBLISHED: Mapping[int, Mapping[str, int]] = {
    1: {"Celeb-real": 158, "YouTube-real": 250, "Celeb-synthesis": 795},
    2: {"Celeb-real": 590, "YouTube-real": 300, "Celeb-synthesis": 5639},
}
NEEDS = "Celeb-real/, Celeb-synthesis/ or YouTube-real/"

_NAMES = {
    "Celeb-real": re.compile(r"(?P<target>id\d+)_\d+"),
    "Celeb-synthesis": re.compile(r"(?P<target>id\d+)_(?P<source>id\d+)_\d+"),
    "YouTube-real": re.compile(r"(?P<target>\d+)"),
}


def is_celeb_df(root: Path) -> bool:
    """Whether a folder is laid out like Celeb-DF."""
    return bool(_folders(Disk(root)))


def celeb_df(root: Path, *, name: str, split: SplitBy = "official") -> Listing:
    """The clips of either version.

    With the official split the listed clips are the test split, other clips of their people are left out, and the rest
    is divided into training and validation.

    Raises:
        ManifestError: the test list is missing, cannot be read, or contradicts the folder that a clip lies in.
    """
    disk = Disk(root)
    folders = _folders(disk)
    test = _read_test_list(disk.root / TEST_LIST) if split == "official" else {}
    clips = [clip for folder in folders for clip in _clips(disk, folder, folders[folder], name, test)]
    there = {clip.clip_id for clip in clips}
    missing = [path for clip_id, path in test.items() if clip_id not in there]
    notes = [_version_note(disk.root, clips)]
    if split == "official":
        notes.append(
            "there is no official training or validation split, and people of the test list recur outside it: "
            "those clips are left out; --split identity takes them and gives the test list up"
        )
    shares = BESIDE_TEST if split == "official" else SHARES
    return make_listing(disk, name, clips, missing=missing, notes=notes, shares=shares)


def _folders(disk: Disk) -> dict[str, str]:
    """Where the clips of each part lie, by its published name; some copies spell it otherwise or add `videos/`."""
    spelt = {folder.lower(): folder for folder in disk.folders()}
    there = {part: spelt[part.lower()] for part in LABELS if part.lower() in spelt}
    return {
        part: f"{folder}/videos" if (disk.root / folder / "videos").is_dir() else folder
        for part, folder in there.items()
    }


def _clips(disk: Disk, part: str, below: str, name: str, test: Mapping[str, str]) -> Iterator[Clip]:
    for file in disk.videos(below):
        stem = file.rpartition("/")[2].rpartition(".")[0]
        match = _NAMES[part].fullmatch(stem)
        if match is None:
            disk.left_out[file] = f"its name is not one that Celeb-DF gives in {part}"
            continue
        people = match.groupdict(default="")
        clip_id = f"{part}/{stem}"
        yield Clip(
            corpus=name,
            clip_id=clip_id,
            path=disk.path(file),
            label=LABELS[part],
            method=part if LABELS[part] is Label.FAKE else "original",
            compression="",
            target_identity=f"celeb-youtube-{stem}" if part == "YouTube-real" else f"celeb-{people['target']}",
            source_identity=f"celeb-{people['source']}" if "source" in people else "",
            split="test" if clip_id in test else "train",
            official_split=clip_id in test,
        )


def _read_test_list(path: Path) -> dict[str, str]:
    """Path of each test clip, by clip id."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ManifestError(
            f"there is no {path}, Celeb-DF's official test split; download it, or split by identity with "
            "`dfd corpora add --split identity`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); download it again") from None
    entries = [_entry(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return dict(entries)


def _entry(path: Path, number: int, line: str) -> tuple[str, str]:
    """Clip id and path of a line of the test list."""
    flag, _, file = line.strip().partition(" ")
    part, _, video = file.strip().rpartition("/")
    if flag not in ("0", "1") or part not in LABELS:
        raise ManifestError(
            f"{path} line {number}: '{line.strip()}' is not a flag and a clip, such as '1 Celeb-real/id1_0007.mp4'; "
            "download the list again"
        )
    if (flag == "1") != (LABELS[part] is Label.REAL):
        raise ManifestError(
            f"{path} line {number}: the flag {flag} says that {file} is {'real' if flag == '1' else 'fake'} (1 is "
            f"real), but clips of {part} are {LABELS[part].word}; download the list again"
        )
    return f"{part}/{video.rpartition('.')[0]}", file.strip()


def _version_note(root: Path, clips: list[Clip]) -> str:
    """Which version this is, by the folder's name or by what only one can hold, beside what was published of it."""
    counts = {part: sum(clip.clip_id.startswith(f"{part}/") for clip in clips) for part in LABELS}
    named = re.search(r"v([12])\b", root.name, re.IGNORECASE)
    if named:
        version = int(named[1])
    elif any(counts[part] > PUBLISHED[1][part] for part in LABELS):
        version = 2
    elif counts == PUBLISHED[1]:
        version = 1
    else:
        return "whether this is Celeb-DF v1 or a part of v2 cannot be told: its folder's name has no v1 or v2 in it"
    said = ", ".join(f"{counts[part]} of {PUBLISHED[version][part]} {part}" for part in LABELS)
    return f"Celeb-DF v{version}: {said} clips are there"
