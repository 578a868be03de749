"""Runs beside runs: two detectors on the same clips, one experiment over several seeds, every detector on every corpus.

What a detector was trained on and what was held out are told apart in every table and never averaged together.
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dfd import tracking
from dfd.errors import StoreError
from dfd.manifest import Split
from dfd.metrics import Paired, paired
from dfd.metrics.paired import NEEDED

Relation = Literal["in distribution", "mixed", "backbone only", "held out", "not known"]

SAME_BUT_FOR_SEED = ["corpus", "model", "control", "sequence_length", "pooling", "weights"]
CELLS = ["run_id", "detector", "trained_on", "backbone_on", "tested_on", "relation", "value", "low", "high"]


def compare(run_a: str, run_b: str, split: Split = "test") -> Paired:
    """The paired test of two recorded runs, detectors or evaluations, on the clips of one split.

    Raises:
        StoreError: a run is not there, or has no predictions of the split.
        ManifestError: they did not score the same clips.
    """
    tables = [_predictions(run_id, split) for run_id in (run_a, run_b)]
    names = [f"{tracking.tags(run_id)['mlflow.runName']} ({run_id[:8]})" for run_id in (run_a, run_b)]
    try:
        return paired(tables[0], tables[1], (names[0], names[1]))
    except ValueError as error:
        raise StoreError(
            f"the {len(tables[0])} {split} clips of {run_a} are too few to compare runs on ({error}); take a larger "
            "corpus"
        ) from None


def _predictions(run_id: str, split: Split) -> pd.DataFrame:
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


def across_seeds(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean and spread of a figure over runs that differ in nothing but their seed.

    Args:
        runs: some rows of `tracking.runs()`.
        name: such as "test/auc".

    Returns:
        One row a group: `SAME_BUT_FOR_SEED`, seeds (how many), mean, spread (standard deviation, n - 1; NaN for one
        seed), lowest, highest. Heads on one fitted backbone share its seed: theirs is the spread of the head alone.

    Raises:
        StoreError: a group has a seed twice, so that its runs differ in something else.
    """
    if name not in runs:
        raise StoreError(f"no run has the figure '{name}'; see `dfd runs --json` for those there are")
    measured = runs[runs[name].notna()]
    groups = measured.groupby(SAME_BUT_FOR_SEED, sort=True, dropna=False)
    twice = measured[measured.duplicated([*SAME_BUT_FOR_SEED, "seed"], keep=False)]
    if not twice.empty:
        pair = twice.sort_values([*SAME_BUT_FOR_SEED, "seed"])["run_id"].iloc[:2]
        raise StoreError(
            f"runs {' and '.join(pair)} have the same seed and differ in something else; choose runs of one experiment "
            "that differ in their seed alone"
        )
    found = groups[name].agg(seeds="count", mean="mean", spread="std", lowest="min", highest="max")
    return found.reset_index()


def cells(name: str = "auc", split: Split = "test") -> pd.DataFrame:
    """What every finished detector came to on every corpus it was tested on: one row a detector and corpus.

    The own test clips of a detector's training, and the runs of `dfd evaluate`; of several of one detector on one
    corpus the newest counts.

    Returns:
        run_id (of the detector), detector (its name), trained_on, backbone_on, tested_on, relation (see `relation`),
        value, low, high (95 % interval; NaN where there is none).
    """
    runs = tracking.runs()
    figure = f"{split}/{name}"
    if figure not in runs:
        return pd.DataFrame(columns=CELLS)
    done = runs[runs["kind"].isin(["detector", "evaluation"]) & (runs["status"] == "FINISHED") & runs[figure].notna()]
    rows = [_cell(row, figure) for row in done.to_dict("records")]
    return pd.DataFrame(rows, columns=CELLS).drop_duplicates(["run_id", "tested_on"], ignore_index=True)


def _cell(run: dict[str, object], figure: str) -> dict[str, object]:
    tags = tracking.tags(str(run["run_id"]))
    trained_on, backbone_on = tags["dfd.corpus"], tags["dfd.backbone_corpora"]
    tested_on = tags.get("dfd.evaluated_on", trained_on)
    ends = {end: run.get(f"{figure}_{end}", float("nan")) for end in ("low", "high")}
    return {
        "run_id": tags.get("dfd.evaluated_run", run["run_id"]),
        "detector": tags.get("dfd.evaluated_name", run["name"]),
        "trained_on": trained_on,
        "backbone_on": backbone_on,
        "tested_on": tested_on,
        "relation": relation(trained_on, backbone_on, tested_on),
        "value": run[figure],
        **ends,
    }


def relation(trained_on: str, backbone_on: str, tested_on: str) -> Relation:
    """Whether a detector has met a corpus, each named as `merge` names several: `first+second`.

    "mixed" is a test on several corpora of which some were trained on; "backbone only" one that the head never saw
    while the frames of its training clips went into the backbone: neither in distribution nor held out. What an
    imported checkpoint was trained on is not known.
    """
    trained, backbone, tested = (set(names.split("+")) - {""} for names in (trained_on, backbone_on, tested_on))
    if not trained:
        return "not known"
    if tested <= trained:
        return "in distribution"
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
