"""Detectors at a threshold: confusion matrix and figures that follow a slider, and the curves over all thresholds."""

import pandas as pd
import streamlit as st

from dfd import charts, comparison, metrics
from dfd.glossary import TERMS, metric
from dfd.metrics import OperatingPoint
from pages.ui import compare_parts, frame, store
from pages.ui.compare_parts import Shown

MOST = 5  # detectors whose lines can be told apart
FIGURES = ("accuracy", "auc", "average_precision", "eer", "tpr_at_fpr_5", "log_loss", "ece")
RATES = {
    "accuracy": ("Accuracy", "normal", "Share of the clips that are judged rightly."),
    "balanced_accuracy": (
        "Balanced accuracy",
        "normal",
        "Mean of the shares of real and of fake clips judged rightly.",
    ),
    "tpr": ("Fakes found", "normal", metric("recall").help),
    "fpr": ("Real called fake", "inverse", "Share of the real clips that are called fake."),
    "precision": ("Precision", "normal", metric("precision").help),
}
Tables = dict[str, pd.DataFrame]


def show(_: pd.DataFrame, shown: Shown) -> None:
    """Diagrams of the chosen runs from what they said of each test clip; one is in focus, and has the slider."""
    done = compare_parts.finished(store.tested())
    if done.empty:
        compare_parts.nothing("No run has finished yet", "Train a detector first:", "dfd train EXPERIMENT.yaml")
        return
    chosen = shown.runs("Runs", done, key="threshold_runs", most=MOST)
    if not chosen:
        st.caption("Choose a run.")
        return
    names = compare_parts.run_names(done)
    with store.told():
        tables = {names[run_id]: compare_parts.scored(run_id) for run_id in chosen}
    point = _in_focus(tables, chosen, shown)
    focus, points = point[0], {name: _own_point(clips) for name, clips in tables.items()}
    _figures(point[1], points[focus])
    points[focus] = point[1]
    if not comparison.same_clips(list(tables.values())):
        st.warning("These runs were not tested on the same clips: their curves do not tell which is better.")
    _at_threshold(tables[focus], point[1])
    _diagrams(tables, points, focus)
    _numbers(tables)


def _in_focus(tables: Tables, chosen: list[str], shown: Shown) -> tuple[str, OperatingPoint]:
    """Which detector the slider moves, and where to."""
    with st.container(horizontal=True, gap="medium"):
        focus = shown.one("In focus", list(tables), key="focus", width=420)
        clips = tables[focus]
        own = float(clips["threshold"].iloc[0])
        threshold = shown.slider(
            "Threshold",
            0.0,
            1.0,
            own,
            key=f"threshold_{chosen[list(tables).index(focus)][:8]}",
            step=0.001,
            format="%.3f",
            width=520,
            help=f"{TERMS['threshold']} {TERMS['operating point']}",
        )
    return focus, metrics.operating_point(clips["label"], clips["p_fake"], threshold)


def _own_point(clips: pd.DataFrame) -> OperatingPoint:
    return metrics.operating_point(clips["label"], clips["p_fake"], float(clips["threshold"].iloc[0]))


def _figures(now: OperatingPoint, own: OperatingPoint) -> None:
    """The figures at the slider's threshold, and how far they are from those at the one chosen on validation."""
    moved = now.points_above(own)
    with st.container(horizontal=True, gap="medium"):
        for name, (label, colour, text) in RATES.items():
            st.metric(
                label,
                metric("accuracy").write(getattr(now, name)),
                delta=f"{moved[name]:+.1f} points" if name in moved else None,
                delta_color=colour,
                help=text,
                width=160,
            )
    at = f"At {now.threshold:.3f}"
    st.caption(
        f"{at}, the threshold chosen on validation."
        if now.threshold == own.threshold
        else f"{at}; beside it what changes from {own.threshold:.3f}, the threshold chosen on validation."
    )


def _at_threshold(clips: pd.DataFrame, point: OperatingPoint) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Confusion matrix", anchor=False, help=f"Test clips. {TERMS['threshold']}")
        (reals, alarms), (_, hits) = point.confusion.tolist()
        compare_parts.chart(
            charts.confusion(point.confusion, frame.ink()),
            key="threshold_confusion",
            name="confusion-matrix",
            alt=f"{reals} of {reals + alarms} real and {hits} of {point.confusion[1].sum()} fake clips right",
        )
        words = ("real", "fake")
        counts = pd.DataFrame(point.confusion, columns=[f"judged {word}" for word in words])
        compare_parts.download(counts.assign(clips=words, threshold=point.threshold), "confusion-matrix.csv")
    with right:
        st.subheader("Scores", anchor=False, help=TERMS["p_fake"])
        bins = metrics.score_histogram(clips["label"], clips["p_fake"])
        compare_parts.chart(
            charts.score_histogram(bins, point.threshold),
            key="threshold_scores",
            name="scores",
            alt="Real and fake clips by p_fake, and the threshold",
        )
        compare_parts.download(bins, "scores.csv")


def _diagrams(tables: Tables, points: dict[str, OperatingPoint], focus: str) -> None:
    kinds = {
        "ROC": (metrics.roc, charts.roc_curves, "Every threshold at once; filled is the one in focus."),
        "Precision and recall": (metrics.precision_recall, charts.precision_recall_curves, metric("precision").help),
        "DET": (metrics.detection_error_tradeoff, charts.det_curves, TERMS["det"]),
        "Reliability": (metrics.reliability, charts.reliability_curves, TERMS["reliability"]),
    }
    columns = [*st.columns(2, gap="large"), *st.columns(2, gap="large")]
    for column, (title, (measure, draw, text)) in zip(columns, kinds.items(), strict=True):
        curves = {name: measure(clips["label"], clips["p_fake"]) for name, clips in tables.items()}
        drawn = {name: metrics.thinned(curve) for name, curve in curves.items()}
        slug = title.lower().replace(" ", "-")
        with column:
            st.subheader(title, anchor=False, help=text)
            alt = f"{title} of {', '.join(tables)}"
            compare_parts.chart(draw(drawn, points, focus), key=f"threshold_{slug}", name=slug, alt=alt)
            compare_parts.download(pd.concat(curves, names=["run"]).reset_index(level="run"), f"{slug}.csv")


def _numbers(tables: Tables) -> None:
    """Each detector at the threshold of its own validation."""
    rows = [
        {
            "run": name,
            "threshold": clips["threshold"].iloc[0],
            **metrics.clip_metrics(clips["label"], clips["p_fake"], clips["threshold"].iloc[0]),
            "clips": len(clips),
        }
        for name, clips in tables.items()
    ]
    table = pd.DataFrame(rows)[["run", "clips", "threshold", *FIGURES]]
    st.subheader("At the thresholds chosen on validation", anchor=False)
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "run": "Run",
            "clips": "Clips",
            "threshold": st.column_config.NumberColumn("Threshold", format="%.3f", help=TERMS["threshold"]),
            **{
                name: st.column_config.NumberColumn(
                    metric(name).label, format=compare_parts.number(name), help=metric(name).help
                )
                for name in FIGURES
            },
        },
        alt="Figures of the chosen runs",
    )
    compare_parts.download(table, "at-validation-thresholds.csv")
