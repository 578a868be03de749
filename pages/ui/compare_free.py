"""Any figure against anything: a chart of one's own, or parallel coordinates of parameters and a figure."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dfd import charts, published, tracking
from dfd.glossary import TERMS, metric
from pages.ui import compare_parts, frame, store
from pages.ui.compare_parts import Shown

KINDS = ("Points", "Parallel coordinates")
MOST_AXES, MOST_FILTERED = 8, 200
NOTHING = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """All runs with their parameters, and which of the columns can be asked for."""

    table: pd.DataFrame
    figures: list[str]
    axes: list[str]
    parts: list[str]  # that colour, facet or group
    filters: list[str]
    corpora: list[str]


@st.cache_resource(max_entries=2, show_spinner="Reading the parameters of all runs")  # shared by all, changed by none
def _offered(uri: str, version: tuple[int, int], _runs: pd.DataFrame) -> Offered:
    table = tracking.with_parameters(_runs)
    return Offered(
        table,
        charts.figures_in(table),
        charts.axes_in(table),
        charts.parts_in(table),
        charts.parts_in(table, MOST_FILTERED),
        sorted(set(table["corpus"]) - {""}),
    )


def show(_: pd.DataFrame, shown: Shown) -> None:
    """The chart that was asked for, and its rows as CSV; of all runs, the trials of searches among them."""
    with store.told():
        offered = _offered(tracking.store_uri(), store.version(), store.runs())
    kind = shown.segments("Kind", KINDS, key="free_kind", default=KINDS[0], label_visibility="collapsed")
    row = st.container(horizontal=True, gap="medium")
    with row:
        name = shown.one(
            "Figure",
            offered.figures,
            format_func=charts.figure_label,
            key="free_figure",
            index=offered.figures.index("test/accuracy") if "test/accuracy" in offered.figures else 0,
            width=300,
        )
        view = _view(offered, name, shown) if kind == KINDS[0] else None
        columns = _axes(offered, shown) if view is None else []
    kept = _filtered(offered, shown)
    if view is None:
        _parallel(kept, name, columns)
    else:
        _points(kept, view, offered.corpora, shown)


def _filtered(offered: Offered, shown: Shown) -> pd.DataFrame:
    table = offered.table
    with st.expander("Filter", icon=":material/filter_alt:"):
        by = shown.several(
            "By", offered.filters, key="free_filter", format_func=charts.column_label, placeholder="Any column"
        )
        for column in by:
            values = table[column].astype(str)
            wanted = shown.several(charts.column_label(column), sorted(values.unique()), key=f"only_{column}")
            if wanted:
                table = table[values.reindex(table.index).isin(wanted)]
    return table


def _view(offered: Offered, name: str, shown: Shown) -> charts.View:
    """What the chart is asked to show."""
    parts, label = offered.parts, charts.column_label
    columns = [NOTHING, *parts]
    x = shown.one("Against", offered.axes, key="free_x", format_func=label, width=230)
    usual = columns.index("corpus") if "corpus" in columns else 0
    colour = shown.one("Colour", columns, key="free_colour", format_func=label, index=usual, width=200)
    facet = shown.one("Facet", columns, key="free_facet", format_func=label, width=200)
    alike = [part for part in charts.ALIKE if part in parts]
    group = shown.several(
        "Group", parts, key="free_group", format_func=label, default=alike, help=TERMS["group"], width=560
    )
    return charts.View(x, name, colour, facet, tuple(group))


def _axes(offered: Offered, shown: Shown) -> list[str]:
    """The axes of parallel coordinates, beside the figure's."""
    axes = list(dict.fromkeys([*offered.parts, *offered.axes]))
    usual = [column for column in ("corpus", "model", "control", "sequence_length", "seed") if column in axes]
    return shown.several(
        "Axes",
        axes,
        key="free_axes",
        format_func=charts.column_label,
        default=usual,
        max_selections=MOST_AXES,
        width=760,
    )


def _points(kept: pd.DataFrame, view: charts.View, corpora: list[str], shown: Shown) -> None:
    name, x, label = view.y, view.x, charts.column_label
    references = _references(view, shown)
    points = charts.points_of(kept, view)
    if points.empty:
        st.caption("No run that is left has both the figure and a value to draw it against.")
        return
    compare_parts.chart_of_runs(
        charts.free_chart(points, view, corpora, references),
        key="free_chart",
        name=f"{name.replace('/', '-')}-by-{x}",
        alt=f"{charts.figure_label(name)} against {label(x)}",
    )
    st.caption(f"{metric(name.partition('/')[2]).help} {TERMS['spans']}")
    compare_parts.limit(len(points))
    if not charts.joined(points):
        st.caption("Runs are not joined: there are too many lines or values; filter, or group by less.")
    if references:
        st.caption(TERMS["published"])
    compare_parts.download(
        points.drop(columns=["x", "line", "rest"]).rename(columns={"at": x}), f"{name.replace('/', '-')}-by-{x}.csv"
    )


def _references(view: charts.View, shown: Shown) -> Mapping[str, pd.DataFrame]:
    """What others report, where it is of the same figure and axis; shown when asked for."""
    split, _, name = view.y.partition("/")
    known = _known(view.x, name) if split == "test" else {}
    if not known:
        return {}
    chosen = shown.pills("Reference", list(known), key="free_reference", help=TERMS["published"])
    return {series: known[series] for series in chosen}


def _known(x: str, name: str) -> dict[str, pd.DataFrame]:
    if x == "sequence_length" and name == "accuracy":
        return {
            series: rows.assign(x=rows["sequence_length"], value=rows["accuracy"], text=_told(rows, rows["name"]))
            for series, rows in published.references().items()
        }
    field = published.by_data_set(name)
    if x != "corpus" or field.empty:
        return {}
    who = field["detector"] + ", trained on " + field["trained_on"] + " " + field["compression"]
    return {"the field": field.assign(x=field["tested_on"], text=_told(field.assign(data=field["tested_on"]), who))}


def _told(rows: pd.DataFrame, who: pd.Series) -> pd.Series:
    return (
        "<b>" + who + "</b><br>" + rows["data"] + "<br>" + rows["source"] + "<br><i>as published, not measured here</i>"
    )


def _parallel(kept: pd.DataFrame, name: str, columns: list[str]) -> None:
    if not columns:
        st.caption("Choose an axis.")
        return
    compare_parts.chart(
        charts.parallel_coordinates(kept, columns, name, frame.ink()),
        key="parallel",
        name="parallel-coordinates",
        alt=f"Runs by {', '.join(map(charts.column_label, columns))} and {charts.figure_label(name)}",
    )
    st.caption("A line is a run; drag along an axis to keep a part of it, and an axis to move it.")
    if len(kept) > charts.MOST_RUNS:
        st.caption(f"At most {charts.MOST_RUNS} runs are drawn, evenly taken along the figure.")
    compare_parts.download(kept[["run_id", "name", *columns, name]], "parallel-coordinates.csv")
