"""Runs beside runs: the paired test of recorded runs, seeds, and the cross-data-set matrix."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfd import cli, tracking
from dfd.checkpoints import load
from dfd.comparison import across_seeds, cells, columns_of, compare, cross_matrix, one_a_seed, relation, slices_of
from dfd.data import face_corpus
from dfd.errors import ManifestError, StoreError
from dfd.evaluation import evaluate_and_record
from dfd.metrics import clip_metrics
from tests import face_corpora, stores
from tests.commands import dfd
from tests.conftest import tiny_table


@pytest.fixture
def own_store(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs of `tiny_home`, in a home of the test's own that it may write to."""
    home = stores.copied(tiny_home, tmp_path / "own")
    monkeypatch.setenv("DFD_HOME", str(home))
    return home


def detector(corpus: str, length: int, control: str = "") -> str:
    """The id of a run of the tiny sweep."""
    (found,) = [
        row["run_id"]
        for row in tracking.detectors()
        if (row["corpus"], row["sequence_length"], row["control"]) == (corpus, length, control)
    ]
    return str(found)


def test_two_runs_are_compared_on_their_recorded_predictions(tiny_store: Path) -> None:
    one, other = detector("sample-swap", 4), detector("sample-swap", 4, "mean pool")
    found = compare(one, other)
    for run_id, auc, accuracy in (
        (one, found.auc.a, found.accuracy.a),
        (other, found.auc.b, found.accuracy.b),
    ):
        figures = tracking.metrics(run_id)
        assert (auc, accuracy) == pytest.approx((figures["test/auc"], figures["test/accuracy"]))
    assert found.names[1] == f"sample-swap 4 frames, mean pool ({other[:8]})"
    assert compare(one, other, "val").clips == (tracking.predictions(one)["split"] == "val").sum()


def test_what_cannot_be_compared_is_told(tiny_store: Path) -> None:
    swap, reenact = detector("sample-swap", 4), detector("sample-reenact", 4)
    with pytest.raises(ManifestError, match="not tested on the same clips: 6 are in the first alone .*sample-swap/"):
        compare(swap, reenact)
    with pytest.raises(StoreError, match="no predictions of train clips; it has some of test, val"):
        compare(swap, swap, "train")
    with pytest.raises(StoreError, match="no run of the store"):
        compare(swap, "nothing")


def test_predictions_of_an_older_dfd_are_told(store: Path) -> None:
    clips = pd.DataFrame({"corpus": ["a"], "clip_id": ["x"], "split": ["test"], "label": [1], "p_fake": [0.5]})
    with tracking.start_run("old") as run:
        run.table(clips, tracking.PREDICTIONS)
    with pytest.raises(StoreError, match="no threshold and no target_identity and no source_identity: an older dfd"):
        compare(run.run_id, run.run_id)


def test_the_command_prints_a_sentence_a_caution_or_json(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = detector("sample-swap", 4), detector("sample-swap", 8)
    monkeypatch.setattr(sys, "argv", ["dfd", "compare", *runs])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    sentence, caution = capsys.readouterr().out.splitlines()
    assert "McNemar p" in sentence
    assert "DeLong p" in sentence
    assert "people recur" in caution
    monkeypatch.setattr(sys, "argv", ["dfd", "compare", *runs, "--split", "val", "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    told = json.loads(capsys.readouterr().out)
    assert {"accuracy", "auc", "difference", "text", "caution", "only_a_right"} <= set(told)


def seeds_of(*values: tuple[int, float], length: int = 20, head: str = "LSTM", setup: str = "s") -> pd.DataFrame:
    """Runs of one experiment: (seed, AUC)."""
    return pd.DataFrame(
        [
            {
                "run_id": f"run{length}-{place}",
                "corpus": "a",
                "model": "resnext_lstm",
                "backbone": "resnext50_32x4d",
                "head": head,
                "control": "",
                "sequence_length": length,
                "weights": "none",
                "setup": setup,
                "seed": seed,
                "test/auc": value,
            }
            for place, (seed, value) in enumerate(values)
        ]
    )


def test_seeds_are_told_as_mean_and_spread() -> None:
    runs = pd.concat([seeds_of((0, 0.8), (1, 0.9), (2, 0.85)), seeds_of((0, 0.7), length=40)])
    found = across_seeds(runs, "test/auc").set_index("sequence_length")
    assert found.loc[20, ["seeds", "mean", "lowest", "highest"]].tolist() == pytest.approx([3, 0.85, 0.8, 0.9])
    assert found.loc[20, "spread"] == pytest.approx(np.std([0.8, 0.9, 0.85], ddof=1))
    assert found.loc[40, "seeds"] == 1
    assert np.isnan(found.loc[40, "spread"]), "one seed says nothing of the spread"


def test_another_head_is_no_other_seed() -> None:
    runs = pd.concat([seeds_of((0, 0.8), (1, 0.9)), seeds_of((2, 0.5), head="GRU")])
    assert across_seeds(runs, "test/auc").set_index("head")["seeds"].to_dict() == {"GRU": 1, "LSTM": 2}


def test_another_experiment_is_no_other_seed() -> None:
    runs = pd.concat([seeds_of((0, 0.8), (1, 0.9)), seeds_of((2, 0.5), setup="t")])
    assert across_seeds(runs, "test/auc").set_index("setup")["seeds"].to_dict() == {"s": 2, "t": 1}


def test_runs_that_differ_in_more_than_their_seed_are_refused() -> None:
    with pytest.raises(StoreError, match="runs run20-0 and run20-1 have the same seed and differ in something else"):
        across_seeds(seeds_of((0, 0.8), (0, 0.9)), "test/auc")
    with pytest.raises(StoreError, match="no run has the figure 'test/beauty'"):
        across_seeds(seeds_of((0, 0.8)), "test/beauty")


def test_runs_that_cannot_be_told_apart_are_left_out_as_a_group() -> None:
    runs = pd.concat([seeds_of((0, 0.8), (0, 0.9), (1, 0.7)), seeds_of((0, 0.7), (1, 0.6), length=40)])
    unmeasured = seeds_of((0, np.nan), length=40).assign(run_id="failed")
    own = seeds_of((np.nan, 0.5), (np.nan, 0.6), length=np.nan)
    found = one_a_seed(pd.concat([runs, unmeasured, own]), "test/auc")
    assert list(found["run_id"]) == ["run40-0", "run40-1"]
    assert across_seeds(found, "test/auc")["seeds"].tolist() == [2]


def test_detectors_without_a_seed_have_no_spread() -> None:
    own = seeds_of((np.nan, 0.5), (np.nan, 0.6))
    assert across_seeds(pd.concat([own, seeds_of((0, 0.7))]), "test/auc")["mean"].tolist() == [0.7]


def test_a_run_is_sliced_by_a_column_of_its_clips(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = detector("sample-swap", 4)
    assert columns_of(run_id) == [], "one method, one compression, one corpus"
    found = slices_of(run_id, "split")
    clips = tracking.predictions(run_id)
    assert found.rows["clips"].tolist() == [(clips["split"] == "test").sum()]
    with pytest.raises(ManifestError, match="no column 'gender' to slice by; they have corpus, clip_id"):
        slices_of(run_id, "gender")
    assert dfd(monkeypatch, "slices", run_id, "--by", "method") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "swap"
    assert dfd(monkeypatch, "slices", run_id, "--by", "method", "--split", "val", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["split"], told["column"]) == ("val", "method")
    assert told["slices"][0]["value"] == "swap"
    assert dfd(monkeypatch, "slices", run_id, "--by", "gender") == 1
    assert "no column 'gender'" in capsys.readouterr().err


def test_predictions_carry_what_a_corpus_says_of_its_clips(own_store: Path) -> None:
    genders = ("female", "male")
    clips = tiny_table(("other",), clips=80).manifest.map(
        lambda clip: replace(clip, attributes=(("gender", genders[int(clip.target_identity[1:]) // 4 % 2]),))
    )
    face_corpora.preprocessed(own_store, clips)
    evaluated, _ = evaluate_and_record(load(detector("sample-swap", 4)), face_corpus("other"))
    assert columns_of(evaluated) == ["gender"]
    found = slices_of(evaluated, "gender")
    told = tracking.predictions(evaluated)
    assert dict(zip(found.rows["value"], found.rows["clips"], strict=True)) == dict(
        told.groupby("attribute.gender").size()
    )


@pytest.mark.parametrize(
    ("trained", "backbone", "tested", "expected"),
    [
        ("a", "a", "a", "in distribution"),
        ("a+b", "a+b", "b", "in distribution"),
        ("a", "a", "a+c", "mixed"),
        ("a", "a+b", "b", "backbone only"),
        ("a", "a", "c", "held out"),
        ("ab", "ab", "a", "held out"),
        ("", "", "a", "not known"),
    ],
)
def test_held_out_is_what_neither_head_nor_backbone_has_met(
    trained: str, backbone: str, tested: str, expected: str
) -> None:
    assert relation(trained, backbone, tested) == expected


def test_the_matrix_never_averages_what_was_met_with_what_was_held_out() -> None:
    rows = [
        ("r1", "net", "a", "a", "a", "in distribution", 0.9),
        ("r2", "net", "a", "a", "a", "in distribution", 0.8),
        ("r1", "net", "a", "a", "b", "held out", 0.6),
        ("r1", "net", "a", "a", "c", "held out", 0.5),
        ("r3", "net", "b", "a+b", "a", "backbone only", 0.7),
    ]
    names = ["run_id", "detector", "trained_on", "backbone_on", "tested_on", "relation", "value"]
    found = cross_matrix(pd.DataFrame(rows, columns=names))
    first, second = ("a", "a", "net"), ("b", "a+b", "net")
    assert found.values.loc[first].tolist() == pytest.approx([0.85, 0.6, 0.5])
    assert found.relations.loc[first].tolist() == ["in distribution", "held out", "held out"]
    assert found.means.loc[first].to_dict() == pytest.approx({"in distribution": 0.85, "held out": 0.55})
    assert found.relations.loc[second].tolist() == ["backbone only", "", ""]
    assert found.means.loc[second].isna().all(), "a backbone that has met the corpus is neither"


def test_the_matrix_is_made_of_recorded_runs(own_store: Path) -> None:
    face_corpora.preprocessed(own_store, tiny_table(("other",), clips=40).manifest)
    run_id = detector("sample-swap", 4)
    evaluated, found = evaluate_and_record(load(run_id), face_corpus("other"))
    table = cells("auc")
    assert len(table) == 9, "eight detectors on their own test clips, and one evaluation"
    own = table[table["run_id"] == run_id].set_index("tested_on")
    assert own["relation"].to_dict() == {"sample-swap": "in distribution", "other": "held out"}
    assert own.loc["other", "value"] == pytest.approx(found.metrics["auc"])
    assert own.loc["other", "low"] == pytest.approx(found.metrics["auc_low"])
    clips = tracking.predictions(evaluated)
    assert own.loc["other", "value"] == pytest.approx(clip_metrics(clips["label"], clips["p_fake"], 0.5)["auc"])
    matrix = cross_matrix(table)
    assert matrix.values.shape == (8, 3)
    assert (matrix.relations == "in distribution").to_numpy().sum() == 8
    evaluate_and_record(load(run_id), face_corpus("other"))
    assert len(cells("auc")) == 9, "the newest evaluation takes the place of the older one"


def test_a_store_without_runs_gives_an_empty_table(store: Path) -> None:
    assert cells("auc").empty
