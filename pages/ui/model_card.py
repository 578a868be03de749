"""A checkpoint's model card on its run's page, and the way to MLflow's own page of the run."""

import re

import pandas as pd
import streamlit as st

from dfd import tracking
from dfd.errors import StoreError


def show(run: pd.Series) -> None:
    """The card as it was stored; nothing while there is no checkpoint."""
    if not run["checkpoint"]:
        return
    again = f"`dfd card {run['run_id']}` writes it anew, with what was measured since."
    with st.expander("Model card", icon=":material/description:"):
        try:
            text = tracking.artifact(run["run_id"], tracking.CARD).read_text(encoding="utf-8")
        except StoreError:  # a checkpoint of before there were cards, or an imported one
            st.caption(f"None was stored with it. {again}")
            return
        st.caption(f"As it was stored with the checkpoint. {again}")
        st.download_button(
            "Model card as Markdown",
            text,
            file_name=f"model-card-{run['run_id'][:8]}.md",
            mime="text/markdown",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )
        st.markdown(re.sub(r"^(#+ )", r"##\1", text, flags=re.MULTILINE))  # below the page's own headings


def elsewhere(run: pd.Series) -> None:
    """MLflow's own page of the run, or how to serve it."""
    address = tracking.ui_of_run(run["run_id"])
    if address:
        st.link_button("This run in MLflow", address, icon=":material/open_in_new:")
        return
    st.caption("Everything else of this run is on MLflow's own pages:")
    st.code(tracking.ui_command(), language=None, wrap_lines=True)
