"""One detector at one threshold, and at all of them: the operating point, and the curves it moves along."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.metrics import det_curve, precision_recall_curve

from dfd.metrics.arrays import Floats, checked
from dfd.metrics.figures import confusion

POINTS = 400  # of a curve, for a drawing; a longer one is thinned evenly along its thresholds
RATES = ("accuracy", "balanced_accuracy", "tpr", "fpr", "precision")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a detector does at a threshold; every rate in [0, 1]."""

    threshold: float
    confusion: NDArray[np.int64]  # (2, 2) clips: rows the truth (real, fake), columns what was said

    @property
    def accuracy(self) -> float:
        """Share of the clips that are judged rightly."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of real and of fake clips that are judged rightly."""
        return (1 - self.fpr + self.tpr) / 2

    @property
    def fpr(self) -> float:
        """Share of the real clips that are called fake."""
        return float(self.confusion[0, 1] / self.confusion[0].sum())

    @property
    def tpr(self) -> float:
        """Share of the fakes that are found: recall."""
        return float(self.confusion[1, 1] / self.confusion[1].sum())

    @property
    def fnr(self) -> float:
        """Share of the fakes that are missed."""
        return float(self.confusion[1, 0] / self.confusion[1].sum())

    @property
    def precision(self) -> float:
        """Share of the clips called fake that are fake; NaN where none is called fake."""
        called = self.confusion[:, 1].sum()
        return float(self.confusion[1, 1] / called) if called else float("nan")

    def points_above(self, other: "OperatingPoint") -> dict[str, float]:
        """How far each rate of `RATES` that differs is above another operating point's, in points, to a tenth."""
        moved = {name: round(100 * (getattr(self, name) - getattr(other, name)), 1) for name in RATES}
        return {name: points for name, points in moved.items() if points and not np.isnan(points)}


def operating_point(labels: ArrayLike, p_fake: ArrayLike, threshold: float) -> OperatingPoint:
    """Where a threshold puts a detector; fake is called at or above it.

    Args:
        labels: (N,) 0 real, 1 fake; both must occur.
        p_fake: (N,) in [0, 1].
    """
    truth, scores = checked(labels, p_fake)
    return OperatingPoint(threshold, confusion(truth, scores, threshold))


def precision_recall(labels: ArrayLike, p_fake: ArrayLike) -> pd.DataFrame:
    """The precision-recall curve: columns recall, precision, threshold, recall falling; the last point has none.

    Points that lie on a line between their neighbours are left out.
    """
    precision, recall, threshold = precision_recall_curve(*checked(labels, p_fake), drop_intermediate=True)
    return pd.DataFrame({"recall": recall, "precision": precision, "threshold": [*threshold, np.nan]})


def detection_error_tradeoff(labels: ArrayLike, p_fake: ArrayLike) -> pd.DataFrame:
    """The DET curve (Martin et al. 1997): columns fpr, fnr, threshold, and both rates as normal deviates, x and y.

    A rate of 0 or 1 has no deviate: it is moved in by half a clip of its class. Points that lie on a line between their
    neighbours are left out.
    """
    truth, scores = checked(labels, p_fake)
    fpr, fnr, threshold = det_curve(truth, scores, drop_intermediate=True)
    real, fake = np.bincount(truth)
    curve = pd.DataFrame({"fpr": fpr, "fnr": fnr, "threshold": threshold})
    return curve.assign(x=deviates(fpr, int(real)), y=deviates(fnr, int(fake)))


def deviates(rates: ArrayLike, clips: int) -> Floats:
    """(N,) rates of so many clips as normal deviates; 0 and 1 are moved in by half a clip."""
    half = 0.5 / clips
    return np.asarray(norm.ppf(np.clip(np.asarray(rates, dtype=np.float64), half, 1 - half)))


def thinned(curve: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """Rows, such as a curve's points: at most so many, taken evenly, with both ends."""
    if len(curve) <= points:
        return curve
    return curve.iloc[np.linspace(0, len(curve) - 1, points).round().astype(int)].reset_index(drop=True)


def score_histogram(labels: ArrayLike, p_fake: ArrayLike, bins: int = 25) -> pd.DataFrame:
    """Clips of each class by p_fake, in equal bins of [0, 1]: columns low, high, real, fake."""
    truth, scores = checked(labels, p_fake)
    edges = np.linspace(0, 1, bins + 1)
    real, fake = (np.histogram(scores[truth == label], edges)[0] for label in (0, 1))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "real": real, "fake": fake})
