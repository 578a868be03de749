"""Compare: detectors by sequence length, across data sets, over seeds and slices, at a threshold, and two by two."""

import streamlit as st

from dfd import charts
from pages.ui import (
    compare_free,
    compare_learning,
    compare_lengths,
    compare_matrix,
    compare_pair,
    compare_parts,
    compare_robustness,
    compare_seeds,
    compare_slices,
    compare_threshold,
    frame,
    store,
)

SECTIONS = {
    "By sequence length": compare_lengths.show,
    "Across data sets": compare_matrix.show,
    "Over seeds": compare_seeds.show,
    "By slices": compare_slices.show,
    "At a threshold": compare_threshold.show,
    "Two runs": compare_pair.show,
    "Any figure": compare_free.show,
    "Learning": compare_learning.show,
    "Robustness": compare_robustness.show,
}

frame.title("Compare", "Does a detector get better by reading more frames? One split, intervals, and two controls.")
runs = store.runs()
store.follow(runs)
if not charts.metrics_in(runs):
    store.empty("measured runs")
    st.stop()
runs = runs[runs["search"] == ""]  # a search's trials differ in what it searches: they are not seeds of one another

section = st.segmented_control(
    "Section",
    list(SECTIONS),
    default="By sequence length",
    required=True,
    key="section",
    bind="query-params",
    label_visibility="collapsed",
)
share = st.popover("Link and pictures", icon=":material/share:", type="tertiary")
shown = compare_parts.Shown(section)
with share:
    picture = shown.segments("Charts are saved as", compare_parts.PICTURES, key="picture", default="PNG")
    st.caption("By the camera that stands above a chart when you point at it.")
SECTIONS[section](runs, shown)
with share:
    st.markdown("This link brings the section back as it is shown now:")
    st.code(shown.address(), language=None, wrap_lines=True)
