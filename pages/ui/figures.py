"""A figure on test clips as every page shows it: its name, its value, and its 95 % interval."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dfd.glossary import metric


def figure(run: Mapping[str, Any], name: str) -> None:
    """A test metric of a run, as `tracking.runs()` has it, with its interval below where it has one."""
    look = metric(name)
    low, high = run.get(f"test/{name}_low"), run.get(f"test/{name}_high")
    span = "" if low is None or pd.isna(low) else f"95 %: {look.write(low)} to {look.write(high)}"
    with st.container(width=150, gap=None):
        st.metric(look.label, look.write(run[f"test/{name}"]), help=look.help)
        st.caption(span)
