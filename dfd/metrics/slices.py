"""Figures for every value of a column of the predictions, and how far the best slice is from the worst."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dfd.errors import ManifestError
from dfd.manifest import ATTRIBUTE
from dfd.metrics.arrays import Floats, checked
from dfd.metrics.intervals import interval
from dfd.metrics.ranking import Ranking
from dfd.metrics.resampling import People, draws

OFFERED = ("method", "compression", "corpus", "official_split")  # of the columns that every table of predictions has
MOST = 50  # values of a column that is worth slicing by
NOT_KNOWN = "(not known)"
RESAMPLES = 2000
LEAST = 0.5  # share of the resamples in which a slice must have both classes, for its interval to be told


@dataclass(frozen=True, slots=True)
class Gap:
    """The best and the worst slice by one figure. The more slices there are, the larger it is by chance alone.

    Clips of which the value is not known, "", are no slice that another is compared with.
    """

    metric: str
    best: str
    worst: str
    difference: float
    low: float  # 95 % interval for these two slices, by the bootstrap over identities; NaN with too few people
    high: float

    @property
    def text(self) -> str:
        """The gap in a sentence."""
        span = "" if np.isnan(self.low) else f" (95 % interval {self.low:.3f} to {self.high:.3f})"
        name = "AUC" if self.metric == "auc" else self.metric
        return f"gap in {name}: {self.best} is {self.difference:.3f} above {self.worst}{span}"


@dataclass(frozen=True, slots=True)
class Slices:
    """One row a slice: value, clips, real, fake, accuracy, auc, each with _low and _high, acc_real, acc_fake.

    NaN is a figure that the slice does not have: AUC with one class alone, an interval with too few people.
    """

    column: str
    rows: pd.DataFrame
    gaps: tuple[Gap, ...]  # of accuracy and AUC, where two slices have them

    @property
    def text(self) -> str:
        """The slices as a table for a terminal, and the gaps below."""
        width = max(len(self.column), *(len(value) for value in self.rows["value"]), len(NOT_KNOWN)) + 2
        head = f"{self.column:<{width}}{'clips':>7}{'real':>7}{'fake':>7}  {'accuracy (95 %)':<24}{'AUC (95 %)':<24}"
        lines = [head] + [
            f"{row['value'] or NOT_KNOWN:<{width}}{row['clips']:>7}{row['real']:>7}{row['fake']:>7}  "
            f"{_written(row, 'accuracy'):<24}{_written(row, 'auc'):<24}"
            for row in self.rows.to_dict("records")
        ]
        return "\n".join(line.rstrip() for line in [*lines, *(gap.text for gap in self.gaps)])

    def to_json(self) -> dict[str, Any]:
        """As JSON types; null for a figure or an interval that a slice does not have."""
        gaps = pd.DataFrame([asdict(gap) for gap in self.gaps])
        tables = {
            name: table.astype(object).where(table.notna(), None).to_dict("records")
            for name, table in (("slices", self.rows), ("gaps", gaps))
        }
        return {"column": self.column, **tables}


def columns_to_slice_by(predictions: pd.DataFrame) -> list[str]:
    """The columns that tell a table's clips apart: some of `OFFERED`, and a corpus's attributes by their own names."""
    real = (predictions["label"] == 0).to_numpy()
    attributes = sorted(name for name in predictions if name.startswith(ATTRIBUTE))
    there = [name for name in (*OFFERED, *attributes) if name in predictions]
    kept = [name for name in there if 1 < len(_members(predictions, name, real).keys() - {""}) <= MOST]
    return [name.removeprefix(ATTRIBUTE) for name in kept]


def slices(predictions: pd.DataFrame, column: str, *, resamples: int = RESAMPLES, seed: int = 0) -> Slices:
    """Clip-level figures of every value of a column.

    A slice by `method` is the method's fakes against *all* real clips, which no method made. Any other slice is the
    clips that have the value.

    Args:
        predictions: one row a clip: label, p_fake, threshold, target_identity, source_identity and the column.
        column: its name; of an attribute of the corpus "gender" as well as "attribute.gender".

    Raises:
        ManifestError: there is no such column.
    """
    named = column if column in predictions else f"{ATTRIBUTE}{column}"
    if named not in predictions:
        known = ", ".join(str(name) for name in predictions)
        raise ManifestError(f"the predictions have no column '{column}' to slice by; they have {known}")
    truth, scores = checked(predictions["label"], predictions["p_fake"])
    right = (scores >= predictions["threshold"].to_numpy()) == (truth == 1)
    members = _members(predictions, named, truth == 0)
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
    return Slices(column.removeprefix(ATTRIBUTE), table, tuple(gap for gap in gaps if gap is not None))


def _members(predictions: pd.DataFrame, column: str, real: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    """Rows of each slice, by the value's name; "" is that of clips of which nothing is known."""
    there = predictions[column]
    values = there.astype(object).where(there.notna(), "").astype(str).to_numpy(object)
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
    there = sorted((found[name], value) for value, found in figures.items() if value and np.isfinite(found[name]))
    if len(there) < 2:
        return None
    (least, worst), (most, best) = there[0], there[-1]
    return Gap(name, best, worst, most - least, *_interval(drawn[best][name] - drawn[worst][name]))


def _written(row: dict[str, Any], name: str) -> str:
    """A figure with its interval; a dash where there is none."""
    if np.isnan(row[name]):
        return "-"
    span = "" if np.isnan(row[f"{name}_low"]) else f" ({row[f'{name}_low']:.3f}-{row[f'{name}_high']:.3f})"
    return f"{row[name]:.3f}{span}"
