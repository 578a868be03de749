"""What the sections of the Compare page share."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dfd import charts, comparison, tracking
from dfd.glossary import TERMS, metric

PICTURES = ("PNG", "SVG")
BOUND: dict[str, Any] = {"bind": "query-params"}
OF_A_RUN: dict[str, Any] = {  # columns of a table that say which run a row is of
    "corpus": "Corpus",
    "control": st.column_config.TextColumn("Control", help=TERMS["controls"]),
    "model": "Model",
    "head": "Head",
    "sequence_length": st.column_config.NumberColumn("Frames", help=TERMS["sequence length"]),
}


class Shown:
    """A section's widgets, each bound to the page's address, and what a link must say to bring them back as they are.

    Streamlit leaves a widget out of the address while it is at its default, which may be another one once the store has
    grown; the link has every value.
    """

    def __init__(self, section: str) -> None:
        self.values: dict[str, list[str]] = {"section": [section]}

    def one(
        self, label: str, options: Sequence[Any], *, key: str, format_func: Callable[[Any], str] = str, **more: Any
    ) -> Any:
        """Choose one of some options; None where there are none."""
        chosen = st.selectbox(label, options, format_func=format_func, key=key, **BOUND, **more)
        self.values[key] = [] if chosen is None else [format_func(chosen)]
        return chosen

    def several(
        self, label: str, options: Sequence[Any], *, key: str, format_func: Callable[[Any], str] = str, **more: Any
    ) -> list[Any]:
        """Choose any of some options, from a list."""
        chosen: list[Any] = st.multiselect(label, options, format_func=format_func, key=key, **BOUND, **more)
        self.values[key] = [format_func(each) for each in chosen]
        return chosen

    def pills(self, label: str, options: Sequence[str], *, key: str, **more: Any) -> list[str]:
        """Choose any of a few options, all in view."""
        chosen: list[str] = st.pills(label, options, selection_mode="multi", key=key, **BOUND, **more)
        self.values[key] = list(chosen)
        return chosen

    def segments(self, label: str, options: Sequence[str], *, key: str, **more: Any) -> str:
        """Choose one of a few options, all in view."""
        chosen: str = st.segmented_control(label, options, required=True, key=key, **BOUND, **more)
        self.values[key] = [chosen]
        return chosen

    def slider(self, label: str, low: float, high: float, value: float, *, key: str, **more: Any) -> float:
        """Choose a number."""
        chosen: float = st.slider(label, low, high, value, key=key, **BOUND, **more)
        self.values[key] = [repr(chosen)]
        return chosen

    def metric(self, names: Sequence[str], *, key: str, index: int = 0) -> str:
        """Choose one of these metrics by its label."""
        return str(
            self.one(
                "Metric",
                names,
                format_func=lambda name: metric(name).label,
                key=key,
                index=index,
                width=230,
                help="Measured on test clips, which neither the weights nor the threshold have seen.",
            )
        )

    def runs(self, label: str, table: pd.DataFrame, *, key: str, most: int, default: int = 1, **more: Any) -> list[str]:
        """Choose up to `most` of some runs, by name; at first the newest `default` of them. Returns their ids."""
        names = run_names(table)
        first = list(names)[:default]
        return self.several(
            label,
            list(names),
            key=key,
            format_func=names.__getitem__,
            default=first,
            max_selections=most,
            placeholder=f"Up to {most} runs: type a part of a name",
            **more,
        )

    def address(self) -> str:
        """The page's address with every widget's value in it; an empty choice is said too."""
        told = [(key, value) for key, values in self.values.items() for value in values or [""]]
        return f"{(st.context.url or '').partition('?')[0]}?{urlencode(told)}"


def run_names(runs: pd.DataFrame) -> dict[str, str]:
    """What runs are called where they are chosen from, by id: name and seed, and the id's start, since names recur."""
    return {
        run_id: f"{name} · {run_id[:8]}" if seed != seed else f"{name} · seed {seed:.0f} · {run_id[:8]}"
        for run_id, name, seed in zip(runs["run_id"], runs["name"], runs["seed"], strict=True)
    }


@st.cache_data(max_entries=64, show_spinner="Reading the predictions")
def clips(uri: str, run_id: str) -> pd.DataFrame:
    """The test clips of a finished run, which do not change any more; `uri` is the store's."""
    return comparison.scored(run_id)


def scored(run_id: str) -> pd.DataFrame:
    """What a run said of its test clips: one row a clip."""
    return clips(tracking.store_uri(), run_id)


def chart(figure: Any, *, key: str, name: str, alt: str, **more: Any) -> Any:
    """A chart whose camera saves it under a name, as the kind of picture that was chosen at the top of the page."""
    kind = st.session_state.get("picture", PICTURES[0]).lower()
    saved = {"format": kind, "filename": name, "scale": 2 if kind == "png" else 1}
    config = {"displaylogo": False, "toImageButtonOptions": saved}
    return st.plotly_chart(figure, key=key, alt=alt, config=config, **more)


def chart_of_runs(figure: Any, *, key: str, name: str, alt: str) -> None:
    """A `chart` whose points carry their run id: a click on one goes to its run."""
    event = chart(figure, key=key, name=name, alt=alt, on_select="rerun", selection_mode="points")
    picked = [point["customdata"][0] for point in event.selection.points if point.get("customdata")]
    if picked:
        st.switch_page("pages/runs.py", query_params={"run": picked[0]})


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that were tested, detectors before evaluations, the newest of each first."""
    done = runs[(runs["status"] == "FINISHED") & runs.reindex(columns=["test/auc"])["test/auc"].notna()]
    later = done["kind"] == "evaluation"
    return pd.concat([done[~later], done[later]], ignore_index=True)


def limit(runs: int) -> None:
    """Say that not all of so many runs are drawn, where that is so."""
    if runs > charts.MOST_POINTS:
        st.caption(
            f"Of {runs:,} runs {charts.MOST_POINTS} are drawn as points, taken evenly; lines and intervals are of all."
        )


def number(name: str) -> str:
    """How a metric's column of a table is written."""
    return "percent" if metric(name).percent else "%.3f"


def download(table: pd.DataFrame, file_name: str, label: str = "Download as CSV") -> None:
    """A table as CSV, which is written when it is asked for."""
    st.download_button(
        label,
        lambda: table.to_csv(index=False),
        file_name=file_name,
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key=f"csv_{file_name}",
    )


def nothing(heading: str, text: str, command: str) -> None:
    """What to do while the store has nothing for a section."""
    with st.container(border=True, width=760):
        st.subheader(heading, anchor=False)
        st.markdown(text)
        st.code(command, language=None, wrap_lines=True)
