"""What there is of every corpus, added, made or preprocessed, and the clips of one as a table.

Manifests are read column by column, which takes half a second for 128,000 clips; one with anything odd in it is read
again by `read_manifest`, which can say what is wrong, and where.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dfd import storage
from dfd.corpora import registry
from dfd.corpora.registry import Registered
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import COLUMNS, SPLITS, read_manifest
from dfd.paths import data_dir

KEY = ["corpus", "clip_id"]
TAKEN_OVER = ["label", "method", "target_identity", "source_identity", "split"]  # by preprocessing, from the manifest


@dataclass(frozen=True, slots=True)
class Corpus:
    """What there is of a corpus: it was added, or preprocessed, or both."""

    name: str
    added: Registered | None
    faces: Path | None  # manifest of its face-only videos
    begun: bool  # preprocessing began and is not finished

    @property
    def state(self) -> tuple[str, ...]:
        """What changes when the corpus is added or preprocessed anew."""
        return tuple(f"{path} {storage.stamp(str(path))}" for path in self.manifests)

    @property
    def manifests(self) -> tuple[Path, ...]:
        """What its table is read from."""
        own = (self.added.folder / "manifest.csv",) if self.added else ()
        return (*own, *((self.faces,) if self.faces else ()))

    @property
    def away(self) -> bool:
        """Whether the folder that its clips lie in is not there, such as a disk that is not connected."""
        return self.added is not None and not self.added.root.is_dir()


@dataclass(frozen=True, slots=True)
class Report:
    """What preprocessing could not do, and what it saw."""

    failures: tuple[tuple[str, str], ...]  # clip id, and why it gave no face-only video
    copies: tuple[tuple[str, ...], ...]  # ids of clips with the same bytes


def names() -> list[str]:
    """Corpora that were added, made or preprocessed."""
    places = ("corpora/*/corpus.json", "sample/*/manifest.csv", "faces/*/manifest.csv")
    found = {path.parent.name for place in places for path in data_dir().glob(place)}
    return sorted(name for name in found if registry.is_registered(name) or _faces(name).is_file())


def corpus(name: str) -> Corpus:
    """What there is of a corpus.

    Raises:
        ManifestError: nothing, or what was written of it cannot be read.
    """
    if name not in names():
        raise ManifestError(f"there is no corpus '{name}'; `dfd corpora list` shows those that were added")
    faces = _faces(name)
    return Corpus(
        name,
        added=registry.get(name) if registry.is_registered(name) else None,
        faces=faces if faces.is_file() else None,
        begun=faces.parent.is_dir() and not faces.is_file(),
    )


def _faces(name: str) -> Path:
    return data_dir() / "faces" / name / "manifest.csv"


def report(found: Corpus) -> Report:
    """What preprocessing reported of a corpus.

    Raises:
        ManifestError: the report is missing or damaged.
    """
    if found.faces is None:
        return Report((), ())
    path = found.faces.with_name("report.json")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        failures = tuple((str(clip), str(why)) for clip, why in facts["failures"])
        same = facts.get("copies", ())  # reports of older versions do not speak of them
        return Report(failures, tuple(tuple(map(str, clips)) for clips in same))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{path} cannot be read ({error}); run `dfd preprocess` again, which keeps the clips that are done"
        ) from None


def clips(found: Corpus) -> pd.DataFrame:
    """Every clip of a corpus, a row each.

    Returns:
        The columns of a manifest (`path` absolute, of the clip as it came, `official_split` bool, `frames` float); then
        `crops`: frames of its face-only video, 0 where no face was found, NaN where preprocessing has not looked;
        `face_path`, "" where there is none; `differs`, as `Figures.differing`; and `mixed`, by which an order or a
        sample is as good as random, and the same each time. `path` is "" for what only preprocessing knows.

    Raises:
        ManifestError: a manifest is missing or damaged, or has no clips.
    """
    tables = [read_clips(path) for path in found.manifests]
    if not len(tables[0]):
        raise ManifestError(f"{found.manifests[0]} has no clips; make it anew or delete its folder")
    if found.faces is None:
        both = tables[0].assign(crops=np.nan, face_path="", differs=False)
    else:
        faces = tables[-1].assign(crops=tables[-1]["frames"].fillna(0.0))
        faces["face_path"] = faces["path"].where(faces["crops"] > 0, "")
        source = faces["path"].where(faces["crops"] == 0, "")
        both = _joined(tables[0], faces) if found.added else faces.assign(path=source, frames=np.nan, differs=False)
    return both.assign(mixed=pd.util.hash_pandas_object(both["clip_id"], index=False, categorize=False))


def _joined(own: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """The clips of a corpus as it was added, and what preprocessing made of them."""
    renamed = faces[[*KEY, *TAKEN_OVER, "crops", "face_path"]].rename(columns={name: f"{name}_" for name in TAKEN_OVER})
    both = own.merge(renamed, on=KEY, how="left").fillna({"face_path": ""})
    differs = pd.Series(False, index=both.index)
    for name in TAKEN_OVER:
        differs |= both["crops"].notna() & (both[name].astype(str) != both[f"{name}_"].astype(str))
    return both.drop(columns=renamed.columns[2:-2]).assign(differs=differs)


def read_clips(path: Path) -> pd.DataFrame:
    """A manifest as a table, a row a clip, paths absolute.

    Raises:
        ManifestError: as `read_manifest`, or a clip id is there twice.
    """
    table = _plain(path)
    if table is None:
        rows = [{name: getattr(clip, name) for name in COLUMNS} for clip in read_manifest(path)]
        table = pd.DataFrame(rows, columns=list(COLUMNS)).assign(
            label=[Label(row["label"]).word for row in rows], path=[str(row["path"]) for row in rows]
        )
    twice = table[table.duplicated(KEY)]
    if len(twice):
        raise ManifestError(f"{path} has the clip id '{twice['clip_id'].iloc[0]}' twice; ids must be unique")
    absolute = table["path"].str.match("/|[A-Za-z]:").astype(bool)
    table["path"] = table["path"].where(absolute, f"{path.parent.resolve().as_posix()}/" + table["path"])
    table["frames"] = pd.to_numeric(table["frames"]).astype(float)
    table["label"] = pd.Categorical(table["label"], [label.word for label in Label])
    table["split"] = pd.Categorical(table["split"], SPLITS)
    return table.astype({name: "category" for name in ("corpus", "method", "compression")})


def _plain(path: Path) -> pd.DataFrame | None:
    """The table of a manifest in which every value is written as `Manifest.write` does."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError):  # missing, not UTF-8, not CSV
        return None
    if not isinstance(table.index, pd.RangeIndex) or not set(COLUMNS) <= set(table.columns):
        return None
    table = table[list(COLUMNS)]
    sound = (
        table["label"].isin([label.word for label in Label]).all()
        and table["split"].isin(SPLITS).all()
        and table["official_split"].isin(["yes", "no"]).all()
        and table["frames"].str.fullmatch("[0-9]*").all()
    )
    return table.assign(official_split=table["official_split"] == "yes") if sound else None
