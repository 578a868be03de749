"""Leave one method out: nothing of the method is met before it is tested on, and the two tests stay two."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from dfd import checkpoints, comparison, tracking
from dfd.config import Experiment
from dfd.data import face_corpus
from dfd.errors import ExperimentError, ManifestError
from dfd.evaluation import evaluate_and_record
from dfd.labels import Label
from dfd.leave_one_out import KIND, LeftOut, leave_one_out, table
from dfd.manifest import SPLITS, Clip, Manifest
from tests import face_corpora, pseudo
from tests.commands import dfd
from tests.conftest import tiny_experiment
from tests.test_distributed import together

METHODS = ("morph", "reenact", "swap")
STAGE = {"epochs": 1, "batch": 8}


def manifest(name: str, methods: tuple[str, ...] = METHODS, *, people: int = 4) -> Manifest:
    """Each person of each split has a real clip and a fake of each method."""
    clips = [
        Clip(
            corpus=name,
            clip_id=f"{method}/{split}-{person}",
            path=Path(f"{split}-{person}-{method}.mp4"),
            label=Label.REAL if method == "original" else Label.FAKE,
            method=method,
            compression="c23",
            target_identity=f"{name}-{split}-{person}",
            source_identity="",
            split=split,
            official_split=True,
        )
        for split in SPLITS
        for person in range(people)
        for method in ("original", *methods)
    ]
    return Manifest(name, tuple(clips)).check()


def experiment(*corpora: str, **data: object) -> Experiment:
    return tiny_experiment(
        name="films",
        data={"corpora": corpora, **data},
        model={"name": "resnext_lstm", "backbone": "tiny", "weights": "none", "hidden": 8, "sequence_length": 2},
        train={"mode": "end_to_end", "head": STAGE},
        sweep=None,
    )


@pytest.fixture
def films(store: Path) -> Path:
    face_corpora.preprocessed(store, manifest("films", ("morph", "swap")))
    return store


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> tuple[Path, list[LeftOut]]:
    """A home in which every one of three methods was left out once."""
    home = tmp_path_factory.mktemp("trained")
    (home / "mlruns").mkdir()
    shutil.copy(empty_database, home / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        face_corpora.preprocessed(home, manifest("films"))
        return home, leave_one_out(experiment("films"))


@pytest.fixture
def done(trained: tuple[Path, list[LeftOut]], monkeypatch: pytest.MonkeyPatch) -> list[LeftOut]:
    """What came of it, in its home."""
    monkeypatch.setenv("DFD_HOME", str(trained[0]))
    return trained[1]


def methods_of(run_id: str, split: str) -> set[str]:
    """The fake methods among the clips that a run read."""
    clips = tracking.clips(run_id)
    return set(clips.loc[(clips["split"] == split) & (clips["label"] == 1), "method"])


def real_clips(run_id: str) -> set[str]:
    told = tracking.predictions(run_id)
    return set(told.loc[(told["split"] == "test") & (told["label"] == 0), "clip_id"])


def test_the_method_is_met_in_no_split_and_tested_on_the_same_real_clips(done: list[LeftOut]) -> None:
    assert [each.method for each in done] == list(METHODS)
    for each in done:
        others = set(METHODS) - {each.method}
        assert set(each.methods) == others
        for split in SPLITS:
            assert methods_of(each.run_id, split) == others
        told = tracking.predictions(each.held_out_run)
        assert set(told.loc[told["label"] == 1, "method"]) == {each.method}
        assert len(told[told["label"] == 1]) == 4
        assert real_clips(each.held_out_run) == real_clips(each.run_id) != set()
        assert each.in_distribution["auc"] == tracking.metrics(each.run_id)["test/auc"]
        assert each.held_out["auc"] == tracking.metrics(each.held_out_run)["test/auc"]
        assert each.held_out["acc_real"] == pytest.approx(each.in_distribution["acc_real"]), "one threshold"
        tags = [tracking.tags(run_id) for run_id in (each.run_id, each.held_out_run)]
        assert {tag["dfd.held_out_method"] for tag in tags} == {each.method}
        assert [tag["dfd.kind"] for tag in tags] == ["detector", KIND]
    threshold = tracking.tags(done[0].run_id)["dfd.threshold"]
    assert set(tracking.predictions(done[0].held_out_run)["threshold"]) == {float(threshold)}


def test_what_is_finished_is_not_done_again(done: list[LeftOut]) -> None:
    before = len(tracking.runs())
    assert leave_one_out(experiment("films")) == done
    assert len(tracking.runs()) == before == 2 * len(METHODS)


def test_a_detector_that_has_not_met_a_method_is_never_the_best(done: list[LeftOut]) -> None:
    assert set(tracking.versions()["run_id"]) == {each.run_id for each in done}
    assert tracking.best() is None


def test_a_test_on_a_method_that_was_left_out_is_not_in_distribution(done: list[LeftOut]) -> None:
    """Neither in the matrix of data sets: it is of clips that were met and of a method that was not."""
    first = done[0]
    evaluate_and_record(checkpoints.load(first.run_id), face_corpus("films"))
    found = comparison.cells().set_index("run_id")["relation"]
    assert found[first.run_id] == "mixed"
    assert set(found.drop(first.run_id)) == {"in distribution"}, "of the methods that they were trained on"


def test_detectors_of_other_methods_are_no_seeds_of_one_another(done: list[LeftOut]) -> None:
    table = tracking.runs()
    detectors = table[table["kind"] == "detector"]
    assert detectors["setup"].nunique() == len(METHODS)
    assert comparison.across_seeds(detectors, "test/auc")["seeds"].tolist() == [1] * len(METHODS)
    apart = comparison.setups(detectors)
    assert list(apart.index) == ["data.methods"]
    assert sorted(apart.loc["data.methods"]) == ["morph,reenact", "morph,swap", "reenact,swap"]


def test_of_pseudo_fakes_their_own_methods_are_left_out(store: Path) -> None:
    pseudo.real_corpus(store, people=24)
    asked = experiment("reals", pseudo_fakes={})
    for each in leave_one_out(asked):
        assert {each.method, *each.methods} == {"self_blend", "warp"}
        assert methods_of(each.run_id, "train") == set(each.methods)
        told = tracking.predictions(each.held_out_run)
        assert set(told.loc[told["label"] == 1, "method"]) == {each.method}


def test_a_balanced_number_of_clips_does_not_thin_out_what_is_held_out(films: Path) -> None:
    for each in leave_one_out(experiment("films", videos=12)):
        assert real_clips(each.held_out_run) == real_clips(each.run_id)
        assert len(real_clips(each.run_id)) == 2
        assert (tracking.predictions(each.held_out_run)["label"] == 1).sum() == 4


def test_a_corpus_of_one_method_is_left_out_with_it(films: Path) -> None:
    face_corpora.preprocessed(films, manifest("series", ("puppet",)))
    done = leave_one_out(experiment("films", "series"))
    puppet = next(each for each in done if each.method == "puppet")
    assert puppet.corpora_left_out == ("series",)
    assert set(tracking.clips(puppet.run_id)["corpus"]) == {"films"}
    assert set(tracking.predictions(puppet.held_out_run).groupby("label")["corpus"].first()) == {"films", "series"}
    assert all(not each.corpora_left_out for each in done if each is not puppet)
    assert "puppet is all that series has: held out is the corpus, too" in table(done)


def test_the_experiments_own_choice_of_methods_and_shares_holds(films: Path) -> None:
    """Of the shares those of the corpora that stay, in their ratio."""
    face_corpora.preprocessed(films, manifest("series", ("puppet",)))
    shares = {"films": 0.5, "series": 0.5}
    done = leave_one_out(experiment("films", "series", methods=("swap", "puppet"), videos=24, shares=shares))
    assert [(each.method, each.methods, each.corpora_left_out) for each in done] == [
        ("puppet", ("swap",), ("series",)),
        ("swap", ("puppet",), ("films",)),
    ]


def test_one_method_cannot_be_left_out(store: Path) -> None:
    face_corpora.preprocessed(store, manifest("series", ("puppet",)))
    with pytest.raises(
        ExperimentError, match="'films' have fakes of puppet alone, and to leave one method out takes two"
    ):
        leave_one_out(experiment("series"))
    assert tracking.runs().empty


def test_a_method_without_test_clips_is_told_before_anything_is_trained(store: Path) -> None:
    clips = [clip for clip in manifest("films", ("swap", "morph")) if clip.split != "test" or clip.method != "swap"]
    face_corpora.preprocessed(store, Manifest("films", tuple(clips)))
    with pytest.raises(ExperimentError, match="'swap' has no test clips to be left out for"):
        leave_one_out(experiment("films"))
    assert tracking.runs().empty


def test_a_method_that_alone_has_training_clips_is_told(store: Path) -> None:
    clips = [clip for clip in manifest("films", ("swap", "morph")) if clip.split == "test" or clip.method != "morph"]
    face_corpora.preprocessed(store, Manifest("films", tuple(clips)))
    with pytest.raises(ManifestError, match="no train clips of both classes"):
        leave_one_out(experiment("films"))


def test_the_table_keeps_the_two_apart() -> None:
    figures = {"auc": 0.9, "auc_low": 0.8, "auc_high": 0.95, "acc_fake": 0.75, "acc_real": 0.5}
    one = LeftOut("swap", ("morph",), (), "run1", "run2", figures, figures | {"auc": 0.6, "acc_fake": 0.125})
    head, _, row, runs = table([one]).splitlines()
    assert "in distribution" in head
    assert "held out" in head
    assert row.split() == [
        "swap",
        "0.900",
        "(0.800-0.950)",
        "75.0%",
        "50.0%",
        "0.600",
        "(0.800-0.950)",
        "12.5%",
        "50.0%",
    ]
    assert runs == "swap: detector run1, on the method run2"
    assert "0.750" not in table([one, replace(one, method="morph")]), "no mean of the two"


def test_processes_that_train_together_leave_methods_out_together(films: Path, tmp_path: Path) -> None:
    path = tmp_path / "films.yaml"
    path.write_text(yaml.safe_dump(experiment("films").model_dump(mode="json", exclude_none=True)))
    code, told, said = together(tmp_path, "leave-one-out", path)
    assert code == 0, said
    assert [each["method"] for each in json.loads(told)] == ["morph", "swap"]
    table = tracking.runs()
    assert table["status"].tolist() == ["FINISHED"] * 4
    assert table["kind"].value_counts().to_dict() == {"detector": 2, KIND: 2}


def test_the_command_prints_a_table_or_json(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "films.yaml"
    asked = experiment("films")
    path.write_text(yaml.safe_dump(asked.model_dump(mode="json", exclude_none=True)))
    assert dfd(monkeypatch, "leave-one-out", path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["method"] for each in told] == ["morph", "swap"]
    assert np.isfinite(told[0]["held_out"]["auc"])
    assert dfd(monkeypatch, "leave-one-out", path) == 0
    assert "held out: the method itself" in capsys.readouterr().out
