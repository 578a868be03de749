"""Slices: every value's figures, methods against all real clips, and the gap between the best and the worst."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dfd.errors import ManifestError
from dfd.metrics import columns_to_slice_by, slices


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


def with_gender() -> pd.DataFrame:
    """As `predictions`, of a corpus that says of two in three people whether they are women."""
    table = predictions()
    number = table["target_identity"].str.removeprefix("p").astype(int)
    return table.assign(**{"attribute.gender": np.array(["", "female", "male"])[number % 3]})


def test_an_attribute_of_the_corpus_goes_by_its_own_name() -> None:
    table = with_gender()
    found, same = slices(table, "gender"), slices(table, "attribute.gender")
    assert found.column == same.column == "gender"
    pd.testing.assert_frame_equal(found.rows, same.rows)
    rows = found.rows.set_index("value")
    assert list(rows.index) == ["", "female", "male"]
    women = table[table["attribute.gender"] == "female"]
    assert rows.loc["female", "auc"] == pytest.approx(roc_auc_score(women["label"], women["p_fake"]))


def test_clips_of_which_nothing_is_known_are_a_row_and_make_no_gap() -> None:
    table = with_gender()
    nobody = table["attribute.gender"] == ""
    table.loc[nobody, "p_fake"] = 1 - table.loc[nobody, "p_fake"]  # by far the worst
    found = slices(table, "gender")
    assert found.rows.set_index("value").loc["", "auc"] < found.rows["auc"].drop(index=0).min()
    assert {gap.worst for gap in found.gaps} | {gap.best for gap in found.gaps} == {"female", "male"}


def test_a_value_that_a_table_lacks_is_not_known() -> None:
    """Two splits' predictions together have gaps where one of them has no such column."""
    known = with_gender()
    both = pd.concat([known, predictions().assign(clip_id=lambda rows: "other/" + rows["clip_id"])], ignore_index=True)
    rows = slices(both, "gender").rows.set_index("value")
    assert rows.loc["", "clips"] == len(predictions()) + (known["attribute.gender"] == "").sum()


def test_columns_that_tell_clips_apart_are_offered() -> None:
    table = with_gender().assign(**{"attribute.camera": "phone", "compression": "c23", "attribute.id": "x"})
    assert columns_to_slice_by(table) == ["method", "gender"]
    table["attribute.id"] = [str(row) for row in range(len(table))]
    assert columns_to_slice_by(table) == ["method", "gender"], "as many values as clips are no slices"
    one = table[table["method"].isin(["original", "easy"])].assign(**{"attribute.gender": "female"})
    assert columns_to_slice_by(one) == []


def test_slices_are_told_as_text_and_as_plain_json() -> None:
    found = slices(with_gender(), "gender")
    head, *rows = found.text.splitlines()
    assert head.split()[0] == "gender"
    assert [row.split()[0] for row in rows[:3]] == ["(not", "female", "male"]
    assert rows[3].startswith("gap in accuracy: ")
    assert rows[4].startswith("gap in AUC: ")
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["value"] for row in told["slices"]] == ["", "female", "male"]
    assert {gap["metric"] for gap in told["gaps"]} == {"accuracy", "auc"}
    bare = slices(predictions().assign(kind=lambda rows: rows["label"].astype(str)), "kind")
    told = json.loads(json.dumps(bare.to_json(), allow_nan=False))
    assert [row["auc"] for row in told["slices"]] == [None, None]
