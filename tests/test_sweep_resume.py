"""A sweep that is killed goes on: what is finished is not trained again, and it comes to what it would have come to."""

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dfd import tracking
from dfd.sweep import sweep
from tests import face_corpora
from tests.commands import finished, started
from tests.conftest import tiny_experiment

EXPERIMENT = tiny_experiment(
    data={"corpora": ["swaps"]},
    sweep={"sequence_lengths": [1, 2], "seeds": [0, 1], "mean_pool": [2], "shuffled": [2]},
)
MEMBERS = 8


def detectors() -> pd.DataFrame:
    """The finished heads of the store."""
    table = tracking.runs()
    return table[(table["kind"] == "detector") & (table["status"] == "FINISHED")]


def figures() -> pd.DataFrame:
    """What each head of the store came to on validation and test clips."""
    table = detectors().set_index(["name", "seed"]).sort_index()
    return table[[name for name in table if str(name).startswith(("val/", "test/", "test_frame/"))]]


def test_a_sweep_that_is_killed_goes_on_to_the_same_results(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face_corpora.preprocessed(store, face_corpora.added(tmp_path / "tree"))
    whole = shutil.copytree(store, tmp_path / "whole")
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(EXPERIMENT.model_dump(mode="json")), encoding="utf-8")

    first = started("sweep", file)
    while first.poll() is None and len(detectors()) < 2:
        time.sleep(0.2)
    first.kill()
    first.communicate()
    before = set(detectors()["run_id"])
    assert 2 <= len(before) < MEMBERS
    finished(started("sweep", file))

    after, table = detectors(), tracking.runs()
    assert before < set(after["run_id"])
    assert (len(after), after["key"].nunique()) == (MEMBERS, MEMBERS)
    assert (table["kind"] == "backbone").sum() == 1
    resumed = figures()
    monkeypatch.setenv("DFD_HOME", str(whole))
    assert len(sweep(EXPERIMENT)) == MEMBERS
    pd.testing.assert_frame_equal(resumed, figures(), check_exact=True)
