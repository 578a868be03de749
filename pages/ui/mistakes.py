"""The clips a run's detector got wrong, each one click from what it looked at."""

from urllib.parse import quote

import pandas as pd
import streamlit as st

from dfd.mistakes import most_wrong

SHOWN = 50


def show(run_id: str, predictions: pd.DataFrame, *, explainable: bool) -> None:
    """A table of the surest errors first; `explainable` says whether there is a checkpoint to ask."""
    tested = int((predictions["split"] == "test").sum())
    wrong = most_wrong(predictions)
    st.subheader("Clips it got wrong", anchor=False, help="Test clips on the wrong side of the threshold.")
    if wrong.empty:
        st.caption(f"None of the {tested} test clips.")
        return
    st.caption(f"{len(wrong)} of {tested} test clips, the surest errors first.")
    link = f"/attribution?run={run_id}&clip="
    table = wrong.head(SHOWN).assign(
        truth=lambda rows: rows["label"].map({0: "real", 1: "fake"}),
        look=lambda rows: [link + quote(f"{row.corpus}:{row.clip_id}") for row in rows.itertuples()],
    )
    st.dataframe(
        table,
        hide_index=True,
        column_order=["clip_id", "corpus", "truth", "method", "p_fake", *(["look"] if explainable else [])],
        column_config={
            "clip_id": "Clip",
            "corpus": "Data set",
            "truth": "It is",
            "method": "Method",
            "p_fake": st.column_config.ProgressColumn("p_fake", format="%.3f", min_value=0, max_value=1),
            "look": st.column_config.LinkColumn("Attribution", display_text="What did it look at?"),
        },
        alt="Test clips that were judged wrong, the surest errors first",
    )
