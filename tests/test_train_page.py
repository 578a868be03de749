"""The Train page: an experiment file is chosen, checked, started, watched, stopped and gone on with."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dfd import launches
from tests.test_launches import ORDERLY, after, doing, experiments, nothing_left, said  # noqa: F401
from tests.test_pages import open_page, words


@pytest.fixture(autouse=True)
def home(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty store and the faces of one corpus, on a dashboard that may start processes."""
    faces = store / "data" / "faces" / "nowhere" / "manifest.csv"
    faces.parent.mkdir(parents=True)
    faces.touch()
    monkeypatch.setenv("DFD_ALLOW_LAUNCHES", "1")
    return store


def chosen(name: str) -> AppTest:
    app = open_page("train")
    app.selectbox(key="experiment_file").set_value(name).run()
    assert not app.exception
    return app


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    app.button[labels(app).index(label)].click().run()
    assert not app.exception
    return app


def test_a_wrong_file_is_told_in_a_sentence_and_cannot_be_started() -> None:
    app = chosen("wrong.yaml")
    (error,) = app.error
    assert "unknown key 'modle'" in error.value
    assert labels(app) == []


def test_a_corpus_that_is_not_preprocessed_is_named_with_the_command(home: Path) -> None:
    (home / "data" / "faces" / "nowhere" / "manifest.csv").unlink()
    app = chosen("sweep.yaml")
    assert "dfd preprocess nowhere" in words(app)
    (button,) = app.button
    assert (button.label, button.disabled) == ("Start this sweep", True)


def test_a_training_is_started_watched_stopped_and_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, ORDERLY)
    app = press(chosen("plain.yaml"), "Start this training")
    (launch,) = launches.launches()
    assert app.query_params["launch"] == launch.id
    said(launch, "[ 40%, 3 min left] epoch 2 of 5")
    app.run()
    (bar,) = app.get("progress")
    assert (bar.proto.value, bar.proto.text) == (40, "epoch 2 of 5 (3 min left)")
    assert "reading" in words(app), "its log is in view"
    press(app, "Stop")
    after(launch, "stopped")
    app.run()
    assert "stopped" in words(app)
    assert "the run is recorded as interrupted" in words(app)
    press(app, "Go on with it")
    again = launches.launches()[0]
    assert (again.experiment, again.id != launch.id) == (launch.experiment, True)
    assert app.query_params["launch"] == again.id


def test_a_failure_is_told_with_its_exit_code_and_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, "import sys; print('dfd: the disk is full'); sys.exit(1)")
    after(launches.start("plain.yaml"), "failed")
    (error,) = open_page("train").error
    assert error.value == "It failed (exit code 1): dfd: the disk is full"


def test_a_dashboard_that_others_reach_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    doing(monkeypatch, ORDERLY)
    launch = launches.start("plain.yaml")
    monkeypatch.setenv("DFD_ALLOW_LAUNCHES", "0")
    app = open_page("train")
    assert "it starts no processes" in app.info[0].value
    assert "dfd train" in words(app)
    assert labels(app) == [], "neither start nor stop"
    assert not app.selectbox or all(box.key != "experiment_file" for box in app.selectbox)
    said(launch, "reading")
    launches.stop(launch)
    after(launch, "stopped")
