"""The sections of the Compare page: across data sets, over seeds, by slices; and what each says while it is empty."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dfd import charts, comparison, tracking
from dfd.checkpoints import load
from dfd.data import face_corpus
from dfd.evaluation import evaluate_and_record
from tests import face_corpora, stores
from tests.conftest import tiny_table
from tests.test_pages import open_page, words


def section(name: str) -> AppTest:
    """The Compare page at one of its sections."""
    app = open_page("compare")
    app.get("button_group")[0].set_value(name).run()
    assert not app.exception
    assert not app.error
    return app


def table(app: AppTest, place: int = 0) -> pd.DataFrame:
    return app.dataframe[place].value


@pytest.fixture
def filled(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store in which a detector was tested on a corpus that says who is a woman; returns the evaluation's run."""
    home = stores.copied(tiny_home, tmp_path / "own")
    monkeypatch.setenv("DFD_HOME", str(home))
    other = tiny_table(("other",), clips=80).manifest.map(
        lambda clip: replace(clip, attributes=(("gender", ("female", "male")[int(clip.target_identity[1:]) // 4 % 2]),))
    )
    face_corpora.preprocessed(home, other)
    detector = next(row for row in tracking.detectors() if row["corpus"] == "sample-swap")
    run_id, _ = evaluate_and_record(load(detector["checkpoint"]), face_corpus("other"))
    return run_id


def seeded(seed: int, auc: float, *, model: str = "frame_cnn") -> None:
    """A finished run, as far as the table of runs knows it."""
    with tracking.start_run(f"seed {seed}", tags={"dfd.kind": "detector", "dfd.corpus": "sample-swap"}) as run:
        run.params({"model.name": model, "model.sequence_length": 4, "seed": seed})
        run.metrics({"test/auc": auc, "test/accuracy": auc})


def test_the_first_section_is_the_one_by_sequence_length(tiny_store: Path) -> None:
    app = open_page("compare")
    control = app.get("button_group")[0]
    assert control.options[:4] == ["By sequence length", "Across data sets", "Over seeds", "By slices"]
    assert control.value == "By sequence length"
    assert len(app.get("plotly_chart")) == 1


@pytest.mark.parametrize(
    ("name", "said", "command"),
    [
        ("Across data sets", "No detector was tested on another data set yet", "dfd evaluate CORPUS --checkpoint "),
        ("Over seeds", "No experiment has several seeds yet", "dfd sweep experiments/sample_ablation.yaml"),
        ("By slices", "Nothing tells this run's test clips apart", "dfd slices "),
    ],
)
def test_an_empty_section_says_which_command_fills_it(tiny_store: Path, name: str, said: str, command: str) -> None:
    app = section(name)
    assert said in words(app)
    (shown,) = [code.value for code in app.code if code.value.startswith(command)]
    if "RUN" not in shown and "sweep" not in shown:
        assert any(run_id in shown for run_id in tracking.runs()["run_id"]), "a run of the store, not a placeholder"
    assert not app.get("plotly_chart")


def test_the_matrix_has_what_was_met_and_what_was_held_out_apart(filled: str) -> None:
    app = section("Across data sets")
    assert len(app.get("plotly_chart")) == 1
    shown = table(app)
    assert sorted(shown["relation"]) == ["held out", "in distribution"]
    expected = comparison.cells("auc").set_index(["detector", "tested_on"])["value"]
    for row in shown.to_dict("records"):
        assert row["value"] == expected[row["detector"], row["tested_on"]]
    means = table(app, 1).iloc[0]
    by_relation = shown.set_index("relation")["value"]
    assert means["in distribution"] == pytest.approx(by_relation["in distribution"])
    assert means["held out"] == pytest.approx(by_relation["held out"])
    assert "They are never averaged together" in words(app)


def test_other_detectors_and_metrics_are_shown_in_the_matrix_when_asked(filled: str) -> None:
    app = section("Across data sets")
    app.selectbox(key="matrix_metric").set_value("accuracy").run()
    first = len(table(app))
    picker = app.multiselect(key="matrix_detectors")
    picker.set_value(picker.options).run()
    assert not app.exception
    assert len(table(app)) == len(comparison.cells("accuracy")) > first
    picker.set_value([]).run()
    assert not app.exception
    assert "Choose a detector" in words(app)


def test_a_test_that_was_just_recorded_is_in_the_matrix(filled: str) -> None:
    before = len(table(section("Across data sets")))
    rows = [row for row in tracking.detectors() if row["corpus"] == "sample-reenact"]
    evaluate_and_record(load(rows[0]["checkpoint"]), face_corpus("other"))
    st.cache_resource.clear()  # instead of the two seconds that pages wait before they ask the store again
    assert len(table(section("Across data sets"))) == before + 2


def test_seeds_are_shown_as_mean_and_spread(filled: str) -> None:
    for seed, auc in enumerate((0.8, 0.9, 0.85)):
        seeded(seed, auc)
    app = section("Over seeds")
    app.selectbox(key="seeds_metric").set_value("auc").run()
    (row,) = table(app).to_dict("records")
    assert (row["model"], row["seeds"]) == ("frame_cnn", 3)
    assert row["mean"] == pytest.approx(0.85)
    assert row["spread"] == pytest.approx(np.std([0.8, 0.9, 0.85], ddof=1))
    assert "left out" not in words(app)


def test_runs_that_differ_in_more_than_their_seed_are_left_out_and_counted(filled: str) -> None:
    for seed in (0, 0, 1):
        seeded(seed, 0.8)
    app = section("Over seeds")
    assert not app.dataframe
    assert "3 runs are left out" in words(app)


def test_a_detectors_slices_have_figures_intervals_and_the_gap(filled: str) -> None:
    """Of a detector whose own test clips are of two methods."""
    row = next(row for row in tracking.detectors() if row["corpus"] == "sample-swap")
    told = tracking.predictions(row["run_id"])
    told = told[told["split"] == "test"]
    real, fakes = told[told["label"] == 0], told[told["label"] == 1]
    other = fakes.assign(clip_id="other/" + fakes["clip_id"], method="other", p_fake=fakes["p_fake"] / 2)
    clips = pd.concat([real, fakes, other]).assign(**{"attribute.gender": "female"})
    clips.loc[clips["target_identity"] == clips["target_identity"].iloc[0], "attribute.gender"] = "male"
    with tracking.start_run("two methods", tags={"dfd.kind": "detector", "dfd.corpus": "sample-swap"}) as run:
        run.params({"model.name": "resnext_lstm", "model.sequence_length": 4, "seed": 7})
        run.metrics({"test/auc": 0.5})
        run.table(clips, tracking.PREDICTIONS)
    app = section("By slices")
    app.selectbox(key="slices_run").set_value(run.run_id).run()
    assert app.selectbox(key="slices_by").options == ["method", "gender"]
    expected = comparison.slices_of(run.run_id, "method")
    pd.testing.assert_frame_equal(table(app)[["value", "auc"]], expected.rows[["value", "auc"]])
    (gap,) = [gap for gap in expected.gaps if gap.metric == "auc"]
    assert f"{gap.difference:.3f}" in [figure.value for figure in app.metric]
    assert f"best {gap.best}, worst {gap.worst}" in words(app)
    assert len(app.get("plotly_chart")) == 1
    app.selectbox(key="slices_by").set_value("gender").run()
    assert not app.exception
    assert list(table(app)["value"]) == ["female", "male"]


def test_an_evaluation_is_sliced_by_what_its_corpus_says_of_the_clips(filled: str) -> None:
    app = section("By slices")
    app.selectbox(key="slices_run").set_value(filled).run()
    assert app.selectbox(key="slices_by").options == ["gender"]
    assert list(table(app)["value"]) == ["female", "male"]


def test_a_detector_of_ones_own_is_in_the_table_beside_the_others(filled: str) -> None:
    facts = {"dfd.kind": "own", "dfd.corpus": "sample-swap", "dfd.threshold": 0.5}
    with tracking.start_run("own: mine on sample-swap", tags=facts) as run:
        run.params({"model.name": "own: mine"})
        run.metrics({"test/auc": 0.7, "test/accuracy": 0.6, "test/accuracy_low": 0.5, "test/accuracy_high": 0.7})
        run.text("def predict(path): ...", "detector.py")
    app = open_page("compare")
    row = table(app).set_index("run").loc[f"/runs?run={run.run_id}"]
    assert (row["model"], row["value"]) == ("own: mine", 0.6)
    assert np.isnan(row["sequence_length"])
    app = open_page("runs", run=run.run_id)
    text = words(app)
    assert "dfd evaluate sample-swap --detector " in text
    assert "nan" not in text


def test_the_chart_of_the_matrix_marks_every_cell_by_its_relation() -> None:
    rows = [("a", "a", "net"), ("b", "a+b", "net"), ("", "", "own: mine")]
    index = pd.MultiIndex.from_tuples(rows, names=["trained_on", "backbone_on", "detector"])
    values = pd.DataFrame([[0.9, 0.6], [0.7, 0.8], [np.nan, 0.5]], index=index, columns=["a", "b"])
    relations = pd.DataFrame(
        [["in distribution", "held out"], ["backbone only", "in distribution"], ["", "not known"]],
        index=index,
        columns=["a", "b"],
    )
    figure = charts.cross_matrix(values, relations, "auc", "#123456")
    cells = {(note.y, note.x): note.text for note in figure.layout.annotations}
    assert len(cells) == 5, "a cell without a test is empty"
    for (row, column), text in cells.items():
        assert relations.iat[row, column] in text
        assert f"{values.iat[row, column]:.3f}" in text
    colours = {
        text.split("<br>")[1]: shape.fillcolor.rsplit(",", 1)[0]
        for text, shape in zip(cells.values(), figure.layout.shapes, strict=True)
    }
    assert len(set(colours.values())) == 4, "each relation has a colour of its own"
    assert "its backbone on a+b" in figure.layout.yaxis.ticktext[1]
    assert "training not known" in figure.layout.yaxis.ticktext[2]


def test_the_chart_of_slices_has_a_point_and_an_interval_for_each() -> None:
    rows = pd.DataFrame(
        {
            "value": ["dark", "", "light", "none"],
            "real": 4,
            "fake": 5,
            "auc": [0.6, 0.7, 0.9, np.nan],
            "auc_low": [0.5, np.nan, 0.85, np.nan],
            "auc_high": [0.8, np.nan, 0.95, np.nan],
        }
    )
    (points,) = charts.slice_figures(rows, "auc").data
    assert list(points.y) == ["dark", "not known", "light"]
    assert list(points.x) == [0.6, 0.7, 0.9]
    assert list(points.error_x.array) == pytest.approx([0.2, 0, 0.05])
    assert list(points.error_x.arrayminus) == pytest.approx([0.1, 0, 0.05])
    assert "4 real and 5 fake clips" in points.text[0]


def test_a_frame_baseline_is_called_by_its_name() -> None:
    """It is a model of its own, and neither the LSTM nor its control."""
    rows = [{"run_id": "1", "corpus": "a", "model": "frame_cnn", "control": "", "sequence_length": 4.0, "seed": 0.0}]
    points = charts.length_points(pd.DataFrame(rows).assign(**{"test/auc": 0.9}), "auc")
    assert list(points["line"]) == ["a · frame_cnn"]
