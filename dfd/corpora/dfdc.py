"""The Deepfake Detection Challenge (Dolhansky et al. 2020): the full set, Kaggle's sample of it, and the preview.

A part of the full set, and the sample, is a folder with `metadata.json`: `{"x.mp4": {"label": "FAKE", "split": "train",
"original": "y.mp4"}}`. Who is seen is not published, so that a clip and the fakes made of it are one identity, and one
person is many. In some fakes only the voice was changed (`dfdc_audio.py`).

The preview (2019) is a folder with `dataset.json`: `{"method_A/1/1_C/2_1_C_001.mp4": {"label": "fake", "set": "train",
"target_id": "1", "swapped_id": "2"}}`: clip 1_C of person 1, with the face of person 2. Its people are known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd.corpora import dfdc_audio
from dfd.corpora.listing import BESIDE_TEST, Disk, Listing, SplitBy, make_listing
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import Clip, Split
from dfd.progress import Progress, silent
from dfd.splits import SHARES

METADATA, PREVIEW = "metadata.json", "dataset.json"
SPLIT_WORDS: Mapping[str, Split] = {"train": "train", "val": "val", "validation": "val", "test": "test"}
PREVIEW_PARTS = ("original_videos", "method_A", "method_B")
NEEDS = "folders with DFDC's metadata.json (dfdc_train_part_0/ and so on), or the preview's dataset.json and method_A/"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the metadata say of a clip."""

    file: str  # path relative to the root
    label: Label
    method: str
    split: Split
    target: str  # identity
    source: str = ""
    original: str = ""  # clip id of the clip that a fake was made of, "" where it is not said

    @property
    def clip_id(self) -> str:
        return f"{self.method}/{self.file.rpartition('/')[2].rpartition('.')[0]}"


def is_dfdc(root: Path) -> bool:
    """Whether a folder is laid out like DFDC or its preview."""
    return _is_preview(root) or bool(_parts(Disk(root)))


def _is_preview(root: Path) -> bool:
    return (root / PREVIEW).is_file() and any((root / part).is_dir() for part in PREVIEW_PARTS)


def dfdc(
    root: Path, *, name: str, split: SplitBy = "official", drop_audio_altered: bool = False, progress: Progress = silent
) -> Listing:
    """The clips that the metadata name and that are on disk.

    Args:
        root: of the full set or some parts of it, of one part, of Kaggle's sample, or of the preview.
        name: of the corpus.
        split: the official test split is kept where there is one (of the preview); else all is split by identity.
        drop_audio_altered: leave out fakes whose picture is their original's, as the published work did; every fake
            and original is looked at, once.
        progress: told while they are.

    Raises:
        ManifestError: metadata that cannot be read or contradict themselves, or no clip that they name.
    """
    disk = Disk(root)
    preview = _is_preview(disk.root)
    if preview and drop_audio_altered:
        raise ManifestError(
            f"{disk.root} is the DFDC preview, whose fakes are all altered in their picture; add it without "
            "--drop-audio-altered"
        )
    entries, found = _read_preview(disk) if preview else _read_parts(disk)
    official = _official(entries) if split == "official" else frozenset()
    there = [entry for entry in entries if entry.file in found]
    notes = _notes(preview, official)
    if drop_audio_altered:
        there = _altered_in_picture(there, disk, notes, progress)
    clips = [_clip(entry, disk, name, official) for entry in there]
    missing = [entry.file for entry in entries if entry.file not in found]
    shares = BESIDE_TEST if official else SHARES
    return make_listing(disk, name, clips, missing=missing, notes=notes, shares=shares)


def _official(entries: list[_Entry]) -> frozenset[Split]:
    """The splits that stand as published: all, or only the test split where no validation split goes with it."""
    named = {entry.split for entry in entries}
    return frozenset(named if "val" in named else named & {"test"}) if "test" in named else frozenset()


def _altered_in_picture(entries: list[_Entry], disk: Disk, notes: list[str], progress: Progress) -> list[_Entry]:
    """The entries without the fakes of which only the voice was changed."""
    files = {entry.clip_id: disk.path(entry.file) for entry in entries}
    fakes = [entry for entry in entries if entry.label is Label.FAKE]
    pairs = {files[entry.clip_id]: files[entry.original] for entry in fakes if entry.original in files}
    differences = dfdc_audio.differences(pairs, progress)
    same = {path for path, difference in differences.items() if difference < dfdc_audio.LIMIT}
    for entry in fakes:
        if files[entry.clip_id] in same:
            disk.left_out[entry.clip_id] = "its picture is its original's: only the voice was changed"
    if len(pairs) < len(fakes):
        notes.append(f"{len(fakes) - len(pairs)} fakes were taken unseen: their originals are not on disk")
    if len(differences) < len(pairs):
        notes.append(f"{len(pairs) - len(differences)} fakes were taken unseen: they or their originals do not decode")
    return [entry for entry in entries if files[entry.clip_id] not in same]


def _notes(preview: bool, official: frozenset[Split]) -> list[str]:
    notes = []
    if not preview:
        notes.append(
            "DFDC does not say who is seen: clips are grouped by their original, and one person may be in two splits "
            "under different originals"
        )
    if official and "val" not in official:
        notes.append("there is no official validation split: one is cut from the published training clips")
    if not official:
        notes.append("clips are split by identity: the metadata here name no test split")
    return notes


def _clip(entry: _Entry, disk: Disk, name: str, official: frozenset[Split]) -> Clip:
    return Clip(
        corpus=name,
        clip_id=entry.clip_id,
        path=disk.path(entry.file),
        label=entry.label,
        method=entry.method,
        compression="",
        target_identity=entry.target,
        source_identity=entry.source,
        split=entry.split if entry.split in official else "train",
        official_split=entry.split in official,
    )


def _parts(disk: Disk) -> list[str]:
    """The folders with metadata, at most two below the root: archives unpack to part_00/dfdc_train_part_0."""
    found: list[str] = []
    waiting = [("", 0)]
    for below, depth in waiting:
        if (disk.root / below / METADATA).is_file():
            found.append(below)
            continue
        if below and any(disk.videos(below)):
            disk.left_out[below] = f"it has videos and no {METADATA}"
        if depth < 2:
            waiting += [(f"{below}/{folder}".lstrip("/"), depth + 1) for folder in disk.folders(below)]
    return found


def _read_parts(disk: Disk) -> tuple[list[_Entry], set[str]]:
    """Entries of all parts, and the files on disk that they name."""
    entries: dict[str, _Entry] = {}
    found: set[str] = set()
    for part in _parts(disk):
        there = set(disk.videos(part))
        path = disk.root / part / METADATA
        for video, facts in _read_json(path, disk).items():
            entry = _part_entry(path, f"{part}/{video}".lstrip("/"), facts)
            first = entries.setdefault(video, entry)
            if first is entry:
                found |= {entry.file} & there
            elif entry.file in there:
                disk.left_out[entry.file] = f"{first.file} has the same name"
            there.discard(entry.file)
        disk.left_out |= dict.fromkeys(there, f"{METADATA} beside it does not name it")
    return list(entries.values()), found


def _part_entry(path: Path, file: str, facts: Mapping[str, Any]) -> _Entry:
    stem = file.rpartition("/")[2].rpartition(".")[0]
    try:
        original = (facts.get("original") or "").rpartition(".")[0]
        label = Label.parse(facts["label"])
        split = SPLIT_WORDS[facts.get("split", "train")]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: '{file}' has no label FAKE or REAL, or an odd split ({error})") from None
    if label is Label.REAL:
        return _Entry(file, label, "original", split, f"dfdc-{stem}")
    made_of = f"original/{original}" if original else ""
    return _Entry(file, label, "dfdc", split, f"dfdc-{original or stem}", original=made_of)


def _read_preview(disk: Disk) -> tuple[list[_Entry], set[str]]:
    path = disk.root / PREVIEW
    entries = [_preview_entry(path, file, facts) for file, facts in _read_json(path, disk).items()]
    there = {file for folder in disk.folders() for file in disk.videos(folder, deep=True)}
    found = there & {entry.file for entry in entries}
    disk.left_out |= dict.fromkeys(there - found, f"{PREVIEW} does not name it")
    return entries, found


def _preview_entry(path: Path, file: str, facts: Mapping[str, Any]) -> _Entry:
    try:
        label, split = Label.parse(facts["label"]), SPLIT_WORDS[facts["set"]]
        target, source = str(facts["target_id"]), str(facts.get("swapped_id") or "")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ManifestError(f"{path}: '{file}' lacks label, set or target_id, or has an odd one ({error})") from None
    method = file.partition("/")[0] if label is Label.FAKE else "original"
    return _Entry(file, label, method, split, f"dfdcp-{target}", f"dfdcp-{source}" if source else "")


def _read_json(path: Path, disk: Disk) -> dict[str, Mapping[str, Any]]:
    """A JSON object of objects; a name that is in it twice is named in `left_out`, and its first entry stands."""

    def first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in pairs:
            if key in kept and isinstance(value, dict):
                name = (path.parent / key).relative_to(disk.root).as_posix()
                disk.left_out[name] = f"{path.name} names it twice; its first entry stands"
            kept.setdefault(key, value)
        return kept

    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=first_of_each)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); download it again") from None
    if not isinstance(found, dict) or not all(isinstance(facts, dict) for facts in found.values()):
        raise ManifestError(f"{path} is no table of clips, such as {{'x.mp4': {{'label': 'FAKE'}}}}; download it again")
    return found
