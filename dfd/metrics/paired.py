"""Two detectors on the same clips: is one better, or did it meet luckier clips?

McNemar's test asks of accuracy, DeLong's of AUC (DeLong et al. 1988, by the midranks of Sun & Xu 2014). Both take clips
as independent, which clips of one person are not; the interval of the difference draws people instead.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest, norm, rankdata

from dfd.errors import ManifestError
from dfd.metrics.arrays import Floats, Ints, checked
from dfd.metrics.intervals import RESAMPLES, interval
from dfd.metrics.ranking import Ranking
from dfd.metrics.resampling import People, draws

KEY = ["corpus", "clip_id"]
NEEDED = (*KEY, "label", "p_fake", "threshold", "target_identity", "source_identity")
CAUTION = (
    "The p-values take clips as independent although people recur in them, so they are too small where people differ; "
    "the intervals draw people and do not."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of two detectors."""

    a: float
    b: float
    low: float  # 95 % interval of a - b, by the paired bootstrap over identities
    high: float
    p: float  # that it is chance, taking clips as independent

    @property
    def difference(self) -> float:
        """How much the first is above the second."""
        return self.a - self.b

    @property
    def settled(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class Paired:
    """Two detectors on the same clips; p of accuracy is McNemar's, p of AUC is DeLong's."""

    names: tuple[str, str]
    clips: int
    people: int
    accuracy: Difference  # each at its own threshold, chosen on validation
    auc: Difference
    only_a_right: int  # clips
    only_b_right: int
    caution: str = CAUTION

    @property
    def text(self) -> str:
        """The finding in a sentence."""
        first, second = self.names
        shown = [_shown("accuracy", self.accuracy, 100, "McNemar"), _shown("AUC", self.auc, 1, "DeLong")]
        return (
            f"On the same {self.clips} clips of {self.people} people, {first} against {second}: {'; '.join(shown)}; "
            f"{_settled(self.accuracy, self.auc)}."
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        differences = {name: getattr(self, name).difference for name in ("accuracy", "auc")}
        return {**asdict(self), "difference": differences, "text": self.text}


def paired(
    a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str] = ("A", "B"), *, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Compare two detectors' predictions of the same clips, in whatever order.

    Args:
        a, b: one row a clip, with the columns `NEEDED`; the threshold is the detector's own.

    Raises:
        ManifestError: they are not of the same clips, or are labelled otherwise.
        ValueError: one class only, or too few clips or people.
    """
    one, other = _aligned(a, b)
    truth, scores = checked(one["label"], one["p_fake"])
    _, others = checked(other["label"], other["p_fake"])
    people = People.of(one["target_identity"].tolist(), one["source_identity"].tolist())
    right, right_too = (
        ((table["p_fake"] >= table["threshold"]) == (table["label"] == 1)).to_numpy() for table in (one, other)
    )
    rankings = Ranking.of(truth, scores), Ranking.of(truth, others)
    gained = right.astype(np.float64) - right_too
    blocks = [
        (gained @ weights / weights.sum(axis=0), rankings[0].auc(weights) - rankings[1].auc(weights))
        for weights in draws(people, truth, resamples, seed)
    ]
    of_accuracy, of_auc = (interval(np.concatenate(values)) for values in zip(*blocks, strict=True))
    only_a, only_b = int((right & ~right_too).sum()), int((right_too & ~right).sum())
    aucs, p = delong(truth, scores, others)
    return Paired(
        names=names,
        clips=len(one),
        people=len({*one["target_identity"], *one["source_identity"]} - {""}),
        accuracy=Difference(float(right.mean()), float(right_too.mean()), *of_accuracy, mcnemar(only_a, only_b)),
        auc=Difference(*aucs, *of_auc, p),
        only_a_right=only_a,
        only_b_right=only_b,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p that clips which one detector alone judges rightly fall to either by chance: the exact binomial."""
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def delong(labels: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[tuple[float, float], float]:
    """AUC of two scores of the same clips, and two-sided p that they are equal.

    Args:
        labels: (N,), at least two of each class.
        a, b: (N,) p_fake.
    """
    truth, first = checked(labels, a)
    _, second = checked(labels, b)
    if min(np.bincount(truth)) < 2:
        raise ValueError("two real and two fake clips at least are needed to compare AUC")
    of_fakes, of_reals = zip(*(_placements(truth, scores) for scores in (first, second)), strict=True)
    spread = np.cov(of_fakes) / len(of_fakes[0]) + np.cov(of_reals) / len(of_reals[0])
    aucs = float(of_fakes[0].mean()), float(of_fakes[1].mean())
    error = float(np.sqrt(max(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1], 0.0)))
    gap = abs(aucs[0] - aucs[1])
    if gap < 1e-12:
        return aucs, 1.0
    return aucs, float(2 * norm.sf(gap / error)) if error else 0.0


def _placements(truth: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """Of each fake the share of real clips it scores above; of each real clip the share of fakes above it."""
    fake, real = scores[truth == 1], scores[truth == 0]
    ranks = rankdata(scores)
    above_reals = (ranks[truth == 1] - rankdata(fake)) / len(real)
    below_fakes = 1 - (ranks[truth == 0] - rankdata(real)) / len(fake)
    return above_reals, below_fakes


def _aligned(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    one, other = (table.loc[:, list(NEEDED)].sort_values(KEY, ignore_index=True) for table in (a, b))
    keys, others = ([f"{corpus}/{clip}" for corpus, clip in table[KEY].to_numpy()] for table in (one, other))
    lone = sorted(set(keys) - set(others)), sorted(set(others) - set(keys))
    if any(lone):
        told = [
            f"{len(clips)} are in the {place} alone (for example {clips[0]})"
            for clips, place in zip(lone, ("first", "second"), strict=True)
            if clips
        ]
        raise ManifestError(
            f"the two were not tested on the same clips: {' and '.join(told)}; compare runs that scored the same split "
            "of the same corpus"
        )
    if keys != others or len(set(keys)) < len(keys):
        raise ManifestError("a clip occurs twice in one of the two tables of predictions; compare one split at a time")
    odd = np.flatnonzero(one["label"].to_numpy() != other["label"].to_numpy())
    if len(odd):
        raise ManifestError(
            f"{keys[odd[0]]} is labelled real in one and fake in the other; preprocess the corpus again"
        )
    return one, other


def _shown(name: str, found: Difference, scale: int, test: str) -> str:
    form, unit = ("+.1f", " points") if scale > 1 else ("+.3f", "")
    value, low, high = (format(scale * number, form) for number in (found.difference, found.low, found.high))
    return f"{name} {value}{unit} (95 % interval {low} to {high}, {test} p = {found.p:.2g})"


def _settled(accuracy: Difference, auc: Difference) -> str:
    if accuracy.settled and auc.settled:
        return "both intervals leave zero out"
    if not (accuracy.settled or auc.settled):
        return "neither interval leaves zero out, so no difference is shown"
    return f"only the interval of {'accuracy' if accuracy.settled else 'AUC'} leaves zero out"
