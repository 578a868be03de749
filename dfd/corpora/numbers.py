"""A corpus in numbers: pure functions of the table of its clips, `inventory.clips`; how a page looks through it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd.corpora.inventory import Corpus, Report
from dfd.labels import Label
from dfd.manifest import SPLITS

GROUPS = ("split", "method", "compression")
MOST = 12  # groups that `counts` tells apart
SEARCHED = ("clip_id", "target_identity", "source_identity")


@dataclass(frozen=True, slots=True)
class Figures:
    """A corpus at a glance; the clips of the last three are known once it is preprocessed."""

    clips: int
    real: int
    fake: int
    people: int
    leaking: int  # people who are in two splits
    official: int  # clips whose split is the published one
    with_face: int
    waiting: int  # clips that preprocessing has not looked at
    differing: int  # clips that preprocessing knows with another label, method, people or split

    @property
    def face_coverage(self) -> float:
        """Clips with a face / clips."""
        return self.with_face / self.clips


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a corpus's clips are, counted."""

    by: dict[str, pd.DataFrame]  # of `GROUPS` that tell clips apart: as from `counts`
    crosstab: pd.DataFrame  # as from `crosstab`
    people: pd.Series  # as from `clips_a_person`
    leaks: pd.DataFrame  # as from `leaks`


def figures(table: pd.DataFrame) -> Figures:
    """The figures of a corpus's clips."""
    crops = table["crops"]
    return Figures(
        clips=len(table),
        real=int((table["label"] == Label.REAL.word).sum()),
        fake=int((table["label"] == Label.FAKE.word).sum()),
        people=_people(table)["identity"].nunique(),
        leaking=len(leaks(table)),
        official=int(table["official_split"].sum()),
        with_face=int((crops > 0).sum()),
        waiting=int(crops.isna().sum()),
        differing=int(table["differs"].sum()),
    )


def numbers(table: pd.DataFrame) -> Numbers:
    """All counts of a corpus's clips; a single compression tells nothing apart and is left out."""
    groups = [group for group in GROUPS if group != "compression" or table[group].nunique() > 1]
    by = {group: counts(table, group) for group in groups}
    return Numbers(by, crosstab(table), clips_a_person(table), leaks(table))


def counts(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """group, label, clips: how many real and fake clips each value of a column has, in the order they are shown.

    Splits come in their own order, others by their number of clips, real ones first; beyond `MOST` values the rest are
    one group.
    """
    groups = table[by].astype(str)
    if by != "split":
        shown = _by_size(table, groups)
        if len(shown) > MOST:
            rest = f"{len(shown) - MOST + 1} others"
            groups = groups.where(groups.isin(shown[: MOST - 1]), rest)
            shown = [*shown[: MOST - 1], rest]
    else:
        shown = [split for split in SPLITS if (groups == split).any()]
    groups = pd.Categorical(groups.replace("", "not stated"), [name or "not stated" for name in shown])
    sizes = table.groupby([groups, table["label"]], observed=False).size()
    return sizes.rename_axis(["group", "label"]).reset_index(name="clips")


def _by_size(table: pd.DataFrame, groups: pd.Series) -> list[str]:
    sizes = pd.DataFrame({"clips": groups.value_counts()})
    sizes["fake"] = (table["label"] == Label.FAKE.word).groupby(groups).all()
    return (
        sizes.rename_axis("group").sort_values(["fake", "clips", "group"], ascending=[True, False, True]).index.tolist()
    )


def crosstab(table: pd.DataFrame) -> pd.DataFrame:
    """split, label, method, compression, clips, people, with_face: a row for each combination that occurs."""
    keys = ["split", "label", "method", "compression"]
    groups = table.assign(with_face=table["crops"] > 0).groupby(keys, observed=True)
    rows = groups.agg(clips=("clip_id", "size"), with_face=("with_face", "sum"))
    people = _people(table, keys).groupby(keys, observed=True)["identity"].nunique()
    return rows.assign(people=people).fillna({"people": 0}).astype({"people": int}).reset_index()


def clips_a_person(table: pd.DataFrame) -> pd.Series:
    """In how many clips, real or fake, each person is, the most first; by identity."""
    return _people(table).groupby("identity").size().sort_values(ascending=False, kind="stable")


def leaks(table: pd.DataFrame) -> pd.DataFrame:
    """identity, splits, clips, example: who is in two splits, as target or source; no rows when nobody is."""
    people = _people(table, ["split", "clip_id"]).astype({"split": str})
    splits = people.groupby("identity")["split"].nunique()
    leaking = people[people["identity"].isin(splits.index[splits > 1])]
    rows = leaking.groupby("identity").agg(
        splits=("split", lambda found: ", ".join(split for split in SPLITS if split in set(found))),
        clips=("clip_id", "size"),
        example=("clip_id", "first"),
    )
    return rows.reset_index()


def _people(table: pd.DataFrame, beside: list[str] | None = None) -> pd.DataFrame:
    """A row for each person in each clip, with the columns `beside`; who is target and source alike counts once."""
    beside = beside or []
    target = table[["target_identity", *beside]].rename(columns={"target_identity": "identity"})
    other = table["source_identity"] != table["target_identity"]
    source = table.loc[other, ["source_identity", *beside]].rename(columns={"source_identity": "identity"})
    both = pd.concat([target, source], ignore_index=True)
    return both[both["identity"] != ""]


def copies(told: Report, table: pd.DataFrame) -> pd.DataFrame:
    """clips, splits, labels: a row for files with the same bytes; in two splits or under two labels they spoil figures.

    Those that do come first.
    """
    known = table.set_index("clip_id")[["split", "label"]].astype(str)
    rows = []
    for same in told.copies:
        found = known.loc[known.index.intersection(same)]
        rows.append((", ".join(same), ", ".join(sorted(set(found["split"]))), ", ".join(sorted(set(found["label"])))))
    both = pd.DataFrame(rows, columns=["clips", "splits", "labels"])
    apart = both["splits"].str.contains(",") | both["labels"].str.contains(",")
    return both.iloc[(~apart).astype(int).argsort(kind="stable")].reset_index(drop=True)


def overview(found: Corpus, of: Figures) -> dict[str, object]:
    """A corpus as a row of the table of all; shares that are not known are None."""
    return {
        "corpus": found.name,
        "kind": found.added.kind if found.added else "",
        "clips": of.clips,
        "real": of.real,
        "fake": of.fake,
        "people": of.people,
        "leaking": of.leaking,
        "listed": found.added.coverage if found.added else None,
        "with_face": of.face_coverage if found.faces else None,
    }


def sizes(corpora: pd.DataFrame) -> pd.DataFrame:
    """group, label, clips, as `counts`, of a table of `overview` rows."""
    labels = [label.word for label in Label]
    return corpora[["corpus", *labels]].melt("corpus", labels, "label", "clips").rename(columns={"corpus": "group"})


def matching(table: pd.DataFrame, *, text: str = "", **wanted: Collection[str]) -> pd.DataFrame:
    """The clips with a face that pass all filters, real and fake mixed.

    Args:
        table: as from `inventory.clips`.
        text: part of a clip's id or of the name of somebody in it.
        wanted: for a column, the values that pass; none given lets all pass.
    """
    kept = table["crops"] > 0
    for column, values in wanted.items():
        if values:
            kept &= table[column].isin(values)
    if text:
        names = [table[name].str.contains(text, case=False, regex=False) for name in SEARCHED]
        kept &= np.logical_or.reduce(names)
    return table[kept].sort_values("mixed")


def sharing(table: pd.DataFrame, clip_id: str) -> pd.DataFrame:
    """The other face clips that somebody of a clip is in, real ones first."""
    clip = table[table["clip_id"] == clip_id].iloc[0]
    people = {clip["target_identity"], clip["source_identity"]} - {""}
    there = table["target_identity"].isin(people) | table["source_identity"].isin(people)
    others = table[there & (table["crops"] > 0) & (table["clip_id"] != clip_id)]
    return others.sort_values(["label", "clip_id"])


def page(table: pd.DataFrame, number: int, size: int) -> pd.DataFrame:
    """One page of a table, the first is 1."""
    return table.iloc[(number - 1) * size : number * size]


def pages(table: pd.DataFrame, size: int) -> int:
    """How many pages a table fills, at least 1."""
    return max(1, -(-len(table) // size))


def histogram(
    values: pd.Series, labels: pd.Series | None = None, *, start: float | None = None, about: int = 20
) -> pd.DataFrame:
    """low, high, label, clips: how many values of each label lie in [low, high), in about so many even steps.

    Steps are 1, 2 or 5 times a power of ten; they begin at `start`, or near the least value. Without labels all are
    counted together and the label is "".
    """
    if values.empty:
        return pd.DataFrame({"low": [], "high": [], "label": [], "clips": []})
    least = values.min() if start is None else start
    step = _step((values.max() - least + 1) / about)
    first = np.floor(least / step) * step
    edges = first + step * np.arange((values.max() - first) // step + 2)
    parts = {"": values} if labels is None else {label.word: values[labels == label.word] for label in Label}
    rows = [
        pd.DataFrame({"low": edges[:-1], "high": edges[1:], "label": label, "clips": np.histogram(part, edges)[0]})
        for label, part in parts.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _step(least: float) -> float:
    scale = 10.0 ** np.floor(np.log10(max(least, 1.0)))
    return next(float(factor * scale) for factor in (1, 2, 5, 10) if factor * scale >= least)


def range_of(values: pd.Series, unit: str) -> str:
    """The least, middle and largest of some values, as a sentence."""
    if values.empty:
        return "None."
    if values.min() == values.max():
        return f"{values.min():.0f} {unit}, all of them."
    return f"From {values.min():.0f} to {values.max():.0f} {unit}, the median is {values.median():.0f}."
