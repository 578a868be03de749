"""Compare at a threshold: the slider moves confusion matrix, figures and marks together; the curves are what
scikit-learn says of the recorded predictions.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import det_curve, precision_recall_curve
from streamlit.testing.v1 import AppTest

from dfd import charts, comparison, metrics, tracking
from tests.compare_page import compare
from tests.test_pages import words


def detectors() -> list[str]:
    """Ids of the store's detectors, as Compare lists them: newest first."""
    runs = tracking.runs()
    return list(runs.loc[runs["kind"] == "detector", "run_id"])


def figures(app: AppTest) -> dict[str, str]:
    return {figure.label: figure.value for figure in app.metric}


def test_at_first_the_threshold_is_the_one_of_validation(tiny_store: Path) -> None:
    app = compare(section="At a threshold")
    run = tracking.runs().set_index("run_id").loc[detectors()[0]]
    assert app.slider[0].value == float(run["threshold"])
    assert figures(app)["Accuracy"] == f"{run['test/accuracy']:.1%}", "the figure that was recorded"
    assert "the threshold chosen on validation" in words(app)
    assert len(app.get("plotly_chart")) == 6


def test_the_slider_moves_every_figure(tiny_store: Path) -> None:
    app = compare(section="At a threshold")
    clips = comparison.scored(detectors()[0])
    middle = float(np.sort(clips["p_fake"])[len(clips) // 2])
    app.slider[0].set_value(round(middle, 3)).run()
    assert not app.exception
    said, fake = clips["p_fake"] >= round(middle, 3), clips["label"] == 1
    shown = figures(app)
    assert shown["Accuracy"] == f"{(said == fake).mean():.1%}"
    assert shown["Fakes found"] == f"{said[fake].mean():.1%}"
    assert shown["Real called fake"] == f"{said[~fake].mean():.1%}"
    before = tracking.runs().set_index("run_id").loc[detectors()[0], "test/accuracy"]
    moved = round(100 * ((said == fake).mean() - before), 1)
    assert app.metric[0].delta == (f"{moved:+.1f} points" if moved else ""), "from the threshold of validation"
    app.slider[0].set_value(1.0).run()
    assert figures(app)["Precision"] == "–" or clips["p_fake"].max() == 1, "nothing is called fake"


def test_another_detector_in_focus_has_its_own_threshold(tiny_store: Path) -> None:
    app = compare(section="At a threshold")
    first, second = detectors()[:2]
    app.multiselect(key="threshold_runs").set_value([first, second]).run()
    app.slider[0].set_value(0.9).run()
    focus = app.selectbox(key="focus")
    focus.set_value(focus.options[1]).run()
    runs = tracking.runs().set_index("run_id")
    assert app.slider[0].value == float(runs.loc[second, "threshold"])
    assert len(app.dataframe[0].value) == 2


def test_runs_of_other_clips_are_said_to_be_no_comparison(tiny_store: Path) -> None:
    runs = tracking.runs().set_index("run_id")
    ids = detectors()
    other = next(run_id for run_id in ids if runs.loc[run_id, "corpus"] != runs.loc[ids[0], "corpus"])
    app = compare(section="At a threshold")
    app.multiselect(key="threshold_runs").set_value([ids[0], other]).run()
    assert not app.exception
    assert "not tested on the same clips" in app.warning[0].value
    app.multiselect(key="threshold_runs").set_value([]).run()
    assert not app.exception
    assert "Choose a run" in words(app)


some_clips = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=4, max_size=40).filter(
    lambda clips: len({label for label, _ in clips}) == 2
)


@settings(deadline=None, max_examples=50)
@given(clips=some_clips, threshold=st.floats(0, 1))
def test_an_operating_point_is_what_counting_says(clips: list[tuple[int, float]], threshold: float) -> None:
    labels, scores = (np.array(column) for column in zip(*clips, strict=True))
    point = metrics.operating_point(labels, scores, threshold)
    said = scores >= threshold
    assert point.accuracy == pytest.approx((said == (labels == 1)).mean())
    assert point.tpr == pytest.approx(said[labels == 1].mean())
    assert point.fpr == pytest.approx(said[labels == 0].mean())
    assert point.fnr == pytest.approx(1 - point.tpr)
    assert point.balanced_accuracy == pytest.approx((point.tpr + 1 - point.fpr) / 2)
    if said.any():
        assert point.precision == pytest.approx(labels[said].mean())
    else:
        assert np.isnan(point.precision)


@settings(deadline=None, max_examples=50)
@given(clips=some_clips)
def test_curves_are_those_of_scikit_learn(clips: list[tuple[int, float]]) -> None:
    labels, scores = (np.array(column) for column in zip(*clips, strict=True))
    curve = metrics.precision_recall(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert set(zip(curve["recall"], curve["precision"], strict=True)) <= set(zip(recall, precision, strict=True))
    errors = metrics.detection_error_tradeoff(labels, scores)
    fpr, fnr, _ = det_curve(labels, scores)
    assert set(zip(errors["fpr"], errors["fnr"], strict=True)) <= set(zip(fpr, fnr, strict=True))
    assert np.isfinite(errors[["x", "y"]]).all(axis=None), "a rate of 0 has a place too"
    bins = metrics.reliability(labels, scores)
    fakes, means = calibration_curve(labels, scores, n_bins=15)
    if len(bins) == len(fakes):  # its bins are open on the other side: a score on an edge may fall into another
        np.testing.assert_allclose(np.average(bins["fakes"], weights=bins["clips"]), labels.mean())
    histogram = metrics.score_histogram(labels, scores)
    assert (histogram["real"].sum(), histogram["fake"].sum()) == ((labels == 0).sum(), (labels == 1).sum())


def test_reliability_is_scikit_learns_calibration_curve() -> None:
    generator = np.random.default_rng(0)
    scores = generator.uniform(size=500)
    labels = (generator.uniform(size=500) < scores**2).astype(int)
    bins = metrics.reliability(labels, scores)
    fakes, means = calibration_curve(labels, scores, n_bins=15)
    np.testing.assert_allclose(bins["fakes"], fakes)
    np.testing.assert_allclose(bins["p_fake"], means)


def test_a_thinned_curve_keeps_its_ends_and_a_short_one_everything() -> None:
    curve = pd.DataFrame({"fpr": np.linspace(0, 1, 5000)})
    thin = metrics.thinned(curve, 300)
    assert len(thin) == 300
    assert (thin["fpr"].iloc[0], thin["fpr"].iloc[-1]) == (0, 1)
    pd.testing.assert_frame_equal(metrics.thinned(curve.head(300), 300), curve.head(300))


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1], 60)
    return {
        name: pd.DataFrame({"label": labels, "p_fake": generator.beta(2 + power * labels, 3)})
        for name, power in (("good", 4), ("poor", 1))
    }


def test_the_marks_of_all_diagrams_are_at_the_operating_points(tables: dict[str, pd.DataFrame]) -> None:
    points = {
        name: metrics.operating_point(clips["label"], clips["p_fake"], threshold)
        for (name, clips), threshold in zip(tables.items(), (0.4, 0.6), strict=True)
    }
    diagrams = {
        charts.roc_curves: (metrics.roc, lambda point: (point.fpr, point.tpr)),
        charts.precision_recall_curves: (metrics.precision_recall, lambda point: (point.tpr, point.precision)),
        charts.det_curves: (
            metrics.detection_error_tradeoff,
            lambda point: tuple(float(metrics.deviates(rate, 60)) for rate in (point.fpr, point.fnr)),
        ),
    }
    for draw, (measure, place) in diagrams.items():
        curves = {name: measure(clips["label"], clips["p_fake"]) for name, clips in tables.items()}
        figure = draw(curves, points, "poor")
        lines = {trace.name: trace for trace in figure.data if trace.mode == "lines" and trace.hovertemplate}
        assert set(lines) == {"good", "poor"}
        assert lines["poor"].line.width > lines["good"].line.width, "the one in focus stands out"
        assert lines["poor"].line.color != lines["good"].line.color
        assert lines["poor"].line.dash != lines["good"].line.dash
        marks = {trace.name: trace for trace in figure.data if trace.mode == "markers"}
        for name, point in points.items():
            assert (marks[name].x[0], marks[name].y[0]) == pytest.approx(place(point))
        assert marks["good"].marker.symbol.endswith("-open")
        assert not marks["poor"].marker.symbol.endswith("-open")


def test_reliability_has_larger_marks_for_more_clips(tables: dict[str, pd.DataFrame]) -> None:
    curves = {name: metrics.reliability(clips["label"], clips["p_fake"]) for name, clips in tables.items()}
    points = {name: metrics.operating_point(clips["label"], clips["p_fake"], 0.5) for name, clips in tables.items()}
    figure = charts.reliability_curves(curves, points, "good")
    (line,) = [trace for trace in figure.data if trace.name == "good"]
    order = np.argsort(curves["good"]["clips"], kind="stable")
    assert (np.diff(np.array(line.marker.size)[order]) >= 0).all()
    assert figure.layout.shapes[0].x0 == 0.5, "the threshold of the one in focus"
