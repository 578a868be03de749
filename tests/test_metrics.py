"""Figures and calibration against scikit-learn, by hand, and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from dfd.metrics import (
    calibrated,
    choose_threshold,
    clip_metrics,
    confusion,
    equal_error_rate,
    expected_calibration_error,
    fit_temperature,
    reliability,
    roc,
    tpr_at_fpr,
)
from dfd.metrics.calibration import COOLEST, cross_entropy

LABELS = [0, 0, 0, 1, 1, 1]
SCORES = [0.1, 0.4, 0.6, 0.5, 0.8, 0.9]

scored = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=60).filter(
    lambda rows: len({fake for fake, _ in rows}) == 2
)
Rows = list[tuple[bool, float]]


def columns(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    return np.array([int(fake) for fake, _ in rows]), np.array([score for _, score in rows])


def test_figures_by_hand() -> None:
    found = clip_metrics(LABELS, SCORES, threshold=0.5)
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert found["acc_real"] == pytest.approx(2 / 3)
    assert found["acc_fake"] == 1
    assert found["auc"] == pytest.approx(8 / 9)
    assert found["precision"] == pytest.approx(3 / 4)
    assert found["f1"] == pytest.approx(6 / 7)
    assert found["eer"] == pytest.approx(1 / 3)
    assert found["tpr_at_fpr_1"] == found["tpr_at_fpr_5"] == pytest.approx(2 / 3)
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.6 + 0.5 + 0.2 + 0.1) / 6)  # every clip has a bin of its own


@given(scored, st.floats(0, 1))
@settings(deadline=None)
def test_figures_are_scikit_learns_and_the_definitions(rows: Rows, threshold: float) -> None:
    labels, scores = columns(rows)
    found, said = clip_metrics(labels, scores, threshold), scores >= threshold
    (right_real, wrong_real), (wrong_fake, right_fake) = confusion(labels, scores, threshold).tolist()
    assert found["accuracy"] == pytest.approx((said == labels).mean())
    assert found["acc_real"] == pytest.approx(right_real / (right_real + wrong_real))
    assert found["recall"] == found["acc_fake"] == pytest.approx(right_fake / (right_fake + wrong_fake))
    assert found["precision"] == pytest.approx(right_fake / max(right_fake + wrong_real, 1))
    assert found["f1"] == pytest.approx(2 * right_fake / (2 * right_fake + wrong_real + wrong_fake))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores.clip(1e-7, 1 - 1e-7)))
    fakes, reals = scores[labels == 1], scores[labels == 0]
    pairs = (fakes[:, None] > reals).mean() + (fakes[:, None] == reals).mean() / 2
    assert found["auc"] == pytest.approx(pairs)


@given(scored, st.floats(0, 1), st.randoms())
@settings(deadline=None, max_examples=25)
def test_the_order_of_clips_is_irrelevant(rows: Rows, threshold: float, random: object) -> None:
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert clip_metrics(*columns(mixed), threshold) == pytest.approx(clip_metrics(*columns(rows), threshold))
    assert choose_threshold(*columns(mixed)) == choose_threshold(*columns(rows))
    assert fit_temperature(*columns(mixed)) == pytest.approx(fit_temperature(*columns(rows)), rel=1e-3)


grid = st.lists(st.tuples(st.booleans(), st.integers(0, 50).map(lambda level: level / 50)), min_size=4, max_size=60)


@given(grid.filter(lambda rows: len({fake for fake, _ in rows}) == 2), st.floats(0.2, 5))
@settings(deadline=None, max_examples=25)
def test_what_has_no_threshold_survives_a_monotone_transform(rows: Rows, power: float) -> None:
    labels, scores = columns(rows)
    for name in ("auc", "average_precision", "eer", "tpr_at_fpr_1", "tpr_at_fpr_5"):
        before, after = (clip_metrics(labels, given, 0.5)[name] for given in (scores, scores**power))
        assert after == pytest.approx(before), name


@given(scored)
@settings(deadline=None)
def test_rates_stay_in_range(rows: Rows) -> None:
    labels, scores = columns(rows)
    curve = roc(labels, scores)
    assert (curve.fpr.iloc[0], curve.tpr.iloc[0]) == (0, 0)
    assert (curve.fpr.iloc[-1], curve.tpr.iloc[-1]) == (1, 1)
    assert 0 <= tpr_at_fpr(labels, scores, 0.01) <= tpr_at_fpr(labels, scores, 0.05) <= 1


@given(scored)
@settings(deadline=None)
def test_the_equal_error_rate_lies_between_the_errors_of_every_threshold(rows: Rows) -> None:
    labels, scores = columns(rows)
    found = equal_error_rate(labels, scores)
    for threshold in [*np.unique(scores), np.nextafter(scores.max(), 2)]:
        errors = (scores[labels == 0] >= threshold).mean(), (scores[labels == 1] < threshold).mean()
        assert min(errors) - 1e-9 <= found <= max(errors) + 1e-9


def test_the_rate_at_few_false_positives_is_not_interpolated() -> None:
    labels = [0] * 10 + [1] * 10
    scores = [*np.linspace(0, 0.9, 10), *np.linspace(0.05, 0.95, 10)]
    assert tpr_at_fpr(labels, scores, 0.05) == pytest.approx(0.1)  # ten real clips: none may be called fake
    assert tpr_at_fpr(labels, scores, 0.10) == pytest.approx(0.2)


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
        ([0, 1], [0.1, 1.2], "outside"),
        ([0, 1, 1], [0.1, 0.2], "equally long"),
        ([], [], "both real and fake"),
    ],
)
def test_impossible_input_is_refused(labels: list[int], scores: list[float], said: str) -> None:
    for figure in (
        lambda: clip_metrics(labels, scores, 0.5),
        lambda: choose_threshold(labels, scores),
        lambda: equal_error_rate(labels, scores),
        lambda: tpr_at_fpr(labels, scores, 0.05),
        lambda: expected_calibration_error(labels, scores),
        lambda: fit_temperature(labels, scores),
    ):
        with pytest.raises(ValueError, match=said):
            figure()


@given(scored)
@settings(deadline=None)
def test_the_threshold_is_the_best_there_is(rows: Rows) -> None:
    labels, scores = columns(rows)

    def balanced(threshold: float) -> float:
        said = scores >= threshold
        return (said[labels == 1].mean() + (~said[labels == 0]).mean()) / 2

    threshold, fpr = choose_threshold(labels, scores)
    assert 0 <= threshold <= 1
    assert fpr == pytest.approx((scores[labels == 0] >= threshold).mean())
    best = max(balanced(level) for level in [0.0, *np.unique(scores), np.nextafter(scores.max(), 2)])
    assert balanced(threshold) == pytest.approx(best)


def overconfident(clips: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn at honest probabilities, and those probabilities with their logit multiplied."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, clips)
    labels = (generator.random(clips) < 1 / (1 + np.exp(-logits))).astype(int)
    return labels, 1 / (1 + np.exp(-logits * temperature))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found_and_mends_other_clips(temperature: float) -> None:
    found = fit_temperature(*overconfident(20_000, temperature, seed=0))
    assert found == pytest.approx(temperature, rel=0.05)
    labels, scores = overconfident(20_000, temperature, seed=1)
    after = calibrated(scores, found)
    assert expected_calibration_error(labels, after) < 0.02
    assert cross_entropy(labels, after) <= cross_entropy(labels, scores) + 1e-4
    if temperature != 1:
        assert expected_calibration_error(labels, scores) > 0.06


@given(scored)
@settings(deadline=None, max_examples=25)
def test_no_temperature_is_better_on_the_clips_it_was_fitted_on(rows: Rows) -> None:
    labels, scores = columns(rows)
    best = cross_entropy(labels, calibrated(scores, fit_temperature(labels, scores)))
    for temperature in (0.1, 0.5, 1.0, 2.0, 10.0):
        assert best <= cross_entropy(labels, calibrated(scores, temperature)) + 1e-4


def test_calibration_moves_no_clip_past_another_and_bears_certainty() -> None:
    scores = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    after = calibrated(scores, 2.0)
    assert (np.diff(after) > 0).all()
    assert after[2] == 0.5
    assert np.isfinite(after).all()
    assert 0 < after[0] < after[-1] < 1


def test_whole_separation_gets_the_coolest_temperature() -> None:
    assert fit_temperature([0, 0, 1, 1], [0.4, 0.45, 0.55, 0.6]) == pytest.approx(COOLEST, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        calibrated([0.5], temperature)


@given(scored)
@settings(deadline=None)
def test_reliability_keeps_every_clip_and_the_error_is_within_bounds(rows: Rows) -> None:
    labels, scores = columns(rows)
    table = reliability(labels, scores)
    assert table["clips"].sum() == len(labels)
    assert ((table["low"] - 1e-9 <= table["p_fake"]) & (table["p_fake"] <= table["high"] + 1e-9)).all()
    assert np.average(table["fakes"], weights=table["clips"]) == pytest.approx(labels.mean())
    found = expected_calibration_error(labels, scores)
    assert abs(scores.mean() - labels.mean()) - 1e-9 <= found <= 1
