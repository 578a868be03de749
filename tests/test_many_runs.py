"""The store that benchmarks of the dashboard read: MLflow must read its rows as its own."""

from pathlib import Path

import pytest

from benchmarks.many_runs import generate
from dfd import tracking


def test_copies_are_runs_like_their_patterns(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = generate(tiny_home, tmp_path / "many", runs=40, points=20)
    monkeypatch.setenv("DFD_HOME", str(tmp_path / "many"))
    runs = tracking.runs()
    copies = runs[runs["name"].str.contains(", seed ")]
    assert (len(runs), len(copies)) == (40, added)
    assert set(copies["model"]) <= set(runs["model"].drop(copies.index))
    assert copies["test/auc"].between(0, 1).all()
    assert copies["seed"].is_unique
    run_id = copies["run_id"].iloc[0]
    assert len(tracking.history(run_id)) + sum(name.startswith("test") for name in tracking.metrics(run_id)) >= 8
    assert len(tracking.predictions(run_id)) > 0
    assert tracking.best() is not None


def test_without_a_detector_there_is_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"make demo SERVE=0"):
        generate(tmp_path, tmp_path / "many", runs=40, points=20)
