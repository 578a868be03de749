"""A dfd home that was moved or renamed keeps its runs' files."""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from dfd import checkpoints, tracking
from dfd.errors import StoreError


@pytest.fixture
def home(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one registered detector and a table."""
    home = tmp_path / "first place"  # with a space, which addresses write as %20
    monkeypatch.setenv("DFD_HOME", str(home))
    with tracking.start_run("one", tags={"dfd.kind": "detector", "dfd.corpus": "swap"}) as run:
        run.table(pd.DataFrame({"a": [1, 2]}), "table.parquet")
        run.folder(tiny_checkpoint, tracking.CHECKPOINT)
        run.metrics({"val/auc": 0.7, "val/loss": 0.5})
    with tracking.share_run(run.run_id) as run:
        tracking.promote(run.run_id, run.register(), "swap")
    return home


def moved(home: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home.rename(to)
    monkeypatch.setenv("DFD_HOME", str(to))
    return to


def test_what_its_runs_stored_is_found(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = tracking.runs()["run_id"].iloc[0]
    to = moved(home, tmp_path / "second", monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert list(tracking.table(run_id, "table.parquet")["a"]) == [1, 2]
    assert [record.name for record in caplog.records if "was moved" in record.message] == ["dfd.tracking.moved"]
    best = tracking.best("swap")
    assert best is not None
    assert checkpoints.load(best).meta.name == "tiny"
    assert tracking.stored(run_id, tracking.CHECKPOINT)
    with tracking.start_run("two") as run:
        run.text("words", "note.txt")
    assert tracking.artifact(run.run_id, "note.txt").is_relative_to(to)
    assert not home.exists(), "nothing is written where the store once was"
    third = moved(to, tmp_path / "third", monkeypatch)
    assert tracking.artifact(run.run_id, "note.txt").is_relative_to(third)


def test_a_copy_of_the_file_alone_reads_what_it_was_copied_from(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = tracking.runs()["run_id"].iloc[0]
    copy = tmp_path / "copy" / "mlruns"
    copy.mkdir(parents=True)
    shutil.copy(home / "mlruns" / "mlflow.db", copy / "mlflow.db")
    (copy / "artifacts").mkdir()
    monkeypatch.setenv("DFD_HOME", str(copy.parent))
    assert tracking.artifact(run_id, "table.parquet").is_relative_to(home)


def test_a_store_whose_files_are_gone_is_left_as_it_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = tracking.runs()["run_id"].iloc[0]
    shutil.rmtree(home / "mlruns" / "artifacts")
    to = moved(home, tmp_path / "second", monkeypatch)
    (to / "mlruns" / "artifacts").mkdir()
    with pytest.raises(StoreError, match=r"has no table\.parquet"):
        tracking.table(run_id, "table.parquet")
    with closing(sqlite3.connect(to / "mlruns" / "mlflow.db")) as store:
        (address,) = store.execute("select artifact_uri from runs").fetchone()
    assert "first%20place" in address


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlruns" / "artifacts").mkdir(parents=True)
    (tmp_path / "mlruns" / "mlflow.db").write_text("no database, but words that are longer than a header" * 10)
    monkeypatch.setenv("DFD_HOME", str(tmp_path))
    with pytest.raises(StoreError, match="cannot be opened"):
        tracking.runs()
