"""Any figure against anything: what is drawn, from a table of runs with their parameters as columns."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfd.charts.lengths import SYMBOLS
from dfd.charts.style import CORPUS_PALETTE, corpus_colours
from dfd.glossary import metric

AXES = {"sequence_length": "Sequence length", "corpus": "Data set", "model": "Model", "seed": "Seed"}
FIXED = {**AXES, "backbone": "Backbone", "head": "Head", "control": "Control", "search": "Search"}
ALIKE = ("corpus", "model", "backbone", "head", "control", "search")  # runs that differ in one are never joined unasked
SPLITS = {"test": "", "test_frame": ", frames", "val": ", validation", "val_frame": ", validation frames"}
SKIPPED = {"run_id", "name", "status", "started", "ended", "threshold", "checkpoint", "registered", "key", "kind"}
NOT_TOLD, SEPARATOR = "–", "\x1f"
MOST_VALUES = 12  # of a column that colours, or facets
MOST_LINES = 24
MOST_STEPS = 20  # values of x; beyond, each run has nearly its own and a line would join noise


@dataclass(frozen=True, slots=True)
class View:
    """What a chart is asked to show; columns by name, "" for none."""

    x: str
    y: str  # as logged: "test/auc"
    colour: str = ""
    facet: str = ""
    group: tuple[str, ...] = ALIKE  # beside colour and facet: runs alike in all are one line


def figures_in(table: pd.DataFrame) -> list[str]:
    """The figures that at least one run has, as logged, those of test clips first."""
    ends = ("_low", "_high", "clips", "frames")
    names = [name for name in map(str, table) if name.split("/")[0] in SPLITS and not name.endswith(ends)]
    order = list(SPLITS)
    return sorted(
        (name for name in names if table[name].notna().any()), key=lambda name: order.index(name.split("/")[0])
    )


def figure_label(name: str) -> str:
    """How a figure is called: "AUC", "AUC, validation"."""
    split, _, rest = name.partition("/")
    return f"{metric(rest).label}{SPLITS[split]}"


def column_label(name: str) -> str:
    """How a column is called: a parameter or a tag by its own name."""
    return FIXED.get(name, name or "none")


def axes_in(table: pd.DataFrame) -> list[str]:
    """What a figure can be drawn against: the four that every run has, then each number that is not always the same."""
    numbers = [name for name in _columns(table) if name not in AXES and pd.api.types.is_float_dtype(table[name])]
    return [*AXES, *(name for name in numbers if table[name].nunique() > 1)]


def parts_in(table: pd.DataFrame, most: int = MOST_VALUES) -> list[str]:
    """What can colour, facet, filter or group: columns with 2 to `most` values."""
    columns = _columns(table)
    found = [name for name in columns if 2 <= table[name].nunique() <= most]
    return sorted(found, key=lambda name: (name not in FIXED, list(FIXED).index(name) if name in FIXED else 0, name))


def points_of(table: pd.DataFrame, view: View) -> pd.DataFrame:
    """The runs that have both the figure and a place on the axis, one row each, as they are drawn.

    Returns:
        run_id, name, at (its value of x), x (its place), value, low, high, colour, facet, rest (what else tells lines
        apart, in words), line (which runs are joined), sorted by line and place.
    """
    there = table[table[view.y].notna()]
    there = there[there[view.x].notna() & (there[view.x].astype(str) != "")]
    at = there[view.x]
    categorical = not pd.api.types.is_numeric_dtype(at)
    colour, facet = (_words(there, name) for name in (view.colour, view.facet))
    said = {view.x, view.colour, view.facet}
    parts = [_words(there, name) for name in view.group if name in there and name not in said]
    rest = _joined_words([part for part in parts if part.nunique() > 1], there.index)
    points = pd.DataFrame(
        {
            "run_id": there["run_id"],
            "name": there["name"],
            "at": at.astype(str) if categorical else at.astype(float),
            "value": there[view.y].astype(float),
            **{end: there.get(f"{view.y}_{end}", np.nan) for end in ("low", "high")},
            "colour": colour,
            "facet": facet,
            "rest": rest,
            "line": [SEPARATOR.join(each) for each in zip(colour, facet, *parts, strict=True)],
        }
    )
    points["x"] = _places(points) if categorical else points["at"]
    return points.sort_values(["line", "x", "run_id"], ignore_index=True)


def joined(points: pd.DataFrame) -> bool:
    """Whether runs that are alike are joined: not where there are too many lines, or nearly every run its own x."""
    return points["line"].nunique() <= MOST_LINES and points["at"].nunique() <= MOST_STEPS


def looks(points: pd.DataFrame, view: View, corpora: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and symbol of each value of the colour column; corpora have their own everywhere."""
    if view.colour == "corpus":
        return {name: (colour, "circle") for name, colour in corpus_colours(corpora).items()}
    symbols = list(dict.fromkeys(SYMBOLS.values()))
    return {
        name: (CORPUS_PALETTE[i % len(CORPUS_PALETTE)], symbols[i // len(CORPUS_PALETTE) % len(symbols)])
        for i, name in enumerate(sorted(points["colour"].unique()))
    }


def _columns(table: pd.DataFrame) -> list[str]:
    return [name for name in map(str, table) if name.split("/")[0] not in SPLITS and name not in SKIPPED]


def _words(table: pd.DataFrame, name: str) -> pd.Series:
    """A column's values as words; whole numbers without a point, and `NOT_TOLD` where there is none."""
    if not name:
        return pd.Series("", table.index, dtype=object)
    column = table[name]
    if pd.api.types.is_numeric_dtype(column):
        return column.map(lambda value: NOT_TOLD if pd.isna(value) else f"{value:g}").astype(object)
    return column.astype(object).where(column.notna(), "").map(lambda value: str(value) or NOT_TOLD)


def _joined_words(parts: list[pd.Series], index: pd.Index) -> pd.Series:
    """The words of each row, less those that say nothing."""
    rows = zip(*parts, strict=True) if parts else (() for _ in index)
    told = [
        " · ".join(word for word in dict.fromkeys(row) if word != NOT_TOLD) or ("plain" if parts else "")
        for row in rows
    ]
    return pd.Series(told, index, dtype=object)


def _places(points: pd.DataFrame) -> pd.Series:
    """Places of categories, 0, 1 and so on, and beside one another those of different lines."""
    codes = points["at"].rank(method="dense") - 1
    lines = points["line"].rank(method="dense") - 1
    count = max(points["line"].nunique(), 1)
    return codes + (lines - (count - 1) / 2) * 0.6 / count
