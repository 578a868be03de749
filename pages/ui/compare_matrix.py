"""The cross-data-set matrix: what detectors come to on data they were trained on, and on data they never met."""

import pandas as pd
import streamlit as st

from dfd import charts, comparison, tracking
from dfd.glossary import TERMS, metric
from pages.ui import compare_parts, frame, store
from pages.ui.compare_parts import Shown

MEANS = ("in distribution", "held out")


@st.cache_data(max_entries=8, show_spinner="Reading the evaluations")
def _cells(uri: str, version: tuple[int, int], name: str) -> pd.DataFrame:
    return comparison.cells(name)


def show(runs: pd.DataFrame, shown: Shown) -> None:
    """The matrix of a metric, its numbers as a table; how to fill it while nothing was tested elsewhere."""
    row = st.container(horizontal=True, gap="medium")
    with row:
        names = charts.metrics_in(runs)
        usual = names.index("auc") if "auc" in names else 0  # what others report across data sets
        name = shown.metric(names, key="matrix_metric", index=usual)
    with store.told():
        found = _cells(tracking.store_uri(), store.version(), name)
    elsewhere = found[found["relation"] != "in distribution"]
    if elsewhere.empty:
        _nothing(runs)
        return
    with row:
        names, tested = (sorted(set(rows["detector"])) for rows in (found, elsewhere))
        chosen = shown.several("Detectors", names, default=tested, key="matrix_detectors")
    matrix = comparison.cross_matrix(found[found["detector"].isin(chosen)])
    if matrix.values.empty:
        st.caption("Choose a detector.")
        return
    compare_parts.chart(
        charts.cross_matrix(matrix.values, matrix.relations, name, frame.ink()),
        key="matrix",
        name=f"{name}-across-data-sets",
        alt=f"{metric(name).label} of each detector on each data set it was tested on",
    )
    st.caption(f"{metric(name).help} {TERMS['relation']}")
    _numbers(found[found["detector"].isin(chosen)], matrix.means, name)


def _nothing(runs: pd.DataFrame) -> None:
    ready = runs.loc[runs["checkpoint"] != "", "run_id"]
    run_id = ready.iloc[0] if len(ready) else "RUN"
    compare_parts.nothing(
        "No detector was tested on another data set yet",
        "A detector that was only tested on the data set it was trained on says little of other fakes. Test one on "
        "another data set that was preprocessed:",
        f"dfd evaluate CORPUS --checkpoint {run_id}",
    )


def _numbers(found: pd.DataFrame, means: pd.DataFrame, name: str) -> None:
    look = compare_parts.number(name)
    st.subheader("The same numbers", anchor=False)
    st.dataframe(
        found,
        hide_index=True,
        column_order=["detector", "trained_on", "backbone_on", "tested_on", "relation", "value", "low", "high"],
        column_config={
            "detector": "Detector",
            "trained_on": "Trained on",
            "backbone_on": "Backbone on",
            "tested_on": "Tested on",
            "relation": st.column_config.TextColumn("Relation", help=TERMS["relation"]),
            "value": st.column_config.NumberColumn(metric(name).label, format=look),
            "low": st.column_config.NumberColumn("95 % from", format=look, help=TERMS["interval"]),
            "high": st.column_config.NumberColumn("to", format=look),
        },
        alt=f"{metric(name).label} of each detector and data set, with intervals",
    )
    compare_parts.download(found, f"{name}-across-data-sets.csv")
    st.subheader("Means, apart", anchor=False, help="Over the data sets of one kind alone; empty where there is none.")
    st.dataframe(
        means.reset_index(),
        hide_index=True,
        column_order=["detector", "trained_on", *MEANS],
        placeholder="–",
        column_config={
            "detector": "Detector",
            "trained_on": "Trained on",
            **{kind: st.column_config.NumberColumn(kind.capitalize(), format=look) for kind in MEANS},
        },
        alt=f"Mean {metric(name).label} over the data sets of training, and over those held out",
    )
