"""The kinds of corpora that dfd reads: how each is recognised, what it can be told, and which adapter reads it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dfd.corpora import celeb_df, csv_list, dfdc, face_only_corpus, faceforensics, folder
from dfd.corpora.listing import Listing, SplitBy
from dfd.errors import ManifestError
from dfd.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of corpus."""

    needs: str  # what its folder holds
    is_there: Callable[[Path], bool]
    read: Callable[..., Listing]  # the adapter

    @property
    def options(self) -> tuple[str, ...]:
        """What its adapter can be told."""
        return tuple(name for name in Options.__dataclass_fields__ if name in inspect.signature(self.read).parameters)


@dataclass(frozen=True, slots=True)
class Options:
    """What a corpus is read with; None leaves it to the adapter, and each kind takes only some."""

    split: SplitBy | None = None
    compression: str | None = None
    methods: tuple[str, ...] | None = None
    actors: bool | None = None
    splits: Path | None = None
    drop_audio_altered: bool | None = None
    table: Path | None = None
    fake_label: int | None = None

    def given(self) -> dict[str, Any]:
        """Those that are not left to the adapter."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def record(self) -> dict[str, Any]:
        """Those that are not left to the adapter, as JSON has them."""
        return {
            name: str(value.resolve()) if isinstance(value, Path) else list(value) if name == "methods" else value
            for name, value in self.given().items()
        }


def options_from(record: Mapping[str, Any]) -> Options:
    """The options of a record that `Options.record` made."""
    facts = dict(record)
    facts |= {name: Path(facts[name]) for name in ("splits", "table") if name in facts}
    facts |= {name: tuple(facts[name]) for name in ("methods",) if name in facts}
    return Options(**facts)


def _is_other_csv(root: Path) -> bool:
    return bool(csv_list.tables(root)) and not face_only_corpus.is_face_only(root)


def _is_folder(root: Path) -> bool:
    """Whether a folder has `real/` and `fake/`, or real clips alone and nothing by which another kind is known."""
    if folder.is_folder(root):
        return True
    others = (kind for name, kind in KINDS.items() if name != "folder")
    return not any(kind.is_there(root) for kind in others) and folder.has_real_alone(root)


KINDS: Mapping[str, Kind] = {
    "faceforensics": Kind(faceforensics.NEEDS, faceforensics.is_faceforensics, faceforensics.faceforensics),
    "celeb_df": Kind(celeb_df.NEEDS, celeb_df.is_celeb_df, celeb_df.celeb_df),
    "dfdc": Kind(dfdc.NEEDS, dfdc.is_dfdc, dfdc.dfdc),
    "face_only": Kind(face_only_corpus.NEEDS, face_only_corpus.is_face_only, face_only_corpus.face_only),
    "csv": Kind(csv_list.NEEDS, _is_other_csv, csv_list.csv_list),
    "folder": Kind(folder.NEEDS, _is_folder, folder.folder),
}


def detect(root: Path) -> str:
    """The kind of corpus that a folder holds, by its layout.

    Raises:
        ManifestError: there is no such folder, or it is laid out like none of the kinds, or like several.
    """
    if not root.is_dir():
        raise ManifestError(f"there is no folder {root}; name the one that holds the corpus")
    found = [name for name, kind in KINDS.items() if kind.is_there(root)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = "; ".join(f"{name}: {KINDS[name].needs}" for name in found)
        raise ManifestError(
            f"{root} may be a corpus of {len(found)} kinds ({listed}); say which with `dfd corpora add --kind`"
        )
    listed = "; ".join(f"{name}: {kind.needs}" for name, kind in KINDS.items())
    raise ManifestError(f"{root} is laid out like no corpus that dfd knows; a folder holds, of each kind, {listed}")


def read(kind: str, root: Path, name: str, options: Options, progress: Progress = silent) -> Listing:
    """What the adapter of a kind finds under a folder.

    Raises:
        ManifestError: there is no such kind, it does not take an option, or the corpus cannot be read.
    """
    if kind not in KINDS:
        raise ManifestError(f"there is no kind of corpus '{kind}'; there are {', '.join(KINDS)}")
    chosen = KINDS[kind]
    refused = [option for option in options.given() if option not in chosen.options]
    if refused:
        takes = ", ".join(map(flag, chosen.options))
        raise ManifestError(f"a corpus of kind {kind} does not take {flag(refused[0])}; it takes {takes}")
    telling = {"progress": progress} if "progress" in inspect.signature(chosen.read).parameters else {}
    return chosen.read(root, name=name, **options.given(), **telling)


def flag(option: str) -> str:
    """An option as the command line spells it."""
    return f"--{option.replace('_', '-')}"
