"""Random search: what is drawn, who runs it, what is ended early, and what is chosen; on validation clips alone."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import yaml

from dfd import tracking
from dfd.config import Experiment, read_experiment
from dfd.errors import ExperimentError, StoreError
from dfd.experiments import train
from dfd.search import default_storage, search
from dfd.study import Study, open_database
from tests import face_corpora
from tests.commands import dfd, finished, started
from tests.conftest import tiny_experiment

SPACE = {
    "train.head.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.head.batch": [4, 8],
    "model.hidden": {"low": 4, "high": 16, "step": 4},
}


def asked(**search: object) -> Experiment:
    """A search that trains a trial in about a second."""
    model = {"name": "resnext_lstm", "backbone": "tiny", "weights": "none", "hidden": 8, "sequence_length": 2}
    settings = {"space": SPACE, "pruner": "none", **search}
    return tiny_experiment(name="tiny search", data={"corpora": ["swaps"]}, model=model, sweep=None, search=settings)


@pytest.fixture
def home(store: Path, tmp_path: Path) -> Path:
    """dfd's home with a tiny preprocessed corpus."""
    face_corpora.preprocessed(store, face_corpora.added(tmp_path / "tree"))
    return store


def written(experiment: Experiment, folder: Path) -> Path:
    """An experiment as a file."""
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(experiment.model_dump(mode="json")), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("{}", "'search.space': .*at least 1 item"),
        ("{train.head.learnin_rate: [1]}", "unknown key 'train.head.learnin_rate'; known here: epochs, batch"),
        ("{train.head: [1, 2]}", "cannot vary 'train.head'"),
        ("{model.dropout: [0.2, 1.5]}", "cannot vary 'model.dropout': .*less than 1 .it is 1.5"),
        ("{model.dropout: {low: 0.1, high: 1}}", "cannot vary 'model.dropout': .*less than 1"),
        ("{model.dropout: []}", "'model.dropout' takes {low, high}"),
        ("{model.dropout: 0.3}", "'model.dropout' takes {low, high}.*it is 0.3"),
        ("{model.dropout: {low: 0.5, high: 0.1}}", "'model.dropout': .*low, 0.5, must be less than high, 0.1"),
        ("{model.dropout: {low: 0.1, up: 0.5}}", "'model.dropout': .*field required"),
        ("{model.dropout: {low: 0.1, high: 0.5, steps: 1}}", "unknown key 'steps'; known here: low, high, log, step"),
        ("{model.dropout: {low: 0.1, high: 0.5, step: 0.3}}", "a whole number of steps of 0.3 above low"),
        ("{model.dropout: {low: 0, high: 0.5, log: true}}", "log takes a low above 0"),
        ("{model.dropout: {low: .nan, high: 0.5}}", "'model.dropout': .*finite number"),
        ("{model.hidden: {low: 1.5, high: 8}}", "cannot vary 'model.hidden': .*valid integer"),
        ("{model.hidden: {low: 2, high: 8, step: 1.5}}", "cannot vary 'model.hidden': .*so must its step be"),
        ("{train.head.optimiser: {low: 1, high: 2}}", "cannot vary 'train.head.optimiser'"),
        ("{train.augment: {low: 0, high: 1}}", "cannot vary 'train.augment'"),
        ("{model.name: [resnext_lstm, meso4]}", "'model.name' is not searched: .*other usual settings"),
        ("{model.backbone: [resnet18, xception]}", "'model.backbone' is not searched"),
        ("{train.head.schedule: [plateau, nothing]}", "cannot vary 'train.head.schedule'"),
        ("{model.sequence_length: [10, 20]}", "`dfd sweep` compares lengths"),
        ("{seed: [0, 1]}", "'seed' is not searched: it is no hyperparameter"),
        ("{data.videos: [2, 4]}", "'data.videos' is not searched"),
    ],
)
def test_a_space_that_cannot_be_is_refused_by_its_key(tmp_path: Path, space: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: x\ndata: {{corpora: [a]}}\nsearch:\n  space: {space}\n")
    with pytest.raises(ExperimentError, match=said) as refused:
        read_experiment(path)
    assert "\n" not in str(refused.value)


def test_a_search_is_of_one_experiment(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not of a sweep; set 'sweep' or 'search' to null"):
        tiny_experiment(search={"space": SPACE})
    with pytest.raises(ExperimentError, match="no 'search' section; use `dfd train`"):
        search(tiny_experiment(sweep=None))


def test_values_that_do_not_go_together_are_refused_before_anything_is_trained(home: Path) -> None:
    space = {"model.temporal": ["lstm", "none"], "model.bidirectional": [False, True]}
    with pytest.raises(ExperimentError, match=r"does not go together \(model.bidirectional = True"):
        search(asked(space=space, trials=16))
    assert tracking.runs().empty


def test_a_file_of_a_search_can_be_trained_as_it_is(home: Path) -> None:
    """Its section says nothing of what one run does, and its password is written nowhere."""
    experiment = asked(storage="postgresql://me:secret@nowhere/trials")
    run_id = train(experiment)
    assert train(experiment.model_copy(update={"search": None})) == run_id
    assert "secret" not in json.dumps(tracking.params(run_id)) + experiment.model_dump_json()
    assert "search" not in tiny_experiment().model_dump()


def test_the_best_trial_is_found_on_validation_clips_and_can_be_trained(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tracking.metrics
    monkeypatch.setattr(
        "dfd.search.tracking.metrics",
        lambda run_id: {name: value for name, value in told(run_id).items() if name.startswith("val/")},
    )
    file, best = written(asked(), tmp_path), tmp_path / "best.yaml"
    assert dfd(monkeypatch, "search", file, "--trials", "3", "--out", best, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    table = tracking.runs()
    trials = table[table["kind"] == "detector"]
    assert found["trials"] == {"complete": 3, "pruned": 0, "failed": 0}
    assert found["best"]["value"] == trials["val/accuracy"].max()
    equals = trials[trials["val/accuracy"] == trials["val/accuracy"].max()]
    assert found["best"]["run_id"] == equals.loc[equals["val/log_loss"].idxmin(), "run_id"]

    parent = tracking.tags(found["run_id"])
    assert parent["dfd.search.best_run"] == found["best"]["run_id"]
    assert {tracking.tags(run_id)["mlflow.parentRunId"] for run_id in trials["run_id"]} == {found["run_id"]}
    assert {tracking.tags(run_id)["dfd.search"] for run_id in trials["run_id"]} == {found["study"]}
    assert tracking.params(found["run_id"])["search.sampler"] == "RandomSampler(0)"
    assert tracking.params(found["run_id"])["search.space.train.head.batch"] == "4,8"
    assert tracking.metrics(found["run_id"]) == {}  # neither val/ nor test/: figures of a search are named as such
    assert told(found["run_id"])["search/best"] == found["best"]["value"]
    assert (table["kind"] == "backbone").sum() == 1

    assert train(read_experiment(best)) == found["best"]["run_id"]
    assert dfd(monkeypatch, "search", file, "--trials", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out) == found
    assert len(tracking.runs()) == len(table)


def test_trials_share_a_backbone_for_each_setting_that_touches_it(home: Path) -> None:
    found = search(asked(space={"model.dropout": [0.1, 0.5], "train.head.batch": [4, 8]}), trials=3)
    table = tracking.runs().set_index("kind")
    told = [tracking.params(run_id) for run_id in table.loc["backbone", "run_id"]]
    assert {params["model.dropout"] for params in told} == {"0.1", "0.5"}
    assert {params["train.head.batch"] for params in told} == {"8"}  # nothing of a trial's own head
    assert found.tally.counts["complete"] == 3


def test_a_pruned_trial_is_recorded_as_such(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Study, "is_hopeless", lambda self, claim, value, epoch: claim.place == 1)
    found = search(asked(), trials=3)
    assert found.tally.counts == {"complete": 2, "pruned": 1, "failed": 0}
    table = tracking.runs().set_index("name")
    pruned = table.loc["tiny search trial 1"]
    assert (pruned["status"], pruned["checkpoint"], pruned["registered"]) == ("KILLED", "", "")
    assert tracking.tags(pruned["run_id"])["dfd.pruned"] == "1"
    assert table.loc["tiny search", "status"] == "FINISHED"


def test_a_trial_that_diverges_fails_alone(home: Path) -> None:
    space = {"train.head.learning_rate": [0.01, 1e38]}
    found = search(asked(space=space, objective="log_loss"))
    assert found.tally.counts == {"complete": 1, "pruned": 0, "failed": 1}  # of 20, but no others differ
    assert "the training loss became" in found.tally.reasons[0]
    assert found.best is not None
    assert found.best.experiment.train.head.learning_rate == 0.01


def test_a_search_in_which_all_trials_fail_says_why(home: Path) -> None:
    with pytest.raises(ExperimentError, match="no trial .* came to a figure: the training loss became"):
        search(asked(space={"train.head.learning_rate": [1e38]}), trials=2)


def test_other_clips_or_another_space_are_another_search(home: Path) -> None:
    one = search(asked(), trials=1)
    other = search(asked(space={"train.head.batch": [4, 8]}), trials=1)
    assert one.study != other.study
    assert one.run_id != other.run_id


def test_a_search_goes_on_in_its_own_store_of_runs_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = default_storage()
    search(asked(), trials=1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(StoreError, match="begun with another store of runs"):
        search(asked(), trials=2, storage=url)


def test_a_search_is_left_to_the_processes_that_still_run_its_trials(home: Path) -> None:
    found, elsewhere = search(asked(), trials=1), "far away 12 1700000000"
    with open_database(default_storage()) as database:
        trial = optuna.load_study(study_name=found.study, storage=database).ask()
        trial.set_user_attr("dfd.process", elsewhere)
    found = search(asked(), trials=2)
    assert f"1 complete, 0 pruned, 0 failed; still run by {elsewhere}" in found.summary
    assert tracking.tags(found.run_id)["dfd.process"] == elsewhere
    assert tracking.runs().set_index("kind").loc["search", "status"] == "RUNNING"
    found = search(asked(), trials=2, lost=["far away"])
    assert found.tally.counts["complete"] == 2
    assert tracking.runs().set_index("kind").loc["search", "status"] == "FINISHED"


def outcomes() -> pd.DataFrame:
    """The finished trials of the store, by name, with what they came to."""
    table = tracking.runs()
    table = table[(table["kind"] == "detector") & (table["status"] == "FINISHED")].set_index("name").sort_index()
    return table[["run_id", *(name for name in table if str(name).startswith(("val/", "test/")))]]


def stopped(run: subprocess.Popen[str], after: int) -> pd.DataFrame:
    """Kill a search once so many of its trials are finished; returns those."""
    while run.poll() is None and len(outcomes()) < after:
        time.sleep(0.2)
    run.kill()
    run.communicate()
    return outcomes()


def test_a_search_that_is_killed_goes_on_to_the_same_results(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, file = shutil.copytree(home, tmp_path / "whole"), written(asked(), tmp_path)
    before = stopped(started("search", file, "--trials", "4"), after=1)
    assert 1 <= len(before) < 4
    finished(started("search", file, "--trials", "4", "--out", tmp_path / "best.yaml"))
    after, table = outcomes(), tracking.runs()
    assert set(before["run_id"]) < set(after["run_id"])
    assert len(after) == 4
    assert [(table["kind"] == kind).sum() for kind in ("search", "backbone")] == [1, 1]
    assert table.set_index("kind").loc["search", "status"] == "FINISHED"

    monkeypatch.setenv("DFD_HOME", str(whole))
    uninterrupted = search(asked(), trials=4)
    figures: list[Any] = [frame.drop(columns="run_id") for frame in (after, outcomes())]
    pd.testing.assert_frame_equal(*figures, check_exact=True)
    assert uninterrupted.best is not None
    assert read_experiment(tmp_path / "best.yaml") == uninterrupted.best.experiment


def test_two_processes_share_a_search(home: Path, tmp_path: Path) -> None:
    file = written(asked(), tmp_path)
    runs = [started("search", file, "--trials", "5") for _ in range(2)]
    for run in runs:
        finished(run)
    table = tracking.runs()
    assert sorted(outcomes().index) == [f"tiny search trial {place}" for place in range(5)]
    assert [(table["kind"] == kind).sum() for kind in ("search", "backbone", "detector")] == [1, 1, 5]
    assert table.set_index("kind").loc["search", "status"] == "FINISHED"
    processes = {tracking.tags(run_id)["dfd.process"] for run_id in outcomes()["run_id"]}
    assert len(processes) == 2
