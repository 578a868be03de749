"""Whether p_fake means what it says, and the one number that mends it: a temperature, fitted on validation.

Temperature scaling (Guo et al., ICML 2017) divides the logit of p_fake by one scalar. It moves no clip past another, so
AUC and every decision stay as they are: the stored threshold belongs to p_fake as the detector gives it.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from dfd.metrics.arrays import Floats, checked

BINS = 15
COOLEST, HOTTEST = 0.05, 20.0
NEAREST = 1e-7  # to 0 and 1: float32 softmax gives both exactly, and their logits are infinite


def reliability(labels: ArrayLike, p_fake: ArrayLike) -> pd.DataFrame:
    """p_fake in equal bins against the share of fakes in each: one row a bin that has clips.

    Returns:
        low, high (the bin), clips, p_fake (mean), fakes (share).
    """
    truth, scores = checked(labels, p_fake)
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    clips = np.bincount(place, minlength=BINS)
    filled = np.flatnonzero(clips)
    means = {
        name: np.bincount(place, values, minlength=BINS)[filled] / clips[filled]
        for name, values in (("p_fake", scores), ("fakes", truth))
    }
    return pd.DataFrame({"low": filled / BINS, "high": (filled + 1) / BINS, "clips": clips[filled], **means})


def expected_calibration_error(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """Mean distance of p_fake from the share of fakes, over `reliability`'s bins, each weighing as many clips it has.

    Few clips make it too high: even a calibrated detector's bins scatter about their p_fake.
    """
    table = reliability(labels, p_fake)
    return float(np.average((table["p_fake"] - table["fakes"]).abs(), weights=table["clips"]))


def cross_entropy(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """Log loss, with p_fake kept off 0 and 1 so that one certain mistake is not infinitely bad."""
    truth, scores = checked(labels, p_fake)
    return float(log_loss(truth, _inside(scores)))


def fit_temperature(labels: ArrayLike, p_fake: ArrayLike) -> float:
    """The temperature with the lowest log loss, between `COOLEST` and `HOTTEST`; above 1 the detector was too sure.

    To be called on validation clips, never on test. Classes that p_fake separates whole would be fitted best at zero:
    they get `COOLEST`.
    """
    truth, scores = checked(labels, p_fake)
    found = minimize_scalar(
        lambda power: cross_entropy(truth, calibrated(scores, float(np.exp(power)))),
        bounds=(np.log(COOLEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def fits(temperature: float) -> bool:
    """Whether a temperature was found inside the range: one at its ends says that no temperature fits."""
    return 1.01 * COOLEST < temperature < HOTTEST / 1.01


def calibrated(p_fake: ArrayLike, temperature: float) -> Floats:
    """(N,) p_fake with its logit divided by the temperature."""
    if not temperature > 0:
        raise ValueError(f"a temperature is above 0, not {temperature}")
    return np.asarray(expit(logit(_inside(np.asarray(p_fake, dtype=np.float64))) / temperature))


def _inside(scores: Floats) -> Floats:
    return np.clip(scores, NEAREST, 1 - NEAREST)
