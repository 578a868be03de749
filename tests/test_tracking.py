"""The store: what is written comes back, an empty one is no error, and the best is chosen on validation."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from dfd import checkpoints, provenance, tracking
from dfd.errors import StoreError
from dfd.manifest import Manifest
from dfd.models import MODELS
from tests.conftest import TINY_MODEL, tiny_experiment, tiny_table


def test_an_empty_store_has_the_columns_and_no_rows(store: Path) -> None:
    table = tracking.runs()
    assert len(table) == 0
    assert list(table.columns[: len(tracking.RUN_COLUMNS)]) == list(tracking.RUN_COLUMNS)
    assert tracking.best() is None
    assert tracking.detectors() == []


def test_the_store_lies_in_dfds_home(tmp_path: Path) -> None:
    with tracking.start_run("one") as run:
        run.text("hello", "note.txt")
    assert (tmp_path / "home" / "mlruns" / "mlflow.db").exists()
    assert len(list((tmp_path / "home" / "mlruns" / "artifacts").rglob("note.txt"))) == 1


def test_another_store_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    with tracking.start_run("one"):
        pass
    assert (tmp_path / "other.db").exists()
    assert len(tracking.runs()) == 1


def test_an_unreachable_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysterious://nowhere")
    with pytest.raises(StoreError, match="mysterious://nowhere cannot be opened"):
        tracking.runs()


def test_parameters_metrics_and_data_come_back(store: Path) -> None:
    manifest = tiny_table().manifest
    with tracking.start_run("one", tags={"dfd.kind": "detector", "dfd.corpus": "c"}) as run:
        run.params({f"p.{number}": number for number in range(150)})
        for step in (1, 2, 3):
            run.metrics({"val/loss": 1 / step}, step)
        run.metrics({"test/auc": 0.9})
        run.input(manifest.split("test"), "test")
    assert len(tracking.params(run.run_id)) == 150
    curve = tracking.history(run.run_id)
    assert curve["value"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    assert set(curve["metric"]) == {"val/loss"}
    data = tracking.datasets(run.run_id)
    assert data.loc[0, "digest"] == manifest.split("test").digest()
    assert data.loc[0, "real"] == data.loc[0, "fake"] == 6
    row = tracking.runs().iloc[0]
    assert (row["status"], row["corpus"], row["test/auc"]) == ("FINISHED", "c", 0.9)
    assert tracking.tags(run.run_id)["mlflow.source.git.commit"]


@pytest.mark.parametrize(("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_breaks_says_so(store: Path, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), tracking.start_run("one"):
        raise error
    assert tracking.runs().loc[0, "status"] == status


def test_a_run_whose_process_was_killed_is_not_taken_for_running(store: Path) -> None:
    code = "import os, signal; from dfd import tracking\nwith tracking.start_run('one'): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert tracking.runs().loc[0, "status"] == "KILLED"
    with tracking.start_run("two"):
        assert tracking.runs().loc[0, "status"] == "RUNNING"


def test_a_finished_sweep_is_listed(tiny_store: Path) -> None:
    found = tracking.detectors()
    assert len(found) == 8
    assert {row["control"] for row in found} == {"", "mean pool", "shuffled frames"}
    for row in found:
        assert {"run_id", "model", "corpus", "sequence_length", "seed", "checkpoint", "metrics"} <= set(row)
        figures = row["metrics"]
        assert figures["test/auc_low"] <= figures["test/auc"] <= figures["test/auc_high"]
        assert figures["test/coverage"] == 1
    table = tracking.runs()
    assert (table["kind"] == "backbone").sum() == 1


def test_predictions_recompute_the_metrics(tiny_store: Path) -> None:
    from dfd.metrics import clip_metrics

    row = tracking.detectors()[0]
    told = tracking.predictions(row["run_id"])
    assert set(told["split"]) == {"val", "test"}
    test = told[told["split"] == "test"]
    threshold = float(tracking.tags(row["run_id"])["dfd.threshold"])
    again = clip_metrics(test["label"], test["p_fake"], threshold)
    assert again["auc"] == pytest.approx(row["metrics"]["test/auc"])
    assert again["accuracy"] == pytest.approx(row["metrics"]["test/accuracy"])


def test_the_best_is_chosen_on_validation(tiny_store: Path) -> None:
    table = tracking.runs().query("kind == 'detector'")
    ref = tracking.best()
    assert ref is not None
    best = checkpoints.load(ref).meta
    assert best.metrics["val/auc"] == pytest.approx(table["val/auc"].max())
    for corpus, rows in table.groupby("corpus"):
        own = tracking.best(str(corpus))
        assert own is not None
        assert checkpoints.load(own).meta.metrics["val/auc"] == pytest.approx(rows["val/auc"].max())


def test_a_checkpoint_loads_by_run_version_and_alias(tiny_store: Path) -> None:
    row = tracking.runs().query("kind == 'detector'").iloc[0]
    by_run = checkpoints.load(row["checkpoint"])
    by_version = checkpoints.load(f"models:/{tracking.REGISTERED}/{row['registered']}")
    assert by_run.meta == by_version.meta
    assert by_run.meta.run_id == row["run_id"]


def test_what_is_not_there_is_told(own_store: Path) -> None:
    with pytest.raises(StoreError, match="no run of the store"):
        tracking.predictions("nothing")
    with tracking.start_run("bare") as run:
        pass
    with pytest.raises(StoreError, match="has no predictions.parquet"):
        tracking.predictions(run.run_id)
    with pytest.raises(StoreError, match="has no checkpoint"):
        checkpoints.load(run.run_id)
    assert isinstance(tracking.history(run.run_id), pd.DataFrame)


def killed(code: str) -> None:
    """Run code in a process that kills itself at its end, as a machine that loses power does."""
    program = f"import os\nfrom dfd import tracking\n{code}\n    os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9


def test_a_killed_run_is_gone_on_with_as_the_same_run(store: Path) -> None:
    killed(
        "with tracking.start_run('one', tags={'dfd.key': 'k'}) as run:\n"
        "    run.params({'seed': 3})\n"
        "    for epoch in (1, 2): run.metrics({'val/loss': 1 / epoch, 'train/seconds': 5.0}, epoch)"
    )
    run_id = tracking.interrupted("k")
    assert run_id == tracking.runs().loc[0, "run_id"]
    with tracking.resume_run(run_id) as run:
        run.params({"seed": 3})
        run.metrics({"val/loss": 1 / 2, "train/seconds": 7.0}, 2)  # told once more, as it was and otherwise
        run.metrics({"val/loss": 1 / 3, "train/seconds": 7.0}, 3)
        row = tracking.runs().iloc[0]
        assert row["status"] == "RUNNING"
        assert pd.isna(row["ended"])
        assert tracking.interrupted("k") is None
    curve = tracking.history(run_id).set_index(["metric", "step"])["value"]
    assert curve.to_dict() == {
        ("train/seconds", 1): 5.0,
        ("train/seconds", 2): 7.0,
        ("train/seconds", 3): 7.0,
        ("val/loss", 1): 1.0,
        ("val/loss", 2): 1 / 2,
        ("val/loss", 3): 1 / 3,
    }
    assert len(tracking.client().get_metric_history(run_id, "val/loss")) == 3
    assert tracking.runs()["status"].tolist() == ["FINISHED"]
    assert tracking.finished("k") == run_id
    assert tracking.tags(run_id)["dfd.resumed"] == "1"


def test_a_run_that_was_resumed_can_break_again(store: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.start_run("one", tags={"dfd.key": "k"}):
        raise KeyboardInterrupt
    run_id = tracking.interrupted("k")
    assert run_id is not None
    with pytest.raises(ZeroDivisionError), tracking.resume_run(run_id) as run:
        run.metrics({"val/loss": 1 / 0}, 1)
    assert tracking.runs().loc[0, "status"] == "FAILED"
    with tracking.resume_run(run_id) as run:
        for _ in range(2):
            run.input(tiny_table().manifest, "train")
    assert len(tracking.datasets(run_id)) == 1
    assert tracking.tags(run_id)["dfd.resumed"] == "2"
    assert "dfd.resumed.changed" not in tracking.tags(run_id)


def test_what_must_not_be_resumed_is_refused(store: Path) -> None:
    with tracking.start_run("one", tags={"dfd.key": "k"}) as run:
        assert tracking.interrupted("k") is None
        with pytest.raises(StoreError, match="may still be written"), tracking.resume_run(run.run_id):
            pass
    with pytest.raises(StoreError, match="nothing to resume"), tracking.resume_run(run.run_id):
        pass
    with pytest.raises(StoreError, match="no run of the store"), tracking.resume_run("nothing"):
        pass


def test_other_code_at_the_resumption_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.start_run("one") as run:
        raise KeyboardInterrupt
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "1.0"})
    with tracking.resume_run(run.run_id):
        pass
    assert tracking.tags(run.run_id)["dfd.resumed.changed"].endswith("-> 1.0")


def test_a_run_says_what_it_was_made_with(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "commit", lambda: provenance.Commit("c0ffee", True, "--- a\n+++ b\n"))
    with tracking.start_run("one") as run:
        pass
    found = tracking.environment(run.run_id)
    assert found["packages"]["mlflow"] == tracking.tags(run.run_id)["dfd.version.mlflow"]
    assert found["machine"]["threads"] == str(torch.get_num_threads())
    assert tracking.tags(run.run_id)["dfd.dirty"] == "true"
    assert tracking.artifact(run.run_id, tracking.CHANGES).read_text() == "--- a\n+++ b\n"


def test_every_clip_that_was_read_is_recorded_with_its_bytes(store: Path, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"video")
    first, second, third = tiny_table(("a",)).manifest.clips[:3]
    clips = (
        replace(first, path=tmp_path / "there.mp4", attributes=(("gender", "female"),)),
        replace(second, frames=None),
        replace(third, path=tmp_path / "there.mp4", frames=0),
    )
    with tracking.start_run("one") as run:
        run.input(Manifest("a", clips), "train")
    found = tracking.clips(run.run_id)
    assert found["clip_id"].tolist() == [clip.clip_id for clip in clips]
    assert found["label"].tolist() == [0, 1, 0]
    assert found["attribute.gender"].tolist() == ["female", "", ""]
    assert found["sha256"].tolist() == [hashlib.sha256(b"video").hexdigest()[:16], "", ""]
    assert found["frames"].isna().tolist() == [False, True, False]


def test_a_run_without_data_says_so(store: Path) -> None:
    with tracking.start_run("one") as run:
        pass
    with pytest.raises(StoreError, match="recorded no data"):
        tracking.clips(run.run_id)


def test_artifacts_lie_beside_a_named_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path
) -> None:
    (tmp_path / "there").mkdir()
    shutil.copy(empty_database, tmp_path / "there" / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'there' / 'other.db'}")
    with tracking.start_run("one") as run:
        run.text("hello", "note.txt")
    assert len(list((tmp_path / "there" / "artifacts").rglob("note.txt"))) == 1
    assert not (tmp_path / "home").exists()


def test_artifacts_can_be_sent_elsewhere_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    monkeypatch.setenv("DFD_ARTIFACTS", str(tmp_path / "shared"))
    with tracking.start_run("one") as run:
        run.text("hello", "note.txt")
    assert tracking.artifact(run.run_id, "note.txt").is_relative_to(tmp_path / "shared")
    monkeypatch.setenv("DFD_ARTIFACTS", str(tmp_path / "elsewhere"))
    with pytest.raises(StoreError, match="leave DFD_ARTIFACTS unset"), tracking.start_run("two"):
        pass


def test_another_store_holds_for_a_block(store: Path, tmp_path: Path, empty_database: Path) -> None:
    before = tracking.store_uri()
    shutil.copy(empty_database, tmp_path / "other.db")
    with tracking.another_store(f"sqlite:///{tmp_path / 'other.db'}"):
        with tracking.start_run("one"):
            pass
        assert len(tracking.runs()) == 1
    assert tracking.store_uri() == before
    assert tracking.runs().empty


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for shown, uri in (
        ("postgresql://me:***@host/db", "postgresql://me:se:cr@host/db"),
        ("http://me:***@host", "http://me:secret@host"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("sqlite:////a/b@c/mlflow.db", "sqlite:////a/b@c/mlflow.db"),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert tracking.store_name() == shown
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysterious://me:secret@nowhere")
    with pytest.raises(StoreError) as told:
        tracking.runs()
    assert "secret" not in str(told.value)


def test_the_registry_is_listed_with_its_aliases(tiny_store: Path) -> None:
    table = tracking.versions()
    assert table["version"].tolist() == sorted(table["version"], reverse=True)
    assert len(table) == 8
    (named,) = table[table["aliases"].map(lambda names: "best" in names)].to_dict("records")
    assert f"models:/{tracking.REGISTERED}@best" == tracking.best()
    assert tracking.run_of(f"models:/{tracking.REGISTERED}@best") == named["run_id"]
    figures = tracking.metrics(named["run_id"])
    low, high = figures["test/auc_low"], figures["test/auc_high"]
    assert f"AUC {figures['test/auc']:.3f} ({low:.3f} to {high:.3f})" in named["description"]
    version = tracking.client().get_model_version(tracking.REGISTERED, str(named["version"]))
    assert version.tags["dfd.corpus"] in ("sample-swap", "sample-reenact")
    assert version.tags["dfd.sequence_length"] in ("4", "8")


def test_an_empty_registry_has_no_versions(store: Path) -> None:
    assert tracking.versions().empty
    assert "aliases" in tracking.versions()


@pytest.mark.parametrize(
    ("params", "control"),
    [
        ({"model.name": "resnext_lstm"}, ""),
        ({"model.name": "resnext_mean"}, "mean pool"),
        ({"model.name": "resnext_lstm", "model.temporal": "none"}, "mean pool"),
        ({"model.name": "resnext_lstm", "data.frame_order": "shuffled"}, "shuffled frames"),
        ({"model.name": "frame_cnn"}, ""),
        ({"model.name": "own: trimmed_mean"}, ""),
    ],
)
def test_a_control_is_the_lstms_mean_pool_or_shuffle_and_a_frame_baseline_is_none(
    store: Path, params: dict[str, str], control: str
) -> None:
    with tracking.start_run("a", tags={"dfd.kind": "detector"}) as run:
        run.params(params)
    (row,) = tracking.runs().to_dict("records")
    assert (row["control"], row["model"]) == (control, params["model.name"])


@pytest.mark.parametrize(
    ("settings", "head"),
    [
        ({}, "LSTM"),
        ({"temporal": "gru"}, "GRU"),
        ({"bidirectional": True}, "two-way LSTM"),
        ({"temporal": "gru", "bidirectional": True}, "two-way GRU"),
        ({"pooling": "attention"}, "LSTM, attention pooling"),
        ({"pooling": "last"}, "LSTM, last state"),
        ({"temporal": "none"}, "mean pool"),
        ({"temporal": "none", "pooling": "attention"}, "attention pooling"),
        ({"name": "resnext_mean"}, "mean pool"),
        ({"name": "cnn_lstm", "backbone": "inception_v3", "pooling": "last"}, "LSTM, last state"),
        ({"name": "frame_cnn"}, "–"),
        ({"name": "meso4", "backbone": "meso4"}, "–"),
    ],
)
def test_a_head_is_named_by_what_an_experiment_records(settings: dict[str, object], head: str) -> None:
    asked = tiny_experiment(
        model={**TINY_MODEL, "sequence_length": 4, **settings}, sweep=None, train={"mode": "end_to_end"}
    )
    assert tracking.head_of(asked.flat()) == head


def test_every_model_has_a_head_with_a_name_and_what_is_not_known_has_none() -> None:
    for model in MODELS:
        assert tracking.head_of({"model.name": model}), model
    assert tracking.head_of({"model.name": "own: trimmed_mean"}) == tracking.head_of({}) == ""


def test_a_run_says_what_its_model_is_made_of(tiny_store: Path) -> None:
    table = tracking.runs().set_index("kind")
    assert set(table.loc[["backbone", "detector"], "backbone"]) == {"tiny"}
    assert table.loc["backbone", "head"] == "–", "whatever heads its experiment has, it is fitted on single frames"
    assert set(table.loc["detector", "head"]) == {"LSTM", "mean pool"}
    assert {(row["head"], row["backbone"]) for row in tracking.detectors()} == {("LSTM", "tiny"), ("mean pool", "tiny")}


def test_attention_over_the_frames_is_no_mean_pool(store: Path) -> None:
    with tracking.start_run("a", tags={"dfd.kind": "detector"}) as run:
        run.params({"model.name": "resnext_mean", "model.pooling": "attention"})
    (row,) = tracking.runs().to_dict("records")
    assert (row["control"], row["head"]) == ("", "attention pooling")


def test_the_shuffled_control_is_never_the_best(tiny_store: Path) -> None:
    """It may well have the best figures on validation; then the best of the others is served."""
    shuffled = tracking.runs().query("control == 'shuffled frames'")
    assert len(shuffled) > 0
    corpora = sorted(set(shuffled["corpus"]))
    best = {tracking.run_of(str(tracking.best(corpus))) for corpus in (None, *corpora)}
    assert not best & set(shuffled["run_id"])
