"""Two runs: whether one is better on the same clips, in a sentence, and in which parameters they differ."""

import pandas as pd
import streamlit as st

from dfd import comparison, tracking
from dfd.errors import DfdError
from dfd.glossary import TERMS, metric
from dfd.metrics import Difference, Paired
from pages.ui import compare_parts, store
from pages.ui.compare_parts import Shown


@st.cache_data(max_entries=32, show_spinner="Drawing people")
def _paired(uri: str, run_a: str, run_b: str) -> Paired:
    return comparison.compare(run_a, run_b)


@st.cache_data(max_entries=64, show_spinner=False)
def _difference(uri: str, run_a: str, run_b: str) -> pd.DataFrame:
    return comparison.config_difference(run_a, run_b)


def show(_: pd.DataFrame, shown: Shown) -> None:
    """The paired test of two runs, or why there is none, and their configurations side by side."""
    done = compare_parts.finished(store.tested())
    if len(done) < 2:
        compare_parts.nothing("Fewer than two runs have finished", "Train two detectors:", "dfd train EXPERIMENT.yaml")
        return
    names = compare_parts.run_names(done)
    with st.container(horizontal=True, gap="medium"):
        first, second = (
            shown.one(label, list(names), format_func=names.__getitem__, key=key, index=place, width=420)
            for place, (label, key) in enumerate((("First", "pair_a"), ("Second", "pair_b")))
        )
    if first == second:
        st.caption("Choose two different runs.")
        return
    st.subheader("Is one better?", anchor=False, help=TERMS["paired"])
    try:
        _finding(_paired(tracking.store_uri(), first, second))
    except DfdError as error:
        st.info(f"No test of these two: {error}.", icon=":material/balance:")
    with store.told():
        _config(_difference(tracking.store_uri(), first, second), names[first], names[second])


def _finding(found: Paired) -> None:
    st.markdown(f"**{found.text}**")
    st.caption(
        f"Right where the other is wrong: the first on {found.only_a_right} clips, the second on "
        f"{found.only_b_right}. {found.caution}"
    )
    table = pd.DataFrame([_row("accuracy", found.accuracy, "McNemar"), _row("auc", found.auc, "DeLong")])
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "metric": "Metric",
            "first": st.column_config.NumberColumn("First", format="%.3f"),
            "second": st.column_config.NumberColumn("Second", format="%.3f"),
            "difference": st.column_config.NumberColumn("First − second", format="%+.3f"),
            "low": st.column_config.NumberColumn("95 % from", format="%+.3f", help=TERMS["paired"]),
            "high": st.column_config.NumberColumn("to", format="%+.3f"),
            "p": st.column_config.NumberColumn("p", format="%.2g"),
            "test": "Test",
        },
        alt="The paired test's figures",
    )
    compare_parts.download(table.assign(clips=found.clips, people=found.people), "paired-test.csv")


def _row(name: str, found: Difference, test: str) -> dict[str, str | float]:
    return {
        "metric": metric(name).label,
        "first": found.a,
        "second": found.b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "test": test,
    }


def _config(differing: pd.DataFrame, first: str, second: str) -> None:
    st.subheader("In what they differ", anchor=False, help="Parameters that both runs have alike are left out.")
    if differing.empty:
        st.caption("Every recorded parameter is the same.")
        return
    st.dataframe(
        differing,
        hide_index=True,
        placeholder="–",
        column_config={
            "parameter": st.column_config.TextColumn("Parameter", width=260),
            "a": st.column_config.TextColumn(first, width=420),
            "b": st.column_config.TextColumn(second, width=420),
        },
        alt="Parameters in which the two runs differ",
    )
    compare_parts.download(differing.rename(columns={"a": first, "b": second}), "config-difference.csv")
