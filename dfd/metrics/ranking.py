"""What the order of the scores says, under any weights of the clips: AUC, average precision and the two ROC figures.

A resample is a column of clip weights. Where each score stands among the others is worked out once, so that every
figure of every resample is a few sums; each equals scikit-learn's on arrays in which clips are repeated by weight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dfd.metrics.arrays import Floats, Ints

ROUNDING = 1e-12  # of a false-positive rate that is just what is allowed


@dataclass(frozen=True, slots=True)
class Ranking:
    """R real and F fake clips in the order of their scores, and where those of one class stand in the other."""

    real: Ints  # (R,) real clips by rising score
    fake: Ints  # (F,) fake clips by rising score
    below: Ints  # (F,) real clips that score below each fake
    upto: Ints  # (F,) real clips that score at or below it
    lower: Ints  # (F,) fakes that score below each fake
    passed: Ints  # (R,) fakes that score at or below each real clip
    levels: Ints  # (2, L + 1) real and fake clips below each of the L distinct scores; all of them in the last column

    @classmethod
    def of(cls, labels: Ints, scores: Floats) -> Self:
        """Rank the scores once."""
        real, fake = (np.flatnonzero(labels == label) for label in (0, 1))
        real, fake = real[np.argsort(scores[real])], fake[np.argsort(scores[fake])]
        of_reals, of_fakes = scores[real], scores[fake]
        below, upto = (np.searchsorted(of_reals, of_fakes, side=side) for side in ("left", "right"))
        thresholds = np.append(np.unique(scores), np.inf)
        return cls(
            real,
            fake,
            below,
            upto,
            lower=np.searchsorted(of_fakes, of_fakes),
            passed=np.searchsorted(of_fakes, of_reals, side="right"),
            levels=np.stack([np.searchsorted(own, thresholds) for own in (of_reals, of_fakes)]),
        )

    def auc(self, weights: Floats) -> Floats:
        """(B,) Mann-Whitney AUC under (N, B) clip weights, ties counting half; NaN where a class weighs nothing."""
        reals, fakes = _sums(weights[self.real]), weights[self.fake]
        pairs = reals[-1] * fakes.sum(axis=0)
        wins = self._wins(reals, fakes, reals[self.below])
        return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    def figures(self, weights: Floats) -> dict[str, Floats]:
        """auc, average_precision, eer, tpr_at_fpr_1 and tpr_at_fpr_5, each (B,), under (N, B) clip weights.

        Both classes must weigh something in every column, as those of `draws` do.
        """
        fakes = weights[self.fake]
        reals, found = _sums(weights[self.real]), _sums(fakes)
        below = reals[self.below]
        return {
            "auc": self._wins(reals, fakes, below) / (reals[-1] * found[-1]),
            "average_precision": self._average_precision(reals[-1] - below, fakes, found),
            "eer": self._equal_error_rate(reals, found),
            "tpr_at_fpr_1": self._found_at(0.01, reals, found),
            "tpr_at_fpr_5": self._found_at(0.05, reals, found),
        }

    def _wins(self, reals: Floats, fakes: Floats, below: Floats) -> Floats:
        """(B,) weighted pairs of a fake and a real clip that scores below it, ties counting half."""
        return (np.einsum("fb,fb->b", fakes, below) + np.einsum("fb,fb->b", fakes, reals[self.upto])) / 2

    def _average_precision(self, false: Floats, fakes: Floats, found: Floats) -> Floats:
        """(B,): the precision at each fake's score, averaged over the fakes by weight.

        Args:
            false: (F, B) real clips at or above each fake's score.
            fakes: (F, B) the fakes' own weights.
            found: (F + 1, B) sums of these.
        """
        called = found[-1] - found[self.lower]
        precision = np.divide(called, called + false, out=np.zeros_like(called), where=called > 0)
        return np.einsum("fb,fb->b", fakes, precision) / found[-1]

    def _equal_error_rate(self, reals: Floats, found: Floats) -> Floats:
        """(B,): between the two neighbouring thresholds at which the larger error changes sides, interpolated."""
        columns = np.arange(reals.shape[1])
        below, missed = self.levels

        def errors(level: Ints) -> tuple[Floats, Floats]:
            """False-negative and false-positive rates at thresholds; the first rises with the level."""
            return found[missed[level], columns] / found[-1], 1 - reals[below[level], columns] / reals[-1]

        def turned(level: Ints) -> NDArray[np.bool_]:
            negative, positive = errors(level)
            return negative > positive

        above = _first(turned, len(below) - 1, len(columns))
        (negative, positive), (negative_before, positive_before) = errors(above), errors(above - 1)
        gap, gap_before = negative - positive, negative_before - positive_before
        return positive + gap / (gap - gap_before) * (positive_before - positive)

    def _found_at(self, most: float, reals: Floats, found: Floats) -> Floats:
        """(B,): fakes above the highest-scoring real clip that is one too many."""
        columns = np.arange(reals.shape[1])
        allowed = reals[-1] * (most + ROUNDING)
        few = _first(lambda place: reals[-1] - reals[place, columns] <= allowed, len(self.real), len(columns))
        return 1 - found[self.passed[few - 1], columns] / found[-1]


def _sums(weights: Floats) -> Floats:
    """(N + 1, B): the weights of the first n clips, n from 0."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _first(reached: Callable[[Ints], NDArray[np.bool_]], last: int, columns: int) -> Ints:
    """(columns,) the first place at which `reached` holds, by bisection: from there on it does, at `last`, not at 0."""
    low, high = np.zeros(columns, np.int64), np.full(columns, last)
    for _ in range(last.bit_length()):
        middle = (low + high) // 2
        there = reached(middle)
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    return high
