"""How several detectors' figures fall as clips grow worse, a line a detector."""

import pandas as pd
import streamlit as st

from dfd import charts, curves, tracking
from dfd.glossary import METRICS, metric
from pages.ui import compare_parts, store
from pages.ui.compare_parts import Shown

MOST = 5


@st.cache_data(max_entries=64, show_spinner="Reading the curves")
def _curves(uri: str, run_id: str) -> pd.DataFrame:
    return curves.read(run_id)


def show(runs: pd.DataFrame, shown: Shown) -> None:
    """The robustness curves of the chosen runs of `dfd robustness`; how to draw some while there are none."""
    recorded = store.robustness()
    recorded = recorded[recorded["status"] == "FINISHED"]
    if recorded.empty:
        ready = runs.loc[runs["checkpoint"] != "", "run_id"]
        compare_parts.nothing(
            "No robustness curves yet",
            "What compression, blur, noise and scaling do to a detector's figures is measured in a shell:",
            f"dfd robustness CORPUS --checkpoint {ready.iloc[0] if len(ready) else 'RUN'}",
        )
        return
    chosen = shown.runs("Curves", recorded, key="robustness_runs", most=MOST, default=2)
    if not chosen:
        st.caption("Choose a detector's curves.")
        return
    names = compare_parts.run_names(recorded)
    with store.told():
        tables = {names[run_id]: _curves(tracking.store_uri(), run_id) for run_id in chosen}
    whole = pd.concat(tables, names=["run"]).reset_index(level="run")
    with st.container(horizontal=True, gap="medium"):
        name = shown.metric(
            [name for name in METRICS if name in whole and name != "coverage"], key="robustness_metric", index=1
        )
        labels = list(whole.loc[whole["level"] > 0, "label"].unique())
        kinds = shown.pills("Changes", labels, key="robustness_kinds", default=labels)
    some = {run: table[(table["level"] == 0) | table["label"].isin(kinds)] for run, table in tables.items()}
    compare_parts.chart(
        charts.robustness_of_runs(some, name),
        key="robustness",
        name=f"{name}-robustness",
        alt=f"{metric(name).label} of {', '.join(tables)} against {', '.join(kinds).lower() or 'no change'}",
    )
    st.caption(f"{metric(name).help} {curves.SCOPE}")
    if whole["clips"].nunique() > 1:
        st.warning("These curves are not of the same clips: they do not tell which detector is better.")
    compare_parts.download(whole[(whole["level"] == 0) | whole["label"].isin(kinds)], f"{name}-robustness.csv")
