"""Figures for every value of a column of the predictions, and how far the best slice is from the worst."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dfd.errors import ManifestError
from dfd.metrics.arrays import Floats, checked
from dfd.metrics.intervals import interval
from dfd.metrics.resampling import People, Ranking, draws

RESAMPLES = 2000
LEAST = 0.5  # share of the resamples in which a slice must have both classes, for its interval to be told


@dataclass(frozen=True, slots=True)
class Gap:
    """The best and the worst slice by one figure. The more slices there are, the larger it is by chance alone."""

    metric: str
    best: str
    worst: str
    difference: float
    low: float  # 95 % interval for these two slices, by the bootstrap over identities
    high: float


@dataclass(frozen=True, slots=True)
class Slices:
    """One row a slice: value, clips, real, fake, accuracy, auc, each with _low and _high, acc_real, acc_fake.

    NaN is a figure that the slice does not have: AUC with one class alone, an interval with too few people.
    """

    column: str
    rows: pd.DataFrame
    gaps: tuple[Gap, ...]  # of accuracy and AUC, where two slices have them


def slices(predictions: pd.DataFrame, column: str, *, resamples: int = RESAMPLES, seed: int = 0) -> Slices:
    """Clip-level figures of every value of a column.

    A slice by `method` is the method's fakes against *all* real clips, which no method made. Any other slice is the
    clips that have the value.

    Args:
        predictions: one row a clip: label, p_fake, threshold, target_identity, source_identity and the column.

    Raises:
        ManifestError: there is no such column.
    """
    if column not in predictions:
        known = ", ".join(str(name) for name in predictions)
        raise ManifestError(f"the predictions have no column '{column}' to slice by; they have {known}")
    truth, scores = checked(predictions["label"], predictions["p_fake"])
    right = (scores >= predictions["threshold"].to_numpy()) == (truth == 1)
    members = _members(predictions, column, truth == 0)
    figures = {value: _figures(truth[rows], scores[rows], right[rows]) for value, rows in members.items()}
    people = People.of(predictions["target_identity"].tolist(), predictions["source_identity"].tolist())
    drawn = _drawn(truth, scores, right, members, people, resamples, seed)
    table = pd.DataFrame(
        [
            {
                "value": value,
                **found,
                **_ends(drawn[value]["accuracy"], "accuracy"),
                **_ends(drawn[value]["auc"], "auc"),
            }
            for value, found in figures.items()
        ]
    )
    gaps = [_gap(name, figures, drawn) for name in ("accuracy", "auc")]
    return Slices(column, table, tuple(gap for gap in gaps if gap is not None))


def _members(predictions: pd.DataFrame, column: str, real: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    """Rows of each slice, by the value's name."""
    values = predictions[column].astype(str).to_numpy()
    by_method = column == "method"
    names = sorted(set(values[~real] if by_method else values))
    return {name: np.flatnonzero((values == name) & ~real | real if by_method else values == name) for name in names}


def _figures(truth: NDArray[np.int64], scores: Floats, right: NDArray[np.bool_]) -> dict[str, float]:
    real, fake = int((truth == 0).sum()), int((truth == 1).sum())
    return {
        "clips": len(truth),
        "real": real,
        "fake": fake,
        "accuracy": float(right.mean()),
        "acc_real": float(right[truth == 0].mean()) if real else np.nan,
        "acc_fake": float(right[truth == 1].mean()) if fake else np.nan,
        "auc": float(roc_auc_score(truth, scores)) if real and fake else np.nan,
    }


def _drawn(
    truth: NDArray[np.int64],
    scores: Floats,
    right: NDArray[np.bool_],
    members: dict[str, NDArray[np.int64]],
    people: People,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, Floats]]:
    """Accuracy and AUC of every slice in the same resamples; NaN where a slice got no clips or one class."""
    rankings = {value: Ranking.of(truth[rows], scores[rows]) for value, rows in members.items()}
    found: dict[str, dict[str, list[Floats]]] = {value: {"accuracy": [], "auc": []} for value in members}
    for weights in draws(people, truth, resamples, seed):
        for value, rows in members.items():
            own = weights[rows]
            total = own.sum(axis=0)
            hits = right[rows] @ own
            found[value]["accuracy"].append(np.divide(hits, total, out=np.full_like(total, np.nan), where=total > 0))
            found[value]["auc"].append(rankings[value].auc(own))
    return {value: {name: np.concatenate(parts) for name, parts in each.items()} for value, each in found.items()}


def _ends(values: Floats, name: str) -> dict[str, float]:
    low, high = _interval(values)
    return {f"{name}_low": low, f"{name}_high": high}


def _interval(values: Floats) -> tuple[float, float]:
    there = values[np.isfinite(values)]
    return interval(there) if len(there) >= LEAST * len(values) else (np.nan, np.nan)


def _gap(name: str, figures: dict[str, dict[str, float]], drawn: dict[str, dict[str, Floats]]) -> Gap | None:
    there = sorted((found[name], value) for value, found in figures.items() if np.isfinite(found[name]))
    if len(there) < 2:
        return None
    (least, worst), (most, best) = there[0], there[-1]
    return Gap(name, best, worst, most - least, *_interval(drawn[best][name] - drawn[worst][name]))
