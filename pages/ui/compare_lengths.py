"""A metric against sequence length, a line for each corpus, with controls and published accuracies."""

from typing import Any

import pandas as pd
import streamlit as st

from dfd import charts, comparison, published
from dfd.glossary import TERMS, metric
from pages.ui import compare_parts
from pages.ui.compare_parts import Shown


def show(runs: pd.DataFrame, shown: Shown) -> None:
    """The chart of a metric, its numbers as a table, and what others report."""
    corpora = sorted(set(runs["corpus"]) - {""})
    references = published.references()
    controls = [name for name in charts.DASHES if name and (runs["control"] == name).any()]
    with st.container(horizontal=True, gap="medium"):
        name = shown.metric(charts.metrics_in(runs), key="metric")
        chosen = shown.pills("Corpora", corpora, key="corpora", default=corpora, help="Each has a colour of its own.")
        beside = shown.pills("Controls", controls, key="controls", default=controls, help=TERMS["controls"])
        extra = shown.pills(
            "Reference",
            list(references),
            key="reference",
            disabled=name != "accuracy",
            help=TERMS["published"] + " Nothing but accuracy was published by sequence length.",
        )
    shown_runs = runs["corpus"].isin(chosen) & runs["control"].isin(["", *beside])
    selected = runs.reindex(columns=charts.length_columns(name))[shown_runs]  # of a large store, few of many columns
    others = {series: references[series] for series in extra if name == "accuracy"}
    points, own = charts.length_points(selected, name), charts.own_points(selected, name)
    _chart(charts.chart_of_lengths(points, own, name, others, charts.corpus_colours(corpora)), name, others)
    _apart(points)
    _numbers(pd.concat([points, own], ignore_index=True), name)
    _others()


def _chart(figure: Any, name: str, others: dict[str, pd.DataFrame]) -> None:
    compare_parts.chart_of_runs(
        figure,
        key="length_chart",
        name=f"{name}-by-sequence-length",
        alt=f"{metric(name).label} on test clips against sequence length, a line for each corpus and control.",
    )
    st.caption(f"{metric(name).help} {TERMS['interval']}")
    if others:
        sources = "; ".join(source for figures in others.values() for source in figures["source"].unique())
        st.caption(f"{TERMS['published']} Source: {sources}.")


def _apart(points: pd.DataFrame) -> None:
    """What the lines of one corpus and model differ in, where they are no seeds of one another."""
    told = comparison.setups(points)
    if len(told.columns):
        with st.expander("What sets the setups apart", icon=":material/alt_route:"):
            st.caption("Runs that differ in more than seed and sequence length are never joined or averaged.")
            st.dataframe(told, alt="Parameters in which setups differ")


def _numbers(points: pd.DataFrame, name: str) -> None:
    compare_parts.limit(len(points))
    st.subheader("The same numbers", anchor=False)
    table = points.assign(run=lambda rows: "/runs?run=" + rows["run_id"])
    look = compare_parts.number(name)
    st.dataframe(
        table[[*compare_parts.OF_A_RUN, "seed", "value", "low", "high", "run"]],  # what is not shown is not sent
        hide_index=True,
        column_config={
            **compare_parts.OF_A_RUN,
            "seed": "Seed",
            "value": st.column_config.NumberColumn(metric(name).label, format=look, help=metric(name).help),
            "low": st.column_config.NumberColumn("95 % from", format=look, help=TERMS["interval"]),
            "high": st.column_config.NumberColumn("to", format=look),
            "run": st.column_config.LinkColumn("Run", display_text="open"),
        },
        alt=f"{metric(name).label} of each run",
    )
    compare_parts.download(table.drop(columns="run"), f"{name}-by-sequence-length.csv")


def _others() -> None:
    with st.expander("What others report", icon=":material/menu_book:"):
        st.caption(TERMS["others"])
        st.dataframe(
            _of_others(),
            hide_index=True,
            column_order=["detector", "compression", "level", published.WITHIN, *published.ACROSS, "source"],
            placeholder="–",
            column_config={
                "detector": "Detector",
                "compression": st.column_config.TextColumn("Trained at", help="Compression of the clips."),
                "level": st.column_config.TextColumn("Level", help="Of frames or of videos."),
                **{
                    data: st.column_config.NumberColumn(data, format="%.3f")
                    for data in (published.WITHIN, *published.ACROSS)
                },
                "source": "Source",
            },
            alt="AUC that others report, within and across data sets",
        )


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def _of_others() -> pd.DataFrame:
    return published.auc_within_and_across()
