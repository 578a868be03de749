"""Runs: find one in the table, then everything about it."""

import pandas as pd
import streamlit as st

from dfd.charts import metrics_in
from dfd.glossary import metric
from pages.ui import frame, registry, run_details, store

STATUSES = {"FINISHED": "finished", "RUNNING": "running", "FAILED": "failed", "KILLED": "stopped"}
SHOWN = ("accuracy", "auc")


def matching(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that pass the filters."""
    with st.container(horizontal=True, gap="medium"):
        kept = {"persist_state": "session"}
        text = st.text_input(
            "Search", key="search", placeholder="Name or id", type="search", live=True, width=260, **kept
        )
        wanted = {
            column: st.multiselect(
                label, sorted(runs[column].unique()), key=f"runs_{column}", placeholder="All", width=230, **kept
            )
            for column, label in (("corpus", "Corpus"), ("model", "Model"), ("status", "Status"))
        }
    found = runs
    if text:
        named = found["name"].str.contains(text, case=False, regex=False)
        found = found[named | found["run_id"].str.startswith(text.lower())]
    for column, values in wanted.items():
        if values:
            found = found[found[column].isin(values)]
    return found.reset_index(drop=True)


def choose(runs: pd.DataFrame) -> None:
    """The table; a selected row opens its run."""
    found = matching(runs)
    measured = [name for name in SHOWN if name in metrics_in(runs)]
    columns = ["name", "status", "corpus", "model", "control", "sequence_length", "seed"]
    event = st.dataframe(
        found[[*columns, *(f"test/{name}" for name in measured), "started"]],
        hide_index=True,
        height=min(36 * (len(found) + 1) + 4, 620),
        column_config={
            "name": st.column_config.TextColumn("Run", width=260),
            "status": "Status",
            "corpus": "Corpus",
            "model": "Model",
            "control": "Control",
            "sequence_length": st.column_config.NumberColumn("Frames", format="%d"),
            "seed": st.column_config.NumberColumn("Seed", format="%d"),
            "started": st.column_config.DatetimeColumn("Started", format="distance"),
            **{f"test/{name}": metric_column(name) for name in measured},
        },
        on_select="rerun",
        selection_mode="single-row",
        key="runs_table",
        alt="Training runs",
    )
    st.caption(f"{len(found)} of {len(runs)} runs. Select a row to open its run.")
    if event.selection.rows:
        st.query_params["run"] = found.loc[event.selection.rows[0], "run_id"]
        st.rerun()


def metric_column(name: str) -> dict:
    """How a metric is written in the table."""
    look = metric(name)
    return st.column_config.NumberColumn(look.label, format="percent" if look.percent else "%.3f", help=look.help)


SECTIONS = {"All runs": choose, "Registered": registry.show}

frame.title("Runs", "Every training run in the store, and everything that is known of each.")
runs = store.runs()
store.follow(runs)
if runs.empty:
    store.empty("runs")
    st.stop()

runs = runs.assign(
    status=runs["status"].map(lambda word: STATUSES.get(word, word.lower())),
    started=runs["started"].astype(object),  # as a column with a time zone, pyarrow trips over a pandas deprecation
)
asked = st.query_params.get("run")
if asked is None:
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default="All runs",
        required=True,
        key="runs_section",
        label_visibility="collapsed",
    )
    SECTIONS[section](runs)
    st.stop()

if st.button("All runs", icon=":material/arrow_back:", type="tertiary"):
    del st.query_params["run"]
    st.rerun()
run = runs[runs["run_id"] == asked]
if run.empty:
    st.warning(f"The store has no run '{asked}'; choose one from all runs.", icon=":material/search_off:")
    st.stop()
run_details.show(run.iloc[0])
