"""Charts say what the numbers say: series, intervals, published points apart, and the two colours of real and fake."""

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dfd import charts, overlays, published
from dfd.glossary import metric


def row(corpus: str, length: int, value: float, *, control: str = "", seed: int = 0, width: float = 0.1) -> dict:
    """A finished run as `tracking.runs()` gives it."""
    return {
        "run_id": f"{corpus}-{control}-{length}-{seed}",
        "corpus": corpus,
        "model": "resnext_mean" if control == "mean pool" else "resnext_lstm",
        "control": control,
        "sequence_length": float(length),
        "seed": float(seed),
        "test/accuracy": value,
        "test/accuracy_low": value - width,
        "test/accuracy_high": value + width,
        "test/auc": value,
        "test/clips": 40.0,
        "val/auc": 0.9,
    }


@pytest.fixture
def runs() -> pd.DataFrame:
    lengths = (10, 20, 40)
    rows = [row(corpus, length, 0.6 + length / 200) for corpus in ("swap", "reenact") for length in lengths]
    rows += [row("swap", 10, 0.6, control="mean pool"), row("swap", 40, 0.7, control="shuffled frames")]
    return pd.DataFrame(rows)


def measured(figure: go.Figure) -> list[go.Scatter]:
    """The traces whose points can be clicked."""
    return [trace for trace in figure.data if trace.customdata is not None]


def bands(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.fill == "toself"]


def test_every_run_is_a_point_that_knows_its_run(runs: pd.DataFrame) -> None:
    figure = charts.accuracy_by_length(runs, "accuracy")
    ids = [custom[0] for trace in measured(figure) for custom in trace.customdata]
    assert sorted(ids) == sorted(runs["run_id"])
    values = dict(zip(ids, itertools.chain.from_iterable(trace.y for trace in measured(figure)), strict=True))
    assert values == dict(zip(runs["run_id"], runs["test/accuracy"], strict=True))


def test_a_line_joins_no_two_setups_as_if_they_were_seeds(runs: pd.DataFrame) -> None:
    other = [row("swap", length, 0.5, seed=1) | {"setup": "t"} for length in (10, 20)]
    both = pd.concat([runs.assign(setup="s"), pd.DataFrame(other)], ignore_index=True)
    points = charts.length_points(both, "accuracy")
    plain = points[points["control"] == ""].groupby("line")["run_id"].count().to_dict()
    assert plain == {"reenact": 3, "swap · setup s": 3, "swap · setup t": 2}
    named = {
        trace.name: trace for trace in charts.accuracy_by_length(both, "accuracy").data if trace.showlegend is None
    }
    colours = [named[line].line.color for line in plain]
    assert len(set(colours)) == 3, "two setups of a corpus can be told apart"


def test_a_line_joins_one_corpus_and_control_only(runs: pd.DataFrame) -> None:
    figure = charts.accuracy_by_length(runs, "accuracy")
    lines = {trace.name: trace for trace in figure.data if trace.mode == "lines" and not trace.fill and trace.x[0]}
    assert set(lines) == {"swap", "reenact", "swap · mean pool", "swap · shuffled frames"}
    assert list(lines["swap"].x) == [10, 20, 40]
    assert list(lines["swap"].y) == pytest.approx([0.65, 0.7, 0.8])


def test_controls_keep_their_corpus_colour_and_have_a_dash_of_their_own(runs: pd.DataFrame) -> None:
    figure = charts.accuracy_by_length(runs, "accuracy")
    lines = {trace.name: trace.line for trace in figure.data if trace.mode == "lines" and not trace.fill and trace.x[0]}
    swap = [lines[name] for name in ("swap", "swap · mean pool", "swap · shuffled frames")]
    assert len({line.color for line in swap}) == 1
    assert len({line.dash for line in swap}) == 3
    assert lines["reenact"].color != lines["swap"].color


def test_the_band_is_the_interval(runs: pd.DataFrame) -> None:
    band = bands(charts.accuracy_by_length(runs[runs["corpus"] == "swap"], "accuracy"))
    assert len(band) == 1
    assert list(band[0].x) == [10, 20, 40, 40, 20, 10]
    assert list(band[0].y) == pytest.approx([0.75, 0.8, 0.9, 0.7, 0.6, 0.55])


def test_a_single_length_has_a_bar_for_its_interval() -> None:
    figure = charts.accuracy_by_length(pd.DataFrame([row("swap", 20, 0.8, width=0.05)]), "accuracy")
    assert not bands(figure)
    bars = [trace.error_y for trace in figure.data if trace.error_y.array is not None]
    assert list(bars[0].array) == pytest.approx([0.05])
    assert list(bars[0].arrayminus) == pytest.approx([0.05])


def test_seeds_are_points_around_one_line_through_their_mean() -> None:
    seeds = [row("swap", length, value, seed=s) for length in (10, 20) for s, value in enumerate((0.6, 0.8))]
    figure = charts.accuracy_by_length(pd.DataFrame(seeds), "accuracy")
    (points,) = measured(figure)
    assert len(points.x) == 4
    (line,) = [trace for trace in figure.data if trace.mode == "lines" and not trace.fill and trace.x[0]]
    assert list(line.y) == pytest.approx([0.7, 0.7])
    assert list(bands(figure)[0].y) == pytest.approx([0.9, 0.9, 0.5, 0.5]), "the band spans the intervals of all seeds"


@pytest.mark.parametrize("part", ["head", "backbone"])
def test_another_head_or_backbone_is_a_line_of_its_own(part: str) -> None:
    """Neither the LSTM's line nor its shuffled control's takes in a GRU, or another trunk, as if it were a seed."""
    usual = {"head": "LSTM", "backbone": "resnext50_32x4d"}
    other = usual | {"head": {"head": "GRU"}, "backbone": {"backbone": "resnet18"}}[part]
    rows = [
        {**row("swap", length, 0.6, control=control, seed=seed), **made_of}
        for seed, made_of in enumerate((usual, other))
        for control in ("", "shuffled frames")
        for length in (10, 20)
    ]
    points = charts.length_points(pd.DataFrame(rows), "accuracy")
    assert points.groupby("line")[part].nunique().tolist() == [1, 1, 1, 1]
    assert {f"swap · {other[part]}", f"swap · shuffled frames · {other[part]}"} < set(points["line"])


def test_runs_without_the_metric_are_left_out(runs: pd.DataFrame) -> None:
    runs.loc[0, "test/accuracy"] = np.nan
    ids = charts.length_points(runs, "accuracy")["run_id"]
    assert runs.loc[0, "run_id"] not in set(ids)
    assert len(ids) == len(runs) - 1


def test_published_points_are_hollow_and_never_joined(runs: pd.DataFrame) -> None:
    series = published.references()
    figure = charts.accuracy_by_length(runs, "accuracy", series)
    traces = [trace for trace in figure.data if trace.name and "other data" in trace.name]
    assert [len(trace.x) for trace in traces] == [9, 6]
    assert len({trace.marker.symbol for trace in traces}) == 2
    for trace, reference in zip(traces, series.values(), strict=True):
        assert trace.mode == "markers"
        assert trace.marker.symbol.endswith("-open")
        assert trace.customdata is None, "a published point opens no run"
        assert list(trace.y) == list(reference["accuracy"])
        assert all(source in text for source, text in zip(reference["source"], trace.text, strict=True))
        assert trace.marker.color not in charts.CORPUS_PALETTE


def test_a_reference_series_looks_the_same_with_and_without_another(runs: pd.DataFrame) -> None:
    series = published.references()
    alone = charts.accuracy_by_length(runs, "accuracy", {"the code's README": series["the code's README"]}).data[-1]
    beside = charts.accuracy_by_length(runs, "accuracy", series).data[-1]
    assert (alone.name, alone.marker.symbol) == (beside.name, beside.marker.symbol)
    assert set(alone.x) <= {10, 20, 40, 60, 80, 100}


def test_published_points_are_accuracies_and_appear_with_no_other_metric(runs: pd.DataFrame) -> None:
    figure = charts.accuracy_by_length(runs, "auc", published.references())
    assert not [trace for trace in figure.data if trace.name and "other data" in trace.name]


def test_an_empty_store_gives_an_empty_chart(runs: pd.DataFrame) -> None:
    assert not measured(charts.accuracy_by_length(runs.head(0), "accuracy"))
    assert charts.metrics_in(runs.head(0)) == []


def test_metrics_are_named_without_interval_ends_and_counts(runs: pd.DataFrame) -> None:
    assert charts.metrics_in(runs) == ["accuracy", "auc"]


def test_filters_never_change_a_corpus_colour() -> None:
    colours = charts.corpus_colours(["swap", "reenact", "dfdc"])
    assert len(set(colours.values())) == 3
    frame = pd.DataFrame([row("swap", 10, 0.7)])
    (points,) = measured(charts.accuracy_by_length(frame, "accuracy", colours=colours))
    assert points.marker.color == colours["swap"]


def test_real_and_fake_have_colours_that_no_corpus_has() -> None:
    assert not {charts.REAL, charts.FAKE} & set(charts.CORPUS_PALETTE)


def test_heat_maps_and_charts_use_the_same_two_colours() -> None:
    drawn = tuple("#{:02X}{:02X}{:02X}".format(*colour) for colour in (overlays.REAL, overlays.FAKE))
    assert drawn == (charts.REAL, charts.FAKE)


@pytest.mark.parametrize("colour", [charts.REAL, charts.FAKE, charts.NEUTRAL, *charts.CORPUS_PALETTE])
@pytest.mark.parametrize("page", ["#FCFCFC", "#12161B"])
def test_colours_are_seen_on_light_and_dark_pages(colour: str, page: str) -> None:
    def luminance(text: str) -> float:
        channels = np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(colour), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3, "WCAG 2.1, 1.4.11: graphics need 3 to 1"


def test_frames_take_the_colour_of_their_side_of_the_threshold() -> None:
    figure = charts.p_fake_over_time([0.0, 0.1, 0.2], [0.2, 0.5, 0.9], threshold=0.5)
    (trace,) = figure.data
    assert list(trace.marker.color) == [charts.REAL, charts.FAKE, charts.FAKE], "at the threshold is fake"
    assert list(trace.y) == pytest.approx([0.2, 0.5, 0.9])
    assert figure.layout.shapes[-1].y0 == 0.5


@pytest.mark.parametrize(("p_fake", "colour"), [(0.2, charts.REAL), (0.4, charts.FAKE), (1.0, charts.FAKE)])
def test_the_verdict_scale_marks_the_score(p_fake: float, colour: str) -> None:
    figure = charts.verdict_scale(p_fake, threshold=0.4)
    (mark,) = figure.data
    assert list(mark.x) == [p_fake]
    assert mark.marker.color == colour
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0, 0.4), (0.4, 1)]


def test_weights_are_signed_and_it_is_known_where_each_frame_is() -> None:
    drawn = charts.frame_weights(np.array([0.3, -0.2, 0.1]), [0.1, 0.0, -0.1], times=[0.0, 0.1, 0.2])
    bars, marks = drawn.figure.data
    assert [custom[0] for custom in bars.customdata] == [0, 1, 2]
    assert list(bars.marker.color) == [charts.FAKE, charts.REAL, charts.FAKE], "negative speaks for real"
    assert list(drawn.at) == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert list(marks.y) == [0.1, 0.0, -0.1]


def test_a_single_frame_has_no_mark_for_being_left_out() -> None:
    drawn = charts.frame_weights([0.3], [float("nan")], times=[0.0])
    (bars,) = drawn.figure.data
    assert list(drawn.at) == [0.5]
    assert list(bars.y) == [0.3]


def test_the_verdict_so_far_changes_colour_where_it_crosses_the_threshold() -> None:
    drawn = charts.verdict_so_far([0.0, 0.1, 0.2], [0.4, 0.6, 0.7], threshold=0.6)
    (trace,) = drawn.figure.data
    assert list(trace.marker.color) == [charts.REAL, charts.FAKE, charts.FAKE]
    low, high = drawn.figure.layout.xaxis.range
    assert low + drawn.at * (high - low) == pytest.approx([0.0, 0.1, 0.2])
    assert list(charts.verdict_so_far([0.4], [0.4], threshold=0.6).at) == [0.5]


def test_other_orders_stand_beside_the_order_that_was_read() -> None:
    others, own = charts.other_orders(0.9, [0.2, 0.8, 0.4], threshold=0.5).data
    assert list(others.y) == [0.2, 0.4, 0.8]
    assert list(own.y) == [0.9]
    assert own.marker.color == charts.FAKE


def test_parts_of_the_face_are_told_from_their_size() -> None:
    bars, marks = charts.face_parts(["eyes", "mouth"], [0.7, 0.3], [0.1, 0.2]).data
    assert (list(bars.y), list(bars.x)) == (["eyes", "mouth"], [0.7, 0.3])
    assert list(marks.x) == [0.1, 0.2]


def test_the_confusion_matrix_shows_counts_and_shares_in_their_cells() -> None:
    figure = charts.confusion(np.array([[9, 1], [2, 6]]))
    cells = {(note.x, note.y): note.text for note in figure.layout.annotations}
    assert cells == {
        (0, 0): "<b>9</b><br>90%",
        (1, 0): "<b>1</b><br>10%",
        (0, 1): "<b>2</b><br>25%",
        (1, 1): "<b>6</b><br>75%",
    }
    assert list(figure.layout.xaxis.ticktext) == ["judged real", "judged fake"]
    assert list(figure.layout.yaxis.ticktext) == ["real clips", "fake clips"]


def test_the_roc_marks_the_point_at_which_the_detector_operates() -> None:
    curve = pd.DataFrame({"fpr": [0, 0, 0.5, 1], "tpr": [0, 0.6, 0.9, 1], "threshold": [np.inf, 0.8, 0.4, 0.1]})
    trace = charts.roc(curve, threshold=0.5).data[-1]
    assert (trace.x[0], trace.y[0]) == (0, 0.6), "the lowest score that is still called fake is 0.8"


def test_learning_curves_keep_losses_and_scores_apart() -> None:
    names = ("train/loss", "val/loss", "val/auc_epoch", "train/learning_rate", "train/seconds")
    history = pd.DataFrame(
        [(name, step, step / 10) for name in names for step in (1, 2)], columns=["metric", "step", "value"]
    )
    assert [trace.name for trace in charts.learning_curves(history, "loss").data] == ["training", "validation"]
    assert [trace.name for trace in charts.learning_curves(history, "score").data] == ["AUC"]


def test_an_unknown_metric_is_shown_under_its_own_name() -> None:
    assert metric("tpr_at_1_fpr").label == "Tpr at 1 fpr"
    assert metric("auc").write(float("nan")) == "–"
    assert metric("accuracy").write(0.905) == "90.5%"


def bars(figure: go.Figure) -> dict[str, go.Bar]:
    return {trace.name: trace for trace in figure.data}


def test_clips_are_stacked_in_the_two_colours_and_totals_stand_at_the_ends() -> None:
    rows = [("train", "real", 1200), ("train", "fake", 800), ("test", "real", 0), ("test", "fake", 40)]
    figure = charts.clip_counts(pd.DataFrame(rows, columns=["group", "label", "clips"]))
    drawn = bars(figure)
    assert {name: trace.marker.color for name, trace in drawn.items()} == {"real": charts.REAL, "fake": charts.FAKE}
    assert (list(drawn["real"].y), list(drawn["real"].x)) == (["train"], [1200])
    assert (list(drawn["fake"].y), list(drawn["fake"].x)) == (["train", "test"], [800, 40])
    assert {note.y: note.text for note in figure.layout.annotations} == {"train": "2,000", "test": "40"}
    assert list(figure.layout.yaxis.categoryarray) == ["test", "train"], "the axis runs upwards: train is at the top"
    assert figure.layout.barmode == "stack"


def test_a_bin_of_whole_numbers_stands_at_its_middle_and_says_its_ends() -> None:
    rows = [(0, 10, "real", 3), (10, 20, "real", 1), (0, 10, "fake", 0), (10, 20, "fake", 2)]
    bins = pd.DataFrame(rows, columns=["low", "high", "label", "clips"])
    drawn = bars(charts.spread(bins, title="Frames"))
    assert list(drawn["fake"].x) == [4.5, 14.5]
    assert list(drawn["fake"].text) == ["0 to 9", "10 to 19"]
    assert list(drawn["fake"].y) == [0, 2]
    assert drawn["fake"].marker.color == charts.FAKE
    assert list(bars(charts.spread(bins, title="px", whole=False))["real"].x) == [5, 15]


def test_a_histogram_without_labels_has_neither_colour() -> None:
    bins = pd.DataFrame([(1, 2, "", 3), (2, 3, "", 1)], columns=["low", "high", "label", "clips"])
    (trace,) = charts.spread(bins, title="Clips", of="people").data
    assert trace.marker.color == charts.NEUTRAL
    assert list(trace.x) == [1, 2]
    assert list(trace.text) == ["1", "2"]
    assert not charts.spread(bins.head(0), title="Clips").data
