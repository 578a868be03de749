"""Intervals: equal to resampled arrays, wide where people are few, honest where fakes share people."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import f1_score, log_loss, precision_score, roc_auc_score

from dfd.metrics import (
    INTERVAL_METRICS,
    People,
    Ranking,
    clip_metrics,
    draws,
    expected_calibration_error,
    intervals,
)
from dfd.metrics.intervals import FEWEST, RATES


def pairs_of_people(count: int) -> tuple[list[str], list[str]]:
    """Targets and sources as in FaceForensics++: two people, a real clip each, and each in the other's place."""
    targets, sources = [], []
    for pair in range(count):
        a, b = f"a{pair}", f"b{pair}"
        targets += [a, b, a, b]
        sources += ["", "", b, a]
    return targets, sources


def everybody_with_everybody(count: int, each: int = 4) -> tuple[list[str], list[str], np.ndarray]:
    """Targets, sources and labels as in Celeb-DF."""
    people = [f"p{number}" for number in range(count)]
    swaps = [(target, source) for target in people for source in people if target != source]
    targets = people * each + [target for target, _ in swaps]
    sources = [""] * (count * each) + [source for _, source in swaps]
    return targets, sources, np.array([int(source != "") for source in sources])


def test_intervals_hold_the_estimate_and_shrink_with_people() -> None:
    generator = np.random.default_rng(0)

    def width(people: int) -> float:
        labels = np.tile([0, 1], people)
        scores = ((generator.normal(labels * 1.5, 1) + 4) / 10).clip(0, 1)
        spans = intervals(labels, scores, [f"p{row // 2}" for row in range(2 * people)], 0.5, resamples=500)
        figures = clip_metrics(labels, scores, 0.5)
        for name, (low, high) in spans.items():
            assert low <= figures[name] <= high, name
        return spans["auc"][1] - spans["auc"][0]

    assert width(200) < width(20)


def test_clips_of_one_person_are_drawn_together() -> None:
    """Ten copies of each clip say nothing new: the interval must not shrink."""
    generator = np.random.default_rng(1)
    labels = np.tile([0, 1], 15)
    scores = ((generator.normal(labels, 1) + 4) / 10).clip(0, 1)
    groups = [f"p{row // 2}" for row in range(30)]
    once = intervals(labels, scores, groups, 0.5, seed=3, resamples=2000)["auc"]
    copied = intervals(np.tile(labels, 10), np.tile(scores, 10), groups * 10, 0.5, seed=3, resamples=2000)["auc"]
    assert copied == pytest.approx(once)


def test_frames_bring_no_certainty_of_their_own() -> None:
    targets, sources = pairs_of_people(20)
    labels = np.array([int(source != "") for source in sources])
    scores = np.random.default_rng(2).random(len(labels))
    people = People.of(targets, sources)
    clips = intervals(labels, scores, people, 0.5, resamples=300)
    frames = intervals(labels.repeat(5), scores.repeat(5), people.repeat(5), 0.5, resamples=300)
    assert set(frames) == set(clips)
    for name in clips:
        assert frames[name] == pytest.approx(clips[name]), name


levels = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 8)), min_size=2, max_size=30).filter(
    lambda rows: len({fake for fake, *_ in rows}) == 2
)


@given(levels, st.randoms())
@settings(deadline=None)
def test_weights_are_resampled_arrays(rows: list[tuple[bool, int, int]], random: object) -> None:
    """AUC under integer weights is scikit-learn's on arrays in which each clip is repeated as often, ties and all."""
    labels = np.array([int(fake) for fake, *_ in rows])
    scores = np.array([level / 5 for _, level, _ in rows])
    weights = np.array([[weight, 1.0] for *_, weight in rows])
    found = Ranking.of(labels, scores).auc(weights)
    assert found[1] == pytest.approx(roc_auc_score(labels, scores))
    taken = np.repeat(np.arange(len(rows)), weights[:, 0].astype(int))
    if len(set(labels[taken])) == 2:
        assert found[0] == pytest.approx(roc_auc_score(labels[taken], scores[taken]))
    else:
        assert np.isnan(found[0])


CURVE = ("auc", "average_precision", "eer", "tpr_at_fpr_1", "tpr_at_fpr_5")


@given(levels)
@settings(deadline=None)
def test_every_figure_of_the_curves_under_weights_is_that_of_resampled_arrays(
    rows: list[tuple[bool, int, int]],
) -> None:
    labels = np.array([int(fake) for fake, *_ in rows])
    scores = np.array([level / 5 for _, level, _ in rows])
    weights = np.array([weight for *_, weight in rows], dtype=np.float64)
    columns = [column for column in (weights, weights + 1, np.ones(len(rows))) if both_weigh(labels, column)]
    found = Ranking.of(labels, scores).figures(np.stack(columns, axis=1))
    assert set(found) == set(CURVE)
    for place, column in enumerate(columns):
        taken = np.repeat(np.arange(len(rows)), column.astype(int))
        expected = clip_metrics(labels[taken], scores[taken], 0.5)
        for name in CURVE:
            assert found[name][place] == pytest.approx(expected[name]), name


def both_weigh(labels: np.ndarray, weights: np.ndarray) -> bool:
    return all(weights[labels == label].sum() > 0 for label in (0, 1))


def test_a_rate_that_allows_too_few_people_has_no_interval() -> None:
    """It is nearly the maximum of the real clips' scores, which resamples repeat."""
    generator = np.random.default_rng(0)

    def told(people: int) -> set[str]:
        labels = np.tile([0, 1], people)
        scores = ((generator.normal(labels, 1) + 4) / 9).clip(0, 1)
        return set(intervals(labels, scores, [f"p{row // 2}" for row in range(2 * people)], 0.5, resamples=50))

    always = set(INTERVAL_METRICS) - set(RATES)
    few, more, many = (int(FEWEST / rate) + change for rate, change in ((0.05, -1), (0.05, 0), (0.01, 0)))
    assert told(few) == always
    assert told(more) == always | {"tpr_at_fpr_5"}
    assert told(many) == set(INTERVAL_METRICS)


def test_the_calibration_error_has_no_interval_since_resamples_go_beyond_it() -> None:
    """Honest probabilities, whose true error is 0: what is resampled is further from it than what was measured."""
    generator = np.random.default_rng(0)
    scores = generator.random(200)
    labels = (generator.random(200) < scores).astype(int)
    people = People.of([f"p{row}" for row in range(200)])
    resampled = []
    for column in np.concatenate(list(draws(people, labels, 200, seed=0)), axis=1).T:
        taken = np.repeat(np.arange(200), column.astype(int))
        resampled.append(expected_calibration_error(labels[taken], scores[taken]))
    assert np.mean(np.array(resampled) > expected_calibration_error(labels, scores)) > 0.9
    assert "ece" not in intervals(labels, scores, people, 0.5, resamples=50)


def test_every_interval_is_that_of_resampled_arrays() -> None:
    targets, sources = pairs_of_people(120)
    labels = np.array([int(source != "") for source in sources])
    scores = np.random.default_rng(4).random(len(labels)).round(1)
    people = People.of(targets, sources)
    values: dict[str, list[float]] = {name: [] for name in INTERVAL_METRICS}
    for column in np.concatenate(list(draws(people, labels, 60, seed=5)), axis=1).T:
        taken = np.repeat(np.arange(len(labels)), column.astype(int))
        truth, p_fake = labels[taken], scores[taken]
        said = p_fake >= 0.45
        values["accuracy"].append(float((said == truth).mean()))
        values["acc_real"].append(float((~said[truth == 0]).mean()))
        values["acc_fake"].append(float(said[truth == 1].mean()))
        values["recall"].append(float(said[truth == 1].mean()))
        values["precision"].append(precision_score(truth, said, zero_division=0))
        values["f1"].append(f1_score(truth, said))
        values["auc"].append(roc_auc_score(truth, p_fake))
        values["log_loss"].append(log_loss(truth, p_fake.clip(1e-7, 1 - 1e-7)))
        others = clip_metrics(truth, p_fake, 0.45)
        for name in ("average_precision", "eer", "tpr_at_fpr_5"):
            values[name].append(others[name])
    found = intervals(labels, scores, people, 0.45, resamples=60, seed=5)
    assert {name for name, drawn in values.items() if drawn} == set(found)
    for name, drawn in values.items():
        if not drawn:
            continue
        assert found[name] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975]))), name


def test_small_groups_of_people_are_drawn_whole() -> None:
    targets, sources = pairs_of_people(12)
    people = People.of(targets, sources)
    assert (people.unit, people.drawn) == ("groups", 12)
    for weights in draws(people, np.array([int(source != "") for source in sources]), 50, seed=0):
        assert (weights.reshape(12, 4, -1) == weights.reshape(12, 4, -1)[:, :1]).all()
        assert (weights.sum(axis=0) == len(targets)).all()


def test_where_all_hang_together_a_fake_comes_as_often_as_both_its_people() -> None:
    targets, sources, labels = everybody_with_everybody(6, each=1)
    people = People.of(targets, sources)
    assert (people.unit, people.drawn) == ("people", 6)
    for weights in draws(people, labels, 50, seed=0):
        of = dict(zip(targets, weights[:6], strict=False))  # real clips: one a person
        for row in range(6, len(targets)):
            np.testing.assert_array_equal(weights[row], of[targets[row]] * of[sources[row]])
        assert (weights[:6].sum(axis=0) == 6).all()


def test_a_fake_of_oneself_is_of_one_person() -> None:
    assert (People.of(["a", "b", "a"], ["", "", "a"]).second == -1).all()


def test_both_people_of_a_fake_count_or_the_interval_is_too_sure() -> None:
    """Simulated, with fakes as good as their sources: drawing targets alone misses the truth, drawing both does not."""
    targets, sources, labels = everybody_with_everybody(20)
    source = np.array([int(name[1:] or -1) for name in sources])
    truth = norm.cdf(1 / np.sqrt(1 + 2))  # means apart by 1; variances 1 of a real clip's score, 2 of a fake's
    generator = np.random.default_rng(0)
    worlds = [
        np.where(labels == 1, 1 + generator.normal(0, 1, 20)[source], 0) + generator.normal(0, 1, len(labels))
        for _ in range(60)
    ]

    def held(people: People) -> float:
        spans = [intervals(labels, norm.cdf(given), people, 0.5, resamples=200)["auc"] for given in worlds]
        return float(np.mean([low <= truth <= high for low, high in spans]))

    assert held(People.of(targets, sources)) >= 0.9
    assert held(People.of(targets)) < 0.8


@pytest.mark.parametrize(
    ("targets", "sources", "said"),
    [
        (["a", "a", "a", "b"], None, "one class are of one person"),
        (["a", "b", "c", "d"], ["", ""], "equally many"),
        (["a", "b", "c", ""], None, "no target"),
    ],
)
def test_too_few_people_or_none_are_refused(targets: list[str], sources: list[str] | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        intervals([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], People.of(targets, sources), 0.5)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_clips() -> None:
    targets, sources = pairs_of_people(12)
    labels = np.array([int(source != "") for source in sources])
    scores = np.random.default_rng(6).random(len(labels))
    order = np.random.default_rng(7).permutation(len(labels))
    one = intervals(labels, scores, People.of(targets, sources), 0.5, resamples=200)
    mixed = People.of([targets[at] for at in order], [sources[at] for at in order])
    other = intervals(labels[order], scores[order], mixed, 0.5, resamples=200)
    assert set(one) == set(other)
    for name in one:
        assert one[name] == pytest.approx(other[name]), name
