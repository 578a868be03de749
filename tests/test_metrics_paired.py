"""Two detectors on the same clips: tests against direct computation, against a bootstrap, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from dfd.errors import ManifestError
from dfd.metrics import People, Ranking, delong, draws, mcnemar, paired


def predictions(scores: np.ndarray, *, threshold: float = 0.5) -> pd.DataFrame:
    """Predictions of 2 clips a person: a real one and a fake with the next person as source, pairs as in FF++."""
    count = len(scores) // 2
    people = np.array([f"p{number:03d}" for number in range(count)])
    return pd.DataFrame(
        {
            "corpus": "a",
            "clip_id": [f"real/{name}" for name in people] + [f"fake/{name}" for name in people],
            "split": "test",
            "label": [0] * count + [1] * count,
            "p_fake": scores,
            "threshold": threshold,
            "method": ["original"] * count + ["swap"] * count,
            "target_identity": np.tile(people, 2),
            "source_identity": [""] * count + list(people[np.arange(count) ^ 1]),
        }
    )


def two_detectors(people: int, gain: float, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first tells fakes apart by 1, the second by 1 + gain, and both meet the same difficulty of clips."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], people)
    shared = generator.normal(0, 0.7, 2 * people)
    scores = [
        1 / (1 + np.exp(-((labels - 0.5) * strength + shared + generator.normal(0, 0.7, 2 * people))))
        for strength in (1.0, 1.0 + gain)
    ]
    return predictions(scores[0]), predictions(scores[1])


def direct_delong(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Both AUC and the two-sided p by comparing every fake with every real clip, as DeLong et al. write it."""
    wins = []
    for scores in (a, b):
        fake, real = scores[labels == 1][:, None], scores[labels == 0][None, :]
        wins.append((fake > real) + (fake == real) / 2)
    by_fake, by_real = (np.stack([won.mean(axis=axis) for won in wins]) for axis in (1, 0))
    spread = np.cov(by_fake) / by_fake.shape[1] + np.cov(by_real) / by_real.shape[1]
    aucs = [float(won.mean()) for won in wins]
    variance = spread[0, 0] + spread[1, 1] - spread[0, 1] - spread[1, 0]
    return aucs[0], aucs[1], float(2 * norm.sf(abs(aucs[0] - aucs[1]) / np.sqrt(variance)))


both = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=50).filter(
    lambda rows: min(sum(fake for fake, *_ in rows), sum(not fake for fake, *_ in rows)) >= 2
)


@given(both)
@settings(deadline=None)
def test_delong_by_midranks_is_delong_by_all_pairs(rows: list[tuple[bool, int, int]]) -> None:
    labels = np.array([int(fake) for fake, *_ in rows])
    a, b = (np.array([row[place] / 9 for row in rows]) for place in (1, 2))
    aucs, p = delong(labels, a, b)
    assert aucs == pytest.approx((roc_auc_score(labels, a), roc_auc_score(labels, b)))
    assert 0 <= p <= 1
    with np.errstate(divide="ignore", invalid="ignore"):
        *direct, expected = direct_delong(labels, a, b)
    assert aucs == pytest.approx(tuple(direct))
    if abs(direct[0] - direct[1]) < 1e-12:
        assert p == 1
    elif np.isfinite(expected):
        assert p == pytest.approx(expected, abs=1e-9)


def test_delong_agrees_with_a_bootstrap_of_clips() -> None:
    """Where every clip is of another person, the error behind DeLong's p is that of resampled clips."""
    one, other = two_detectors(150, 0.4)
    labels = one["label"].to_numpy()
    scores = [table["p_fake"].to_numpy() for table in (one, other)]
    first, second = (Ranking.of(labels, given) for given in scores)
    clips = People.of([f"clip{row}" for row in range(300)])
    gaps = [first.auc(weights) - second.auc(weights) for weights in draws(clips, labels, 4000, seed=1)]
    aucs, p = delong(labels, *scores)
    error = abs(aucs[0] - aucs[1]) / norm.isf(p / 2)
    assert error == pytest.approx(np.std(np.concatenate(gaps)), rel=0.08)


@given(st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_mcnemar_is_the_exact_binomial(only_a: int, only_b: int) -> None:
    total, least = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * binom.cdf(least, total, 0.5)) if total else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected)
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


def test_a_better_detector_is_shown_so() -> None:
    worse, better = two_detectors(200, 2.0)
    found = paired(better, worse, ("new", "old"), resamples=500)
    assert found.clips == 400
    assert found.people == 200
    for name, figure in (("accuracy", found.accuracy), ("auc", found.auc)):
        assert figure.low <= figure.difference <= figure.high, name
        assert figure.low > 0, name
        assert figure.p < 0.01, name
    assert found.accuracy.difference == pytest.approx((found.only_a_right - found.only_b_right) / found.clips)
    assert found.text.startswith("On the same 400 clips of 200 people, new against old: accuracy +")
    assert found.text.count(".\n") == 0
    assert "both intervals leave zero out" in found.text
    assert "people recur" in found.caution


def test_the_order_of_clips_and_of_detectors_changes_nothing_but_signs() -> None:
    one, other = two_detectors(40, 0.5)
    found = paired(one, other, resamples=300)
    assert paired(one, other.sample(frac=1, random_state=0), resamples=300) == found
    turned = paired(other, one, resamples=300)
    for name in ("accuracy", "auc"):
        there, back = getattr(found, name), getattr(turned, name)
        assert (back.a, back.b, back.p) == pytest.approx((there.b, there.a, there.p))
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_a_detector_does_not_differ_from_itself() -> None:
    one, _ = two_detectors(30, 0.0)
    found = paired(one, one, resamples=100)
    for figure in (found.accuracy, found.auc):
        assert (figure.difference, figure.low, figure.high, figure.p) == (0, 0, 0, 1)
    assert "neither interval leaves zero out" in found.text


def test_each_detector_is_judged_at_its_own_threshold() -> None:
    one, _ = two_detectors(30, 0.0)
    doubled = one.assign(p_fake=one["p_fake"] / 2, threshold=0.25)
    found = paired(one, doubled, resamples=100)
    assert found.only_a_right == found.only_b_right == 0


def test_clips_of_one_person_that_all_gain_convince_tests_of_clips_alone() -> None:
    """Ten copies of every clip: the p-values fall, the interval over people stays."""
    one, other = two_detectors(60, 0.8, seed=1)
    once = paired(one, other, resamples=400)
    copies = [
        pd.concat([table.assign(clip_id=table["clip_id"] + f"/{copy}") for copy in range(10)]) for table in (one, other)
    ]
    many = paired(*copies, resamples=400)
    assert many.accuracy.p < once.accuracy.p
    assert many.auc.p < once.auc.p
    assert (many.auc.low, many.auc.high) == pytest.approx((once.auc.low, once.auc.high))


def test_it_is_plain_json() -> None:
    one, other = two_detectors(30, 0.5)
    found = paired(one, other, resamples=100)
    told = json.loads(json.dumps(found.to_json()))
    assert told["auc"]["a"] == found.auc.a
    assert told["difference"]["auc"] == found.auc.difference
    assert told["text"] == found.text


def test_other_clips_are_refused_by_name() -> None:
    one, other = two_detectors(10, 0.0)
    with pytest.raises(ManifestError, match=r"2 are in the first alone \(for example a/fake/p008\);? ?"):
        paired(one, other.iloc[:-2])
    with pytest.raises(ManifestError, match=r"1 are in the first alone .* and 1 are in the second alone"):
        paired(one.iloc[1:], other.iloc[:-1])
    with pytest.raises(ManifestError, match="a/real/p000 is labelled real in one and fake in the other"):
        paired(one, other.assign(label=[1, *other["label"].iloc[1:]]))
    with pytest.raises(ManifestError, match="a clip occurs twice"):
        paired(pd.concat([one, one.iloc[:1]]), pd.concat([other, other.iloc[:1]]))


def test_too_few_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="two real and two fake"):
        delong([0, 1, 1], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1])
    with pytest.raises(ValueError, match="both real and fake"):
        paired(*(table[table["label"] == 1] for table in two_detectors(10, 0.0)))
