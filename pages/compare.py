"""Compare: a metric against sequence length, a line for each corpus, with controls and published accuracies."""

import pandas as pd
import streamlit as st

from dfd import charts, published
from dfd.glossary import TERMS, metric
from pages.ui import frame, store

frame.title("Compare", "Does a detector get better by reading more frames? One split, intervals, and two controls.")
runs = store.runs()
store.follow(runs)
names = charts.metrics_in(runs)
if not names:
    store.empty("measured runs")
    st.stop()

corpora = sorted(set(runs["corpus"]) - {""})
references = published.references()
controls = [name for name in charts.DASHES if name and (runs["control"] == name).any()]

with st.container(horizontal=True, gap="medium"):
    name = st.selectbox(
        "Metric",
        names,
        format_func=lambda name: metric(name).label,
        key="metric",
        bind="query-params",
        width=230,
        help="Measured on test clips, which neither the weights nor the threshold have seen.",
    )
    chosen = st.pills("Corpora", corpora, selection_mode="multi", default=corpora, help="Each has a colour of its own.")
    shown = st.pills("Controls", controls, selection_mode="multi", default=controls, help=TERMS["controls"])
    extra = st.pills(
        "Reference",
        list(references),
        selection_mode="multi",
        default="published accuracies",
        disabled=name != "accuracy",
        help=TERMS["published"] + " Nothing but accuracy was published by sequence length.",
    )

selected = runs[runs["corpus"].isin(chosen) & runs["control"].isin(["", *shown])]
beside = {series: references[series] for series in extra if name == "accuracy"}
figure = charts.accuracy_by_length(selected, name, beside, charts.corpus_colours(corpora))
event = st.plotly_chart(
    figure,
    key="length_chart",
    on_select="rerun",
    selection_mode="points",
    config={"displaylogo": False},
    alt=f"{metric(name).label} on test clips against sequence length, a line for each corpus and control.",
)
picked = [point["customdata"][0] for point in event.selection.points if point.get("customdata")]
if picked:
    st.switch_page("pages/runs.py", query_params={"run": picked[0]})

st.caption(f"{metric(name).help} {TERMS['interval']}")
if beside:
    sources = "; ".join(source for figures in beside.values() for source in figures["source"].unique())
    st.caption(f"{TERMS['published']} Source: {sources}.")

st.subheader("The same numbers", anchor=False)
table: pd.DataFrame = charts.length_points(selected, name).assign(run=lambda rows: "/runs?run=" + rows["run_id"])
number = "percent" if metric(name).percent else "%.3f"
st.dataframe(
    table,
    hide_index=True,
    column_order=["corpus", "control", "model", "sequence_length", "seed", "value", "low", "high", "run"],
    column_config={
        "corpus": "Corpus",
        "control": st.column_config.TextColumn("Control", help=TERMS["controls"]),
        "model": "Model",
        "sequence_length": st.column_config.NumberColumn("Frames", help=TERMS["sequence length"]),
        "seed": "Seed",
        "value": st.column_config.NumberColumn(metric(name).label, format=number, help=metric(name).help),
        "low": st.column_config.NumberColumn("95 % from", format=number, help=TERMS["interval"]),
        "high": st.column_config.NumberColumn("to", format=number),
        "run": st.column_config.LinkColumn("Run", display_text="open"),
    },
    alt=f"{metric(name).label} of each run",
)
st.download_button(
    "Download as CSV",
    table.drop(columns="run").to_csv(index=False),
    file_name=f"{name}-by-sequence-length.csv",
    mime="text/csv",
    icon=":material/download:",
    on_click="ignore",
)

with st.expander("What others report", icon=":material/menu_book:"):
    st.caption(TERMS["others"])
    st.dataframe(
        published.auc_within_and_across(),
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
