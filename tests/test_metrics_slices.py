"""Slices: every value's figures, methods against all real clips, and the gap between the best and the worst."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dfd.errors import ManifestError
from dfd.metrics import slices


def predictions(people: int = 30, seed: int = 0) -> pd.DataFrame:
    """Each person has a real clip, an easy fake and a hard one; half of them are in light, half in the dark."""
    generator = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        for method, mean in (("original", 0.3), ("easy", 0.8), ("hard", 0.4)):
            rows.append(
                {
                    "corpus": "a",
                    "clip_id": f"{method}/{person}",
                    "label": int(method != "original"),
                    "p_fake": float(np.clip(generator.normal(mean, 0.15), 0, 1)),
                    "threshold": 0.5,
                    "method": method,
                    "light": "day" if person % 2 else "night",
                    "target_identity": f"p{person}",
                    "source_identity": "",
                }
            )
    return pd.DataFrame(rows)


def test_a_method_is_its_fakes_against_all_real_clips() -> None:
    table = predictions()
    found = slices(table, "method").rows.set_index("value")
    assert list(found.index) == ["easy", "hard"]
    for method in found.index:
        chosen = table[table["method"].isin(["original", method])]
        assert found.loc[method, "auc"] == pytest.approx(roc_auc_score(chosen["label"], chosen["p_fake"]))
        assert (found.loc[method, "real"], found.loc[method, "fake"]) == (30, 30)
        fakes = table[table["method"] == method]
        assert found.loc[method, "acc_fake"] == pytest.approx((fakes["p_fake"] >= 0.5).mean())
        assert found.loc[method, "auc_low"] <= found.loc[method, "auc"] <= found.loc[method, "auc_high"]


def test_another_column_is_sliced_by_its_clips_alone() -> None:
    table = predictions()
    found = slices(table, "light").rows.set_index("value")
    for light, own in table.groupby("light"):
        assert found.loc[light, "clips"] == len(own)
        assert found.loc[light, "auc"] == pytest.approx(roc_auc_score(own["label"], own["p_fake"]))
        right = (own["p_fake"] >= own["threshold"]) == (own["label"] == 1)
        assert found.loc[light, "accuracy"] == pytest.approx(right.mean())


def test_the_gap_is_between_the_best_and_the_worst_with_an_interval() -> None:
    found = slices(predictions(), "method")
    assert {gap.metric for gap in found.gaps} == {"accuracy", "auc"}
    (gap,) = [gap for gap in found.gaps if gap.metric == "auc"]
    rows = found.rows.set_index("value")
    assert (gap.best, gap.worst) == ("easy", "hard")
    assert gap.difference == pytest.approx(rows.loc["easy", "auc"] - rows.loc["hard", "auc"])
    assert 0 < gap.low <= gap.difference <= gap.high


def test_a_slice_of_one_class_has_no_auc_and_makes_no_gap() -> None:
    table = predictions().assign(kind=lambda rows: np.where(rows["label"] == 1, "made", "filmed"))
    found = slices(table, "kind")
    assert found.rows["auc"].isna().all()
    assert found.rows["auc_low"].isna().all()
    assert found.rows["accuracy"].between(0, 1).all()
    assert [gap.metric for gap in found.gaps] == ["accuracy"]


def test_a_slice_that_most_resamples_lack_has_no_interval() -> None:
    table = predictions().assign(
        rare=lambda rows: np.where(rows["target_identity"] == "p3", "one person", "all others")
    )
    found = slices(table, "rare").rows.set_index("value")
    assert np.isfinite(found.loc["one person", "accuracy"])
    assert np.isfinite(found.loc["all others", "auc_low"])
    lonely = table.assign(rare=lambda rows: np.where(rows["target_identity"].isin(["p3"]), rows["method"], "rest"))
    assert slices(lonely, "rare").rows.set_index("value").loc["easy", ["auc", "auc_low"]].isna().all()


def test_an_unknown_column_is_named_and_the_known_ones_too() -> None:
    with pytest.raises(ManifestError, match="no column 'gender' to slice by; they have corpus, clip_id"):
        slices(predictions(), "gender")
