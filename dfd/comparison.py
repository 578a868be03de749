"""Runs beside runs: two detectors on the same clips, one experiment over several seeds, every detector on every corpus;
and one run by the slices of its clips.

What a detector was trained on and what was held out are told apart in every table and never averaged together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from dfd import tracking
from dfd.errors import StoreError
from dfd.manifest import Split
from dfd.metrics import Paired, Slices, columns_to_slice_by, paired, slices
from dfd.metrics.paired import NEEDED
from dfd.pseudo_fakes.settings import SUFFIX, corpora_in

Relation = Literal["in distribution", "mixed", "backbone only", "held out", "not known"]

SAME_BUT_FOR_SEED = ["corpus", "model", "backbone", "head", "control", "sequence_length", "weights", "setup"]
SETUPS = 8
NO_SETUP = frozenset({"name", "seed", "model.sequence_length", "sweep.sequence_lengths"})
TOLD = [
    "dfd.corpus", "dfd.backbone_corpora", "dfd.evaluated_on", "dfd.evaluated_run", "dfd.evaluated_name",
    "dfd.evaluated_file", "dfd.evaluated_unseen",
]  # fmt: skip
CELLS = ["run_id", "detector", "trained_on", "backbone_on", "tested_on", "relation", "value", "low", "high"]


def compare(run_a: str, run_b: str, split: Split = "test") -> Paired:
    """The paired test of two recorded runs, detectors or evaluations, on the clips of one split.

    Raises:
        StoreError: a run is not there, or has no predictions of the split.
        ManifestError: they did not score the same clips.
    """
    tables = [scored(run_id, split) for run_id in (run_a, run_b)]
    names = [f"{tracking.tags(run_id)['mlflow.runName']} ({run_id[:8]})" for run_id in (run_a, run_b)]
    try:
        return paired(tables[0], tables[1], (names[0], names[1]))
    except ValueError as error:
        raise StoreError(
            f"the {len(tables[0])} {split} clips of {run_a} are too few to compare runs on ({error}); take a larger "
            "corpus"
        ) from None


def config_difference(run_a: str, run_b: str) -> pd.DataFrame:
    """The parameters in which two runs differ, by dotted name: columns parameter, a, b; "" where a run has none.

    Raises:
        StoreError: a run is not there.
    """
    first, second = tracking.params(run_a), tracking.params(run_b)
    rows = [
        (name, first.get(name, ""), second.get(name, ""))
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    ]
    return pd.DataFrame(rows, columns=["parameter", "a", "b"])


def slices_of(run_id: str, column: str, split: Split = "test") -> Slices:
    """Figures of a recorded run for every value of a column of its clips, and the gap between the best and the worst.

    Args:
        run_id: of a detector, or of an evaluation.
        column: such as "method", or an attribute of the corpus such as "gender".

    Raises:
        StoreError: the run is not there, has no predictions of the split, or too few people for intervals.
        ManifestError: there is no such column.
    """
    table = scored(run_id, split)
    try:
        return slices(table, column)
    except ValueError as error:
        raise StoreError(
            f"the {len(table)} {split} clips of {run_id} are too few to slice ({error}); take a larger corpus"
        ) from None


def columns_of(run_id: str, split: Split = "test") -> list[str]:
    """The columns that tell a run's clips apart, for `slices_of`.

    Raises:
        StoreError: the run is not there, or has no predictions of the split.
    """
    return columns_to_slice_by(scored(run_id, split))


def scored(run_id: str, split: Split = "test") -> pd.DataFrame:
    """What a recorded run said of the clips of one split: one row a clip, `NEEDED` and what tells clips apart.

    Raises:
        StoreError: the run is not there, has no predictions of the split, or an older dfd wrote them.
    """
    table = tracking.predictions(run_id)
    lacking = [name for name in NEEDED if name not in table]
    if lacking:
        raise StoreError(
            f"the predictions of run {run_id} have no {' and no '.join(lacking)}: an older dfd wrote them; train or "
            "evaluate again"
        )
    chosen = table[table["split"] == split]
    if chosen.empty:
        there = ", ".join(sorted(table["split"].unique()))
        raise StoreError(f"run {run_id} has no predictions of {split} clips; it has some of {there}")
    return chosen


def same_clips(tables: Sequence[pd.DataFrame]) -> bool:
    """Whether tables as from `scored` are of the same clips, so that their curves can be held beside one another."""
    return len({frozenset(zip(table["corpus"], table["clip_id"], strict=True)) for table in tables}) < 2


def across_seeds(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean and spread of a figure over runs that differ in nothing but their seed.

    Args:
        runs: some rows of `tracking.runs()`; those without a seed, which were not trained here, are left out.
        name: such as "test/auc".

    Returns:
        One row a group: `SAME_BUT_FOR_SEED`, seeds (how many), mean, spread (standard deviation, n - 1; NaN for one
        seed), lowest, highest. Heads on one fitted backbone share its seed: theirs is the spread of the head alone.

    Raises:
        StoreError: a group has a seed twice, so that its runs differ in something else.
    """
    measured = _measured(runs, name)
    groups = measured.groupby(SAME_BUT_FOR_SEED, sort=True, dropna=False)
    twice = measured[_twice(measured)]
    if not twice.empty:
        pair = twice.sort_values([*SAME_BUT_FOR_SEED, "seed"])["run_id"].iloc[:2]
        raise StoreError(
            f"runs {' and '.join(pair)} have the same seed and differ in something else; choose runs of one experiment "
            "that differ in their seed alone"
        )
    found = groups[name].agg(seeds="count", mean="mean", spread="std", lowest="min", highest="max")
    return found.reset_index()


def one_a_seed(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Of some runs those that `across_seeds` can tell apart: a group that has a seed twice is left out whole."""
    measured = _measured(runs, name)
    groups = measured.assign(twice=_twice(measured)).groupby(SAME_BUT_FOR_SEED, dropna=False)
    return measured[~groups["twice"].transform("any").astype(bool)]


def _measured(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    if name not in runs:
        raise StoreError(f"no run has the figure '{name}'; see `dfd runs --json` for those there are")
    return runs[runs[name].notna() & runs["seed"].notna()]


def _twice(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Which runs have another's seed and differ from it in something that is not in `SAME_BUT_FOR_SEED`."""
    return runs.duplicated([*SAME_BUT_FOR_SEED, "seed"], keep=False)


def setups(points: pd.DataFrame) -> pd.DataFrame:
    """In what the setups differ that share a corpus, model, head, backbone and control: what is no seed and no length.

    Args:
        points: some rows of `tracking.runs()`, or of `charts.length_points`.

    Returns:
        A row a parameter in which they differ, by dotted name ("clips" where those alone differ), a column a setup; ""
        where a setup has none. No columns where no such runs have several setups. Of many setups the first `SETUPS`.
    """
    alike = ["corpus", "model", "backbone", "head", "control"]
    kinds = points.drop_duplicates([*alike, "setup"])  # few, of however many runs
    several = kinds[(kinds.groupby(alike, dropna=False)["setup"].transform("nunique") > 1) & (kinds["setup"] != "")]
    first = several.drop_duplicates("setup").head(SETUPS)
    told = {row.setup: tracking.params(row.run_id) for row in first.itertuples()}
    names = sorted({name for params in told.values() for name in params} - NO_SETUP)
    rows = {name: [params.get(name, "") for params in told.values()] for name in names}
    found = {name: values for name, values in rows.items() if len(set(values)) > 1}
    if told and not found:
        found = {"clips": ["others"] * len(told)}
    return pd.DataFrame.from_dict(found, orient="index", columns=list(told)).rename_axis("parameter")


def cells(name: str = "auc", split: Split = "test") -> pd.DataFrame:
    """What every finished detector came to on every corpus it was tested on: one row a detector and corpus.

    The own test clips of a detector's training, and the runs of `dfd evaluate`; of several of one detector on one
    corpus the newest counts. A detector of the user's own is known by its file.

    Returns:
        run_id (of the detector), detector (its name), trained_on, backbone_on, tested_on, relation (see `relation`),
        value, low, high (95 % interval; NaN where there is none).
    """
    runs = tracking.current_runs()
    figure = f"{split}/{name}"
    if figure not in runs:
        return pd.DataFrame(columns=CELLS)
    kinds = ("detector", "evaluation", tracking.OWN)
    done = runs[runs["kind"].isin(kinds) & (runs["status"] == "FINISHED") & runs[figure].notna()]
    done = done.reindex(columns=["run_id", "kind", "name", figure, f"{figure}_low", f"{figure}_high"])
    told = done.merge(tracking.tags_of_all(TOLD), on="run_id")
    rows = [_cell(row, figure) for row in told.to_dict("records")]
    found = pd.DataFrame(rows, columns=["which", *CELLS]).drop_duplicates(["which", "tested_on"], ignore_index=True)
    return found[CELLS]


def _cell(run: dict[str, Any], figure: str) -> dict[str, Any]:
    trained_on, backbone_on = run["dfd.corpus"], run["dfd.backbone_corpora"]
    tested_on = run["dfd.evaluated_on"] or trained_on
    if run["kind"] == tracking.OWN:
        trained_on = ""  # nobody told; its corpus is the one it was tested on
    run_id = run["dfd.evaluated_run"] or run["run_id"]
    met = relation(trained_on, backbone_on, tested_on)
    if met == "in distribution" and run["dfd.evaluated_unseen"]:
        met = "mixed"  # of its corpora, and of fake methods that were left out of its training
    return {
        "which": run["dfd.evaluated_file"] or run_id,
        "run_id": run_id,
        "detector": run["dfd.evaluated_name"] or run["name"],
        "trained_on": trained_on,
        "backbone_on": backbone_on,
        "tested_on": tested_on,
        "relation": met,
        "value": run[figure],
        **{end: run[f"{figure}_{end}"] for end in ("low", "high")},
    }


def relation(trained_on: str, backbone_on: str, tested_on: str) -> Relation:
    """Whether a detector has met a corpus, each named as `merge` names several: `first+second`.

    "mixed" is a test on several corpora of which some were trained on, or on one whose real clips alone were, beside
    pseudo-fakes (or, in `cells`, on one some of whose fake methods were left out of the training); "backbone only" one
    that the head never saw while the frames of its training clips went into the backbone: neither in distribution nor
    held out. What an imported checkpoint or a detector of the user's own was trained on is not known.
    """
    trained, backbone, tested = (set(corpora_in(names)) for names in (trained_on, backbone_on, tested_on))
    if not trained:
        return "not known"
    if tested <= trained:
        return "in distribution"
    trained, backbone, tested = ({name.removesuffix(SUFFIX) for name in met} for met in (trained, backbone, tested))
    if tested & trained:
        return "mixed"
    return "backbone only" if tested & backbone else "held out"


@dataclass(frozen=True, slots=True)
class CrossMatrix:
    """Rows: a detector's name, and what head and backbone were trained on. Columns: what it was tested on."""

    values: pd.DataFrame  # NaN where it was not tested
    relations: pd.DataFrame  # same shape: a `Relation`, "" where it was not tested
    means: pd.DataFrame  # same rows; columns "in distribution" and "held out", each over its own cells alone


def cross_matrix(table: pd.DataFrame) -> CrossMatrix:
    """The cross-data-set matrix of some rows of `cells`; runs of one row (seeds) are averaged cell by cell."""
    rows = ["trained_on", "backbone_on", "detector"]
    values, relations = (
        table.pivot_table(index=rows, columns="tested_on", values=name, aggfunc=how)
        for name, how in (("value", "mean"), ("relation", "first"))
    )
    means = {kind: values.where(relations == kind).mean(axis=1) for kind in ("in distribution", "held out")}
    return CrossMatrix(values, relations.fillna(""), pd.DataFrame(means))
