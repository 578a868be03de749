"""Corpora that were added: what a folder held, read and divided once, under a name.

`data/corpora/NAME/` has `manifest.csv`, `corpus.json` (where it is and how it was read) and `listing.json` (what was
missing or not taken). The sample corpora are listed as well, without having been added.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dfd.corpora import kinds
from dfd.corpora.kinds import Options
from dfd.corpora.listing import Listing
from dfd.errors import ManifestError
from dfd.manifest import Manifest, read_manifest
from dfd.paths import atomic_dir, data_dir
from dfd.progress import Progress, silent

SAMPLE = "sample"  # the kind of the corpora that dfd makes
AS_USUAL = Options()


@dataclass(frozen=True, slots=True)
class Registered:
    """A corpus under its name."""

    name: str
    kind: str  # of `kinds.KINDS`, or `SAMPLE`
    root: Path
    options: Options
    added: str  # UTC, ISO 8601; "" for a sample corpus
    folder: Path  # with manifest.csv
    digest: str  # of the manifest, when it was added
    clips: int
    expected: int  # that its own lists name
    missing: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def coverage(self) -> float:
        """Share of the expected clips that were on disk."""
        return 1 - len(self.missing) / self.expected

    def manifest(self) -> Manifest:
        """Its clips.

        Raises:
            ManifestError: the manifest is gone or cannot be read.
        """
        return read_manifest(self.folder / "manifest.csv")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a registered corpus is today."""

    name: str
    leak: str  # what the leak check says; "" when nobody is in two splits
    edited: bool  # its manifest is not the one that was written
    gone: tuple[str, ...]  # clip ids: taken then, not on disk now
    new: tuple[str, ...]  # paths or clip ids: on disk now, unknown then
    coverage: float  # now

    @property
    def sound(self) -> bool:
        """Whether nothing leaks and everything is as it was."""
        return not (self.leak or self.edited or self.gone or self.new)


def add(
    name: str,
    root: Path,
    kind: str | None = None,
    *,
    options: Options = AS_USUAL,
    replace: bool = False,
    progress: Progress = silent,
) -> Registered:
    """Read a corpus and keep it under a name, whole or not at all; the same once more reads it again.

    Args:
        name: letters, digits, and `.`, `_` or `-` between them.
        root: its folder.
        kind: of `kinds.KINDS`; by default as its layout says.
        options: what it is read with.
        replace: take the name from a corpus that was added from elsewhere or with other options.
        progress: told while clips are looked at.

    Raises:
        ManifestError: the name is taken or no name, or the corpus cannot be read or leaks identities.
    """
    folder = _folder(name)
    if name.startswith("sample-"):
        raise ManifestError(f"the name '{name}' is kept for sample corpora; give another --name")
    kind = kind or kinds.detect(root)
    corpus: dict[str, Any] = {"name": name, "kind": kind, "root": str(root.resolve()), "options": options.record()}
    if folder.exists() and not replace:
        _refuse_other(_read(folder / "corpus.json"), corpus)
    listing = kinds.read(kind, root, name, options, progress)
    manifest = listing.manifest.check()
    corpus |= {"added": datetime.now(UTC).isoformat(timespec="seconds"), "clips": len(manifest)}
    with atomic_dir(folder) as part:
        manifest.write(part / "manifest.csv")
        _write(part / "corpus.json", {**corpus, "digest": manifest.digest()})
        _write(part / "listing.json", _record(listing))
    return get(name)


def get(name: str) -> Registered:
    """A registered or sample corpus.

    Raises:
        ManifestError: there is none of that name, or its files cannot be read.
    """
    folder = _folder(name)
    if _sample_manifest(name).is_file():
        return _sample(_sample_manifest(name).parent)
    if not folder.is_dir():
        raise ManifestError(f"no corpus '{name}' was added; `dfd corpora list` shows those that were")
    corpus, listing = _read(folder / "corpus.json"), _read(folder / "listing.json")
    try:
        return Registered(
            name=name,
            kind=corpus["kind"],
            root=Path(corpus["root"]),
            options=kinds.options_from(corpus["options"]),
            added=corpus["added"],
            folder=folder,
            digest=corpus["digest"],
            clips=corpus["clips"],
            expected=listing["expected"],
            missing=tuple(listing["missing"]),
            left_out=tuple((place, why) for place, why in listing["left_out"]),
            notes=tuple(listing["notes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{folder} is damaged ({error}); add the corpus again with --replace") from None


def registered() -> list[Registered]:
    """All corpora that were added, and the sample corpora that were made, by name.

    Raises:
        ManifestError: the files of one cannot be read.
    """
    added = [path.parent.name for path in (data_dir() / "corpora").glob("*/corpus.json")]
    samples = [path.parent.name for path in (data_dir() / "sample").glob("*/manifest.csv")]
    return [get(name) for name in sorted({*added, *samples}) if _is_name(name)]


def is_registered(name: str) -> bool:
    """Whether `get` knows a name."""
    return _is_name(name) and (_sample_manifest(name).is_file() or (_folder(name) / "corpus.json").is_file())


def check(name: str) -> Checked:
    """Look at the disk again: who leaks, which clips are gone and which are new. Nothing is decoded.

    Raises:
        ManifestError: there is no such corpus, or its folder is gone or cannot be read as it was.
    """
    corpus = get(name)
    manifest = corpus.manifest()
    try:
        manifest.check()
        leak = ""
    except ManifestError as error:
        leak = str(error)
    edited = manifest.digest() != corpus.digest
    if corpus.kind == SAMPLE:
        gone = tuple(clip.clip_id for clip in manifest if not clip.path.is_file())
        return Checked(name, leak, edited, gone, (), 1 - len(gone) / len(manifest))
    today = kinds.read(corpus.kind, corpus.root, name, dataclasses.replace(corpus.options, drop_audio_altered=None))
    then = {clip.clip_id for clip in manifest} | {place for place, _ in corpus.left_out}
    gone = tuple(clip.clip_id for clip in manifest if clip.clip_id not in today.known)
    return Checked(name, leak, edited, gone, tuple(sorted(today.known - then)), today.coverage)


def _folder(name: str) -> Path:
    if not _is_name(name):
        raise ManifestError(f"'{name}' is no name for a corpus; give --name letters, digits, and . _ or - between them")
    return data_dir() / "corpora" / name


def _sample_manifest(name: str) -> Path:
    return data_dir() / "sample" / name / "manifest.csv"


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is not None


def _refuse_other(there: dict[str, Any], asked: dict[str, Any]) -> None:
    differing = [key for key, value in asked.items() if there.get(key) != value]
    if differing:
        key = differing[0]
        raise ManifestError(
            f"corpus '{asked['name']}' is there with another {key} ({there.get(key)}, not {asked[key]}); give "
            "--replace to read it anew, or another --name"
        )


def _sample(folder: Path) -> Registered:
    manifest = read_manifest(folder / "manifest.csv")
    return Registered(
        name=folder.name,
        kind=SAMPLE,
        root=folder,
        options=AS_USUAL,
        added="",
        folder=folder,
        digest=manifest.digest(),
        clips=len(manifest),
        expected=len(manifest),
        missing=(),
        left_out=(),
        notes=("synthetic: made by dfd, of people who do not exist",),
    )


def _record(listing: Listing) -> dict[str, Any]:
    facts = {"expected": listing.expected, "missing": listing.missing, "left_out": listing.left_out}
    return {**facts, "notes": listing.notes}


def _write(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("it is no table of facts")
        return facts
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); add the corpus again with --replace") from None
