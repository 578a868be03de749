"""Evaluation: clip and frame level named apart, every number recorded, and predictions that tell them all again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from dfd import checkpoints, tracking
from dfd.audit import audit
from dfd.data import Table, face_corpus
from dfd.errors import ManifestError
from dfd.evaluation import FRAMES, Evaluation, evaluate, evaluate_and_record, score_clips, summarise
from dfd.manifest import Manifest
from dfd.metrics import calibrated, choose_threshold, clip_metrics, expected_calibration_error, fit_temperature
from dfd.models import build
from dfd.robustness import robustness
from dfd.training import score_table
from tests import face_corpora, stores
from tests.conftest import TINY_MODEL, tiny_table

CPU = torch.device("cpu")
ALWAYS = ("accuracy", "precision", "recall", "f1", "auc", "average_precision", "eer", "tpr_at_fpr_1", "tpr_at_fpr_5")


@pytest.fixture
def own_store(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs of `tiny_home`, in a home of the test's own that it may write to."""
    home = stores.copied(tiny_home, tmp_path / "own")
    monkeypatch.setenv("DFD_HOME", str(home))
    return home


def split_with_scores() -> tuple[Table, np.ndarray, np.ndarray]:
    """A test split and made-up scores of its clips, with 4 frames each whose mean is the clip's."""
    table = tiny_table(clips=40).where("test")
    generator = np.random.default_rng(0)
    frames = (generator.normal(0.45 + 0.15 * table.labels.numpy()[:, None], 0.2, (len(table), 4))).clip(0.01, 0.99)
    return table, frames.mean(axis=1), frames


def summarised(temperature: float | None = 2.0) -> tuple[Evaluation, np.ndarray, np.ndarray, np.ndarray]:
    table, scores, frames = split_with_scores()
    found = summarise(table.manifest, table.manifest, scores, 0.55, frames=frames, temperature=temperature)
    return found, table.labels.numpy(), scores, frames


def test_both_levels_are_named_and_never_one() -> None:
    found, labels, scores, frames = summarised()
    named = found.figures("test")
    for name, value in clip_metrics(labels, scores, 0.55).items():
        assert named[f"test/{name}"] == value
    for name, value in clip_metrics(labels.repeat(4), frames.ravel(), 0.55).items():
        assert named[f"test_frame/{name}"] == value
    assert named["test/clips"] == len(labels)
    assert named["test_frame/frames"] == 4 * len(labels)
    assert named["test/coverage"] == 1
    for level in ("test", "test_frame"):
        for name in ("auc", "accuracy", "acc_real", "acc_fake", "f1"):
            low, high = (named[f"{level}/{name}_{end}"] for end in ("low", "high"))
            assert low <= named[f"{level}/{name}"] <= high


def test_calibration_is_told_before_and_after_and_changes_no_decision() -> None:
    found, labels, scores, _ = summarised(temperature=2.0)
    assert found.metrics["ece"] == expected_calibration_error(labels, scores)
    assert found.metrics["ece_calibrated"] == expected_calibration_error(labels, calibrated(scores, 2.0))
    without, *_ = summarised(temperature=None)
    assert {name for name in found.metrics if name not in without.metrics} == {"ece_calibrated", "log_loss_calibrated"}
    for name, value in without.metrics.items():
        assert found.metrics[name] == value, name


def test_a_detector_that_says_nothing_of_frames_has_no_frame_figures() -> None:
    table, scores, _ = split_with_scores()
    found = summarise(table.manifest, table.manifest, scores, 0.5)
    assert found.frames is None
    assert found.frame_metrics == {}
    assert not [name for name in found.figures("test") if name.startswith("test_frame")]
    assert "frame level" not in found.text


def test_methods_are_rows_against_all_real_clips() -> None:
    found, labels, scores, _ = summarised()
    rows = found.methods.rows.set_index("value")
    assert set(rows.index) == {"swap", "reenact"}
    assert (rows["real"] == (labels == 0).sum()).all()
    assert rows["fake"].sum() == (labels == 1).sum()


def test_predictions_and_frames_tell_the_figures_again() -> None:
    found, *_ = summarised()
    clips, frames = found.predictions, found.frames
    assert frames is not None
    threshold = clips["threshold"].iloc[0]
    again = clip_metrics(clips["label"], clips["p_fake"], threshold)
    assert {name: found.metrics[name] for name in again} == again
    again = clip_metrics(frames["label"], frames["p_fake"], threshold)
    assert {name: found.frame_metrics[name] for name in again} == again
    assert len(frames.groupby(["corpus", "clip_id"])) == len(clips)
    assert set(frames["position"]) == {0, 1, 2, 3}
    means = frames.groupby(["corpus", "clip_id"])["p_fake"].mean()
    keyed = clips.set_index(["corpus", "clip_id"])["p_fake"]
    pd.testing.assert_series_equal(means, keyed.sort_index(), check_names=False)


def test_the_confusion_matrix_and_the_text_say_the_same() -> None:
    found, labels, scores, _ = summarised()
    (right_real, wrong_real), (wrong_fake, right_fake) = found.confusion.tolist()
    assert right_real + wrong_real + wrong_fake + right_fake == len(labels)
    assert right_fake == ((scores >= 0.55) & (labels == 1)).sum()
    assert f"real clips: {right_real} judged real, {wrong_real} fake" in found.text
    assert f"fake clips: {wrong_fake} judged real, {right_fake} fake" in found.text
    assert "clip level" in found.text
    assert "frame level" in found.text


def test_it_is_plain_json_even_where_a_method_lacks_an_interval() -> None:
    found, *_ = summarised()
    rows = found.methods.rows.assign(auc_low=np.nan)
    bare = replace(found, methods=replace(found.methods, rows=rows))
    told = json.loads(json.dumps(bare.to_json(), allow_nan=False))
    assert [row["auc_low"] for row in told["methods"]] == [None, None]
    assert told["metrics"]["auc"] == found.metrics["auc"]
    assert np.array(told["confusion"]).shape == (2, 2)


def test_too_few_people_are_told_by_corpus() -> None:
    table, scores, _ = split_with_scores()
    two = tuple(clip for clip in table.manifest if clip.target_identity == table.manifest.clips[0].target_identity)
    alone = Manifest("a", two)
    with pytest.raises(ManifestError, match="corpus 'a': the 4 clips .* of one person.*take a split with more people"):
        summarise(alone, alone, scores[: len(two)], 0.5)


@pytest.mark.parametrize("order", ["natural", "shuffled"])
def test_clips_and_frames_come_of_one_pass_and_equal_the_parts(order: str) -> None:
    table, model = tiny_table(("a",)).where("test"), build(**TINY_MODEL).eval()
    settings = {"length": 4, "order": order, "seed": 3}
    found = score_clips(model, table, CPU, **settings, batch=2)
    np.testing.assert_allclose(found.clips, score_table(model, table, CPU, **settings), atol=1e-5)
    assert found.frames.shape == (len(table), 4)
    one = build(**{**TINY_MODEL, "name": "resnext_mean"}).eval()
    alone = score_clips(one, table, CPU, length=4, order="natural", seed=0).frames
    first = score_clips(one, table, CPU, length=1, order="natural", seed=0)
    np.testing.assert_allclose(first.frames[:, 0], alone[:, 0], atol=1e-5)
    np.testing.assert_allclose(first.clips, alone[:, 0], atol=1e-5)


def test_a_trained_run_has_every_figure_and_its_temperature(tiny_store: Path) -> None:
    row = tracking.detectors()[0]
    figures = row["metrics"]
    for level in ("val", "test", "val_frame", "test_frame"):
        assert set(ALWAYS) <= {name.removeprefix(f"{level}/") for name in figures if name.startswith(f"{level}/")}
    told = tracking.predictions(row["run_id"])
    val = told[told["split"] == "val"]
    meta = checkpoints.load(row["checkpoint"]).meta
    assert meta.temperature == pytest.approx(fit_temperature(val["label"], val["p_fake"]), rel=1e-3)
    assert figures["val/temperature"] == pytest.approx(meta.temperature)
    assert choose_threshold(val["label"], val["p_fake"])[0] == pytest.approx(meta.threshold), "of uncalibrated p_fake"
    test = told[told["split"] == "test"]
    after = calibrated(test["p_fake"], meta.temperature)
    assert figures["test/ece_calibrated"] == pytest.approx(expected_calibration_error(test["label"], after))


@pytest.mark.parametrize(("label", "said"), [(0, "has real clips alone"), (1, "has fakes alone")])
def test_a_corpus_of_one_class_measures_no_detector(tiny_checkpoint: Path, label: int, said: str) -> None:
    """Nothing of it is read: its clips are not on disk."""
    clips = tuple(clip for clip in tiny_table(("a",)).manifest if clip.label == label)
    loaded = checkpoints.load(str(tiny_checkpoint))
    for measure in (evaluate, robustness, audit):
        with pytest.raises(ManifestError, match=f"corpus 'a' {said}, and a detector is trained and measured on"):
            measure(loaded, Manifest("a", clips))


def test_an_evaluation_is_a_run_of_its_own_beside_the_checkpoints(own_store: Path) -> None:
    row = next(row for row in tracking.detectors() if row["corpus"] == "sample-swap")
    manifest = tiny_table(("other",), clips=40).manifest
    face_corpora.preprocessed(own_store, manifest)
    loaded = checkpoints.load(row["checkpoint"])
    run_id, found = evaluate_and_record(loaded, face_corpus("other"))
    asked = face_corpus("other").split("test")
    long_enough = [clip for clip in asked if clip.frames is not None and clip.frames >= loaded.meta.sequence_length]
    assert found.metrics["coverage"] == pytest.approx(len(long_enough) / len(asked))
    assert 0 < found.metrics["coverage"] < 1
    assert tracking.metrics(run_id) == pytest.approx(found.figures("test"))
    tags = tracking.tags(run_id)
    assert (tags["dfd.kind"], tags["dfd.corpus"], tags["dfd.evaluated_on"]) == ("evaluation", "sample-swap", "other")
    assert tags["dfd.evaluated_run"] == row["run_id"]
    assert "dfd.threshold" not in tags, "an evaluation has no checkpoint of its own"
    pd.testing.assert_frame_equal(tracking.predictions(run_id), found.predictions, check_dtype=False)
    folder = tracking.client().list_artifacts(run_id)
    assert {FRAMES, "roc_test.parquet", "methods_test.parquet"} <= {entry.path for entry in folder}


def test_a_split_without_clips_is_told(tiny_store: Path) -> None:
    loaded = checkpoints.load(tracking.detectors()[0]["checkpoint"])
    train = Manifest("a", tuple(clip for clip in tiny_table(("a",)).manifest if clip.split == "train"))
    with pytest.raises(ManifestError, match="corpus 'a' has no test clips"):
        evaluate(loaded, train)
