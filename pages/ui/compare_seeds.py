"""The spread over seeds: how far the same experiment comes out differently."""

import pandas as pd
import streamlit as st

from dfd import charts, comparison
from dfd.glossary import TERMS, metric
from pages.ui import compare_parts, store
from pages.ui.compare_parts import Shown


def show(runs: pd.DataFrame, shown: Shown) -> None:
    """Mean and spread of a metric over the seeds of each experiment; how to train several while there are none."""
    name = shown.metric(charts.metrics_in(runs), key="seeds_metric")
    figure = f"test/{name}"
    clear = comparison.one_a_seed(runs, figure)
    with store.told():
        groups = comparison.across_seeds(clear, figure)
    several = groups[groups["seeds"] > 1]
    if several.empty:
        compare_parts.nothing(
            "No experiment has several seeds yet",
            "One seed says nothing of how far its figures are luck. The long sample sweep trains every length and "
            "control with three; `sweep: {seeds: [0, 1, 2]}` does so in an experiment of yours.",
            "dfd sweep experiments/sample_ablation.yaml",
        )
    else:
        _numbers(several, name)
    _left_out(runs, clear, figure)


def _numbers(several: pd.DataFrame, name: str) -> None:
    setups = {"setup": "Setup"} if several["setup"].nunique() > 1 else {}
    look, columns = compare_parts.number(name), ("mean", "spread", "lowest", "highest")
    st.dataframe(
        several,
        hide_index=True,
        column_order=[*compare_parts.OF_A_RUN, *setups, "seeds", *columns],
        column_config={
            **compare_parts.OF_A_RUN,
            **setups,
            "seeds": "Seeds",
            **{column: st.column_config.NumberColumn(column.capitalize(), format=look) for column in columns},
        },
        alt=f"{metric(name).label} over seeds",
    )
    st.caption(f"{metric(name).help} {TERMS['seeds']}")
    compare_parts.download(several, f"{name}-over-seeds.csv")


def _left_out(runs: pd.DataFrame, clear: pd.DataFrame, figure: str) -> None:
    """Runs that cannot be grouped, since they differ in something that the store's table does not show."""
    lost = len(runs[runs[figure].notna() & runs["seed"].notna()]) - len(clear)
    if lost:
        st.caption(
            f"{lost} runs are left out: another has the same data, model, length and seed, so that they differ in "
            "something else than their seed."
        )
