"""The store: what is written comes back, an empty one is no error, and the best is chosen on validation."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dfd import checkpoints, tracking
from dfd.errors import StoreError
from tests.conftest import tiny_table


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


def test_what_is_not_there_is_told(tiny_store: Path) -> None:
    with pytest.raises(StoreError, match="no run of the store"):
        tracking.predictions("nothing")
    with tracking.start_run("bare") as run:
        pass
    with pytest.raises(StoreError, match="has no predictions.parquet"):
        tracking.predictions(run.run_id)
    with pytest.raises(StoreError, match="has no checkpoint"):
        checkpoints.load(run.run_id)
    assert isinstance(tracking.history(run.run_id), pd.DataFrame)
