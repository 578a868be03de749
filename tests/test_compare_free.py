"""Any figure against anything: what is joined, what is a point, what is never joined; learning and robustness curves of
several runs.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dfd import charts, published, tracking
from dfd.metrics import thinned
from tests.compare_page import compare
from tests.test_pages import words


@pytest.fixture
def table() -> pd.DataFrame:
    """Runs of two corpora and two heads, two seeds each, at two learning rates."""
    rows = [
        {
            "run_id": f"{corpus}-{head}-{rate}-{seed}",
            "name": f"{corpus} {head}",
            "corpus": corpus,
            "model": "resnext_lstm",
            "head": head,
            "control": "",
            "sequence_length": 20.0,
            "seed": float(seed),
            "train.rate": rate,
            "device": "cpu",
            "test/auc": 0.7 + rate + 0.01 * seed + 0.1 * (head == "GRU"),
            "test/auc_low": 0.6,
            "test/auc_high": 0.95,
        }
        for corpus in ("swap", "reenact")
        for head in ("LSTM", "GRU")
        for rate in (0.01, 0.1)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


def lines(figure: go.Figure) -> list[go.Scatter]:
    """What is drawn through means, without the legend's samples."""
    return [trace for trace in figure.data if trace.mode == "lines" and not trace.fill and trace.x[0] is not None]


def test_what_varies_is_offered_and_what_does_not_is_not(table: pd.DataFrame) -> None:
    assert charts.axes_in(table) == ["sequence_length", "corpus", "model", "seed", "train.rate"]
    assert charts.parts_in(table) == ["corpus", "seed", "head", "train.rate"]
    assert charts.figures_in(table) == ["test/auc"]
    assert charts.figure_label("val/auc") == "AUC, validation"


def test_seeds_are_points_around_a_mean_and_heads_are_never_joined(table: pd.DataFrame) -> None:
    view = charts.View("train.rate", "test/auc", "corpus")
    points = charts.points_of(table, view)
    figure = charts.free_chart(points, view, ["reenact", "swap"])
    drawn = lines(figure)
    assert len(drawn) == 4, "a line for each corpus and head"
    assert all(list(line.x) == [0.01, 0.1] for line in drawn)
    assert {line.line.dash for line in drawn if line.line.color == drawn[0].line.color} == {"solid", "dash"}
    named = {trace.name: trace.line.dash for trace in figure.data if trace.x[0] is None and trace.mode == "lines"}
    assert named == {"GRU": "solid", "LSTM": "dash"}, "the legend says which dash is which head"
    heights = sorted(round(line.y[0], 4) for line in drawn)
    assert heights == [0.715, 0.715, 0.815, 0.815], "the mean of two seeds"
    runs = [one[0] for trace in figure.data if trace.customdata is not None for one in trace.customdata]
    assert sorted(runs) == sorted(table["run_id"])


def test_runs_that_differ_in_what_is_left_out_of_the_group_are_taken_together(table: pd.DataFrame) -> None:
    view = charts.View("train.rate", "test/auc", "corpus", group=())
    assert len(lines(charts.free_chart(charts.points_of(table, view), view, ["reenact", "swap"]))) == 2


def test_facets_are_panels_on_one_scale(table: pd.DataFrame) -> None:
    view = charts.View("train.rate", "test/auc", "corpus", "head")
    figure = charts.free_chart(charts.points_of(table, view), view, ["reenact", "swap"])
    assert [note.text for note in figure.layout.annotations] == ["Head: GRU", "Head: LSTM"]
    assert figure.layout.yaxis2.matches == "y"


def test_categories_are_side_by_side_and_not_joined(table: pd.DataFrame) -> None:
    view = charts.View("corpus", "test/auc", "head")
    figure = charts.free_chart(charts.points_of(table, view), view, ["reenact", "swap"])
    assert list(figure.layout.xaxis.ticktext) == ["reenact", "swap"]
    assert not lines(figure)
    bars = [trace for trace in figure.data if trace.error_y.array is not None]
    places = [place for trace in bars for place in trace.x]
    assert len(set(places)) == 4, "an interval for each corpus and head, which do not hide one another"
    assert [round(place) for place in sorted(places)] == [0, 0, 1, 1]


def test_others_figures_are_hollow_at_places_of_their_own_and_never_joined(table: pd.DataFrame) -> None:
    view = charts.View("corpus", "test/auc", "head")
    field = published.by_data_set("auc")
    others = field.assign(x=field["tested_on"], text=field["source"])
    figure = charts.free_chart(charts.points_of(table, view), view, ["reenact", "swap"], {"the field": others})
    (marks,) = [trace for trace in figure.data if trace.name and "other data" in trace.name]
    assert marks.mode == "markers"
    assert marks.marker.symbol.endswith("-open")
    assert marks.customdata is None
    named = [figure.layout.xaxis.ticktext[int(place)] for place in marks.x]
    assert named == list(others["tested_on"])
    assert list(marks.y) == list(others["value"])
    assert published.by_data_set("eer").empty


def test_of_many_runs_some_hundred_are_points_and_all_are_in_the_lines() -> None:
    count = 6000
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "run_id": [f"{i:032x}" for i in range(count)],
            "name": "run",
            "corpus": "swap",
            "sequence_length": generator.choice([10.0, 20.0, 40.0], count),
            "test/auc": generator.uniform(0.5, 1, count),
        }
    )
    view = charts.View("sequence_length", "test/auc")
    points = charts.points_of(table, view)
    figure = charts.free_chart(points, view, ["swap"])
    drawn = sum(len(trace.customdata) for trace in figure.data if trace.customdata is not None)
    assert drawn <= charts.MOST_POINTS
    (line,) = lines(figure)
    expected = table.groupby("sequence_length")["test/auc"].mean()
    np.testing.assert_allclose(line.y, expected)
    assert len(thinned(table, 10)) == 10
    by_length = charts.accuracy_by_length(table.assign(model="resnext_lstm", control="", seed=0.0), "auc")
    assert sum(len(trace.customdata) for trace in by_length.data if trace.customdata is not None) <= charts.MOST_POINTS
    (line,) = lines(by_length)
    np.testing.assert_allclose(line.y, expected)


def test_runs_that_each_have_a_value_of_their_own_are_not_joined() -> None:
    rates = np.geomspace(1e-4, 1e-1, 40)
    table = pd.DataFrame(
        {"run_id": [str(i) for i in range(40)], "name": "trial", "rate": rates, "test/auc": np.linspace(0.5, 1, 40)}
    )
    view = charts.View("rate", "test/auc")
    points = charts.points_of(table, view)
    assert not charts.joined(points)
    assert not lines(charts.free_chart(points, view, []))


def test_parallel_coordinates_end_in_the_figure_and_name_categories(table: pd.DataFrame) -> None:
    (axes,) = charts.parallel_coordinates(table, ["head", "train.rate"], "test/auc", "#111111").data
    first, second, last = axes.dimensions
    assert (first.label, second.label, last.label) == ("Head", "train.rate", "AUC")
    assert list(first.ticktext) == ["GRU", "LSTM"]
    order = table.sort_values("test/auc")
    assert list(last["values"]) == list(order["test/auc"])
    assert list(axes.line.color) == list(order["test/auc"])


def test_smoothing_is_an_average_that_starts_at_the_first_value() -> None:
    values = pd.Series([1.0, 0.0, 0.0, 0.0])
    assert list(charts.smoothed(values, 0)) == list(values)
    found = charts.smoothed(values, 0.5)
    assert found.iloc[0] == 1
    assert list(found) == pytest.approx([1, 1 / 3, 1 / 7, 1 / 15])


def test_learning_curves_keep_what_was_logged_behind_the_average() -> None:
    def history(start: float) -> pd.DataFrame:
        return pd.DataFrame(
            {"metric": ["val/loss"] * 3 + ["train/loss"] * 3, "step": [1, 2, 3] * 2, "value": [start, 0.5, 0.4] * 2}
        )

    histories = {"a": history(1.0), "b": history(0.8)}
    assert charts.curve_names(histories) == ["train/loss", "val/loss"]
    assert charts.curve_label("val/loss") == "Loss, validation"
    plain = charts.learning_of_runs(histories, "val/loss")
    assert [list(trace.y) for trace in plain.data] == [[1.0, 0.5, 0.4], [0.8, 0.5, 0.4]]
    smooth = charts.learning_of_runs(histories, "val/loss", 0.5)
    assert len(smooth.data) == 4
    faint, average = smooth.data[0], smooth.data[1]
    assert list(faint.y) == [1.0, 0.5, 0.4]
    assert "0.35" in faint.line.color
    assert average.y[-1] > 0.4, "the average lags"


def test_robustness_of_several_detectors_is_a_line_each_in_every_panel() -> None:
    def curves(auc: float) -> pd.DataFrame:
        rows = [("none", "untouched", 0, "", np.nan, "as it is", auc)]
        rows += [
            (kind, kind.upper(), n, "strength", n, f"{n}", auc - n / 20) for kind in ("jpeg", "blur") for n in (1, 2)
        ]
        table = pd.DataFrame(rows, columns=["kind", "label", "level", "scale", "value", "setting", "auc"])
        return table.assign(auc_low=table["auc"] - 0.1, auc_high=table["auc"] + 0.1)

    figure = charts.robustness_of_runs({"a": curves(0.9), "b": curves(0.8)}, "auc")
    assert [note.text for note in figure.layout.annotations] == ["JPEG", "BLUR"]
    drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in drawn] == ["a", "b", "a", "b"]
    assert [trace.showlegend for trace in drawn] == [True, True, False, False]
    assert list(drawn[1].y) == pytest.approx([0.8, 0.75, 0.7]), "from the untouched clips on"


def test_parameters_are_columns_and_read_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rate, mode in ((0.1, "a"), (0.01, "b")):
        with tracking.start_run("run", tags={"dfd.kind": "detector", "dfd.device": "cpu"}) as run:
            run.params({"train.rate": rate, "train.mode": mode})
    table = tracking.parameters().set_index("run_id")
    assert table.loc[run.run_id, "train.rate"] == 0.01
    assert table.loc[run.run_id, "train.mode"] == "b"
    assert table.loc[run.run_id, "dfd.device"] == "cpu"
    assert table["train.rate"].dtype == float
    with tracking.start_run("later") as later:
        later.params({"train.other": 1})
    table = tracking.with_parameters(tracking.runs()).set_index("run_id")
    assert table.loc[later.run_id, "train.other"] == 1
    assert np.isnan(table.loc[run.run_id, "train.other"])
    assert len(table) == 3


def test_the_page_filters_by_any_parameter(tiny_store: Path) -> None:
    app = compare(section="Any figure")
    assert len(app.get("plotly_chart")) == 1
    offered = app.selectbox(key="free_x").options
    assert offered[:4] == ["Sequence length", "Data set", "Model", "Seed"]
    app.multiselect(key="free_filter").set_value(["control"]).run()
    app.multiselect(key="only_control").set_value(["mean pool"]).run()
    assert not app.exception
    app.button_group(key="free_kind").set_value("Parallel coordinates").run()
    assert not app.exception
    assert "A line is a run" in words(app)
    app.multiselect(key="free_axes").set_value([]).run()
    assert "Choose an axis" in words(app)


def test_published_accuracies_are_offered_where_they_fit_and_off_at_first(tiny_store: Path) -> None:
    app = compare(section="Any figure")
    reference = app.pills(key="free_reference")
    assert reference.value == []
    reference.set_value(["published accuracies"]).run()
    assert not app.exception
    assert "were not measured here" in words(app)
    app.selectbox(key="free_x").set_value("corpus").run()
    assert app.pills(key="free_reference").options == ["the field"]
    app.selectbox(key="free_figure").set_value("test/eer").run()
    assert not [group for group in app.pills if group.key == "free_reference"]


def test_learning_curves_of_several_runs_are_shown_together(tiny_store: Path) -> None:
    app = compare(section="Learning")
    runs = [run["run_id"] for run in tracking.detectors()][:3]
    app.multiselect(key="learning_runs").set_value(runs).run()
    app.slider(key="smoothing").set_value(0.5).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    app.multiselect(key="learning_runs").set_value([]).run()
    assert "Choose a run" in words(app)


def test_without_robustness_curves_it_says_how_to_draw_some(tiny_store: Path) -> None:
    app = compare(section="Robustness")
    (command,) = [code.value for code in app.code if code.value.startswith("dfd robustness")]
    assert command.rsplit(" ", 1)[1] in set(tracking.runs()["run_id"])
