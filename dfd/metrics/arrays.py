"""Labels and scores as every figure takes them: checked once, in one form."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def checked(labels: ArrayLike, p_fake: ArrayLike) -> tuple[Ints, Floats]:
    """Labels (N,) int64 and p_fake (N,) float64.

    Raises:
        ValueError: unequal lengths, values that are no probabilities, or one class only.
    """
    truth = np.asarray(labels, dtype=np.int64)
    scores = np.asarray(p_fake, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and p_fake {scores.shape} must be one-dimensional and equally long")
    if not np.isfinite(scores).all():
        raise ValueError("p_fake has values that are not numbers")
    if ((scores < 0) | (scores > 1)).any():
        raise ValueError("p_fake has values outside [0, 1]")
    if set(np.unique(truth)) != {0, 1}:
        raise ValueError("both real and fake clips are needed")
    return truth, scores
