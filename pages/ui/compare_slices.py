"""One detector by the slices of its test clips, and the gap between the best and the worst."""

import pandas as pd
import streamlit as st

from dfd import charts, comparison, tracking
from dfd.glossary import TERMS, metric
from dfd.metrics import Gap, Slices
from pages.ui import compare_parts, store
from pages.ui.compare_parts import Shown

FIGURES = ("auc", "accuracy")


@st.cache_data(max_entries=16, show_spinner="Drawing people")
def _slices(uri: str, run_id: str, column: str) -> Slices:
    return comparison.slices_of(run_id, column)


def show(_: pd.DataFrame, shown: Shown) -> None:
    """Figures of a run, be it an evaluation, for every value of a column; how to get some while there are none."""
    done = compare_parts.finished(store.tested())
    if done.empty:
        compare_parts.nothing("No run has finished yet", "Train a detector first:", "dfd train EXPERIMENT.yaml")
        return
    names = compare_parts.run_names(done)
    row = st.container(horizontal=True, gap="medium")
    with row:
        run_id = shown.one("Run", list(names), format_func=names.__getitem__, key="slices_run", width=420)
    with store.told():
        columns = comparison.columns_of(run_id)
    if not columns:
        _nothing(run_id)
        return
    with row:
        column = shown.one("By", columns, key="slices_by", width=200, help=TERMS["slices"])
        name = shown.metric(FIGURES, key="slices_metric")
    with store.told():
        found = _slices(tracking.store_uri(), run_id, column)
    _figures(found, name)


def _nothing(run_id: str) -> None:
    compare_parts.nothing(
        "Nothing tells this run's test clips apart",
        "They are of one fake method, one compression and one data set. A corpus that is added with a table may say "
        "more of its clips, in columns such as `attribute.gender`; a run that is trained or evaluated on it has slices "
        "by it then, here and in a shell:",
        f"dfd slices {run_id} --by gender",
    )


def _figures(found: Slices, name: str) -> None:
    gap = next((gap for gap in found.gaps if gap.metric == name), None)
    _gap(gap, name)
    compare_parts.chart(
        charts.slice_figures(found.rows, name),
        key="slices",
        name=f"{name}-by-{found.column}",
        alt=f"{metric(name).label} by {found.column}, with intervals",
    )
    st.caption(f"{metric(name).help} {TERMS['interval']} {TERMS['by method'] if found.column == 'method' else ''}")
    percent = {
        key: st.column_config.NumberColumn(metric(key).label, format="percent") for key in ("acc_real", "acc_fake")
    }
    st.dataframe(
        found.rows,
        hide_index=True,
        column_order=["value", "clips", "real", "fake", name, f"{name}_low", f"{name}_high", "acc_real", "acc_fake"],
        placeholder="–",
        column_config={
            "value": found.column.capitalize(),
            "clips": "Clips",
            "real": "Real",
            "fake": "Fake",
            name: st.column_config.NumberColumn(metric(name).label, format=compare_parts.number(name)),
            f"{name}_low": st.column_config.NumberColumn("95 % from", format=compare_parts.number(name)),
            f"{name}_high": st.column_config.NumberColumn("to", format=compare_parts.number(name)),
            **percent,
        },
        alt=f"Figures by {found.column}",
    )
    compare_parts.download(found.rows, f"{name}-by-{found.column}.csv")


def _gap(gap: Gap | None, name: str) -> None:
    if gap is None:
        st.caption(f"Fewer than two slices have the figure {metric(name).label}, so that there is no gap.")
        return
    look = metric(name)
    span = "" if pd.isna(gap.low) else f"95 %: {look.write(gap.low)} to {look.write(gap.high)}; "
    st.metric("Gap between the best and the worst", look.write(gap.difference), help=TERMS["gap"], width="content")
    st.caption(f"{span}best {gap.best}, worst {gap.worst}")
