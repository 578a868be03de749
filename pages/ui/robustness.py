"""A run's robustness curves: how its detector's figures fall as clips grow worse."""

import pandas as pd
import streamlit as st

from dfd import charts, curves
from dfd.glossary import METRICS, metric
from pages.ui import store


def show(run: pd.Series) -> None:
    """The curves of a run's checkpoint, or how to draw some; nothing while it has no checkpoint."""
    if not run["checkpoint"]:
        return
    st.subheader("Robustness", anchor=False, help=curves.SCOPE)
    recorded = curves.recorded(run["run_id"])
    if recorded.empty:
        st.caption("What compression, blur, noise and scaling do to its figures is not measured yet:")
        corpus = run["corpus"].split("+")[0] or "CORPUS"  # of several, the first
        st.code(f"dfd robustness {corpus} --checkpoint {run['checkpoint']}", language=None, wrap_lines=True)
        return
    named = {row["run_id"]: _named(row) for row in recorded.to_dict("records")}
    with st.container(horizontal=True, gap="medium"):
        chosen = st.selectbox(
            "Measured on", list(named), format_func=named.get, key=f"robust_run_{run['run_id']}", width=330
        )
        table = curves.read(chosen)
        names = [name for name in METRICS if name in table and name != "coverage"]
        name = st.selectbox(
            "Metric",
            names,
            index=names.index("auc"),
            format_func=lambda name: metric(name).label,
            key="robust_metric",
            width=230,
        )
        labels = list(table.loc[table["level"] > 0, "label"].unique())
        shown = st.pills("Changes", labels, selection_mode="multi", default=labels, key=f"robust_kinds_{chosen}")
    colours = charts.corpus_colours(set(store.runs()["corpus"]) - {""})  # as on Compare
    corpus = recorded.set_index("run_id")["corpus"][chosen]
    some = table[(table["level"] == 0) | table["label"].isin(shown)]
    st.plotly_chart(
        charts.robustness_curves(some, name, colours.get(corpus, charts.NEUTRAL)),
        key="robustness",
        config={"displaylogo": False},
        alt=f"{metric(name).label} against the strength of {', '.join(shown).lower() or 'no change'}",
    )
    st.caption(f"{metric(name).help} {table['clips'].iloc[0]:.0f} clips. {curves.SCOPE}")
    _numbers(some, name)


def _named(row: dict) -> str:
    return f"{row['corpus']} {row['split']}, {row['started']:%d %b %Y %H:%M}"


def _numbers(table: pd.DataFrame, name: str) -> None:
    number = "percent" if metric(name).percent else "%.3f"
    with st.expander("The same numbers", icon=":material/table:"):
        st.dataframe(
            table,
            hide_index=True,
            column_order=["label", "level", "setting", name, f"{name}_low", f"{name}_high", "clips", "coverage"],
            column_config={
                "label": "Change",
                "level": "Level",
                "setting": "Setting",
                name: st.column_config.NumberColumn(metric(name).label, format=number, help=metric(name).help),
                f"{name}_low": st.column_config.NumberColumn("95 % from", format=number),
                f"{name}_high": st.column_config.NumberColumn("to", format=number),
                "clips": st.column_config.NumberColumn("Clips", format="%d"),
                "coverage": st.column_config.NumberColumn("Coverage", format="percent"),
            },
            alt=f"{metric(name).label} at each level",
        )
        st.download_button(
            "Download as CSV",
            table.to_csv(index=False),
            file_name="robustness.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
