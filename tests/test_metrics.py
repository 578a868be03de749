"""Figures against scikit-learn, by hand, and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dfd.metrics import choose_threshold, clip_metrics, confusion, equal_error_rate, intervals, roc

LABELS = [0, 0, 0, 1, 1, 1]
SCORES = [0.1, 0.4, 0.6, 0.5, 0.8, 0.9]


def test_figures_by_hand() -> None:
    found = clip_metrics(LABELS, SCORES, threshold=0.5)
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["acc_real"] == pytest.approx(2 / 3)
    assert found["acc_fake"] == 1
    assert found["auc"] == pytest.approx(8 / 9)
    assert found["precision"] == pytest.approx(3 / 4)
    assert found["eer"] == pytest.approx(1 / 3)


def test_a_score_on_the_threshold_is_fake() -> None:
    assert confusion([0, 1], [0.5, 0.5], 0.5).tolist() == [[0, 1], [0, 1]]


def test_confusion_has_truth_in_rows() -> None:
    """The public code swaps false positives and false negatives."""
    assert confusion([0, 0, 0, 1], [0.9, 0.1, 0.1, 0.1], 0.5).tolist() == [[2, 1], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "scores", "said"),
    [
        ([1, 1], [0.1, 0.2], "both real and fake"),
        ([0, 1], [0.1, float("nan")], "not numbers"),
        ([0, 1, 1], [0.1, 0.2], "equally long"),
    ],
)
def test_impossible_input_is_refused(labels: list[int], scores: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clip_metrics(labels, scores, 0.5)


scored = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=60).filter(
    lambda rows: len({fake for fake, _ in rows}) == 2
)


@given(scored)
@settings(deadline=None)
def test_the_threshold_is_the_best_there_is(rows: list[tuple[bool, float]]) -> None:
    labels, scores = np.array([int(fake) for fake, _ in rows]), np.array([score for _, score in rows])

    def balanced(threshold: float) -> float:
        said = scores >= threshold
        return (said[labels == 1].mean() + (~said[labels == 0]).mean()) / 2

    threshold, fpr = choose_threshold(labels, scores)
    assert 0 <= threshold <= 1
    assert fpr == pytest.approx((scores[labels == 0] >= threshold).mean())
    best = max(balanced(level) for level in [0.0, *np.unique(scores), np.nextafter(scores.max(), 2)])
    assert balanced(threshold) == pytest.approx(best)


@given(scored)
@settings(deadline=None)
def test_rates_stay_in_range(rows: list[tuple[bool, float]]) -> None:
    labels, scores = [int(fake) for fake, _ in rows], [score for _, score in rows]
    assert 0 <= equal_error_rate(labels, scores) <= 1
    curve = roc(labels, scores)
    assert (curve.fpr.iloc[0], curve.tpr.iloc[0]) == (0, 0)
    assert (curve.fpr.iloc[-1], curve.tpr.iloc[-1]) == (1, 1)


def test_intervals_hold_the_estimate_and_shrink_with_people() -> None:
    generator = np.random.default_rng(0)

    def width(people: int) -> float:
        labels = np.tile([0, 1], people)
        scores = (generator.normal(labels * 1.5, 1) + 4) / 10
        groups = [f"p{row // 2}" for row in range(2 * people)]
        low, high = intervals(labels, scores.clip(0, 1), groups, 0.5, resamples=500)["auc"]
        assert low <= roc_auc_score(labels, scores.clip(0, 1)) <= high
        return high - low

    assert width(200) < width(20)


def test_clips_of_one_person_are_drawn_together() -> None:
    """Ten copies of each clip say nothing new: the interval must not shrink."""
    generator = np.random.default_rng(1)
    labels = np.tile([0, 1], 15)
    scores = ((generator.normal(labels, 1) + 4) / 10).clip(0, 1)
    groups = [f"p{row // 2}" for row in range(30)]
    once = intervals(labels, scores, groups, 0.5, seed=3)["auc"]
    copied = intervals(np.tile(labels, 10), np.tile(scores, 10), groups * 10, 0.5, seed=3)["auc"]
    assert copied == pytest.approx(once, abs=1e-12)


def test_the_bootstraps_auc_is_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 200)
    scores = generator.random(200).round(1)  # ties
    only_one = intervals(labels, scores, ["everyone"] * 200, 0.5, resamples=3)["auc"]
    assert only_one == pytest.approx((roc_auc_score(labels, scores),) * 2)
