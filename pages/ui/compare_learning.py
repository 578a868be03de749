"""How several runs learnt: one figure by epoch, a line a run, smoothed as asked."""

import pandas as pd
import streamlit as st

from dfd import charts, tracking
from dfd.glossary import TERMS
from pages.ui import compare_parts, store
from pages.ui.compare_parts import Shown

MOST = 8


@st.cache_data(max_entries=128, show_spinner="Reading the curves")
def _finished(uri: str, run_id: str) -> pd.DataFrame:
    return tracking.history(run_id)


def _history(run: pd.Series) -> pd.DataFrame:
    """A run's curves, read once when it is finished and each time while it grows."""
    if run["status"] == "FINISHED":
        return _finished(tracking.store_uri(), run["run_id"])
    return tracking.history(run["run_id"])


def show(runs: pd.DataFrame, shown: Shown) -> None:
    """The learning curves of the chosen runs, those in training among them."""
    chosen = shown.runs("Runs", runs, key="learning_runs", most=MOST)
    if not chosen:
        st.caption("Choose a run.")
        return
    names, known = compare_parts.run_names(runs), runs.set_index("run_id", drop=False)
    with store.told():
        histories = {names[run_id]: _history(known.loc[run_id]) for run_id in chosen}
    figures = charts.curve_names(histories)
    if not figures:
        st.caption("None of these runs has logged an epoch.")
        return
    with st.container(horizontal=True, gap="medium"):
        usual = figures.index("val/loss") if "val/loss" in figures else 0
        name = shown.one(
            "Figure", figures, format_func=charts.curve_label, key="learning_figure", index=usual, width=300
        )
        smoothing = shown.slider(
            "Smoothing", 0.0, 0.95, 0.0, key="smoothing", step=0.05, width=300, help=TERMS["smoothing"]
        )
    compare_parts.chart(
        charts.learning_of_runs(histories, name, smoothing),
        key="learning",
        name=f"{name.replace('/', '-')}-by-epoch",
        alt=f"{charts.curve_label(name)} by epoch of {', '.join(histories)}",
    )
    silent = [run for run, history in histories.items() if name not in set(history["metric"])]
    if silent:
        st.caption(f"Not logged by {', '.join(silent)}.")
    table = pd.concat(histories, names=["run"]).reset_index(level="run")
    compare_parts.download(table[table["metric"] == name], f"{name.replace('/', '-')}-by-epoch.csv")
