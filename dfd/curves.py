"""Robustness curves, a detector's figures as its clips grow worse: how they are told, and where they are kept.

A run of kind "robustness", beside the run of the checkpoint, has them whole in `robustness.parquet` and as metrics
`robust/<kind>/<level>/<figure>`, and what was said of each clip in `robustness_clips.parquet`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dfd.glossary import metric
from dfd.tracking.reading import measured, table

KIND = "robustness"
TABLE, CLIPS = "robustness.parquet", "robustness_clips.parquet"
UNTOUCHED = "none"  # the kind of the clips as they are, at level 0
LOGGED = ("auc", "accuracy")  # as metrics of the run, with the ends of their intervals; the table has every figure
SCOPE = (
    "The face crops are changed as the detector reads them, not the full clip before faces are found in it. The "
    "threshold is the checkpoint's, chosen on untouched validation clips. Intervals are 95 %, over people."
)


@dataclass(frozen=True, slots=True)
class Curves:
    """What one detector came to on the clips of one split, as they are and at each level of each kind."""

    # One row a kind and level, the untouched clips first: kind, label (of the kind), level, scale (what the values
    # are), value (NaN of the untouched), setting (the value in words), then every figure of `Evaluation.metrics`.
    table: pd.DataFrame
    clips: pd.DataFrame  # one row a kind, level and clip: kind, level, then as `evaluation.predictions`

    @property
    def text(self) -> str:
        """The main figures as a table for a terminal, and what they are of."""
        head = ("", "", "AUC (95 %)", "accuracy (95 %)", "real", "fake")
        rows = [head] + [
            (
                str(row["label"]),
                str(row["setting"]),
                _written(row, "auc"),
                _written(row, "accuracy"),
                metric("acc_real").write(row["acc_real"]),
                metric("acc_fake").write(row["acc_fake"]),
            )
            for row in self.table.to_dict("records")
        ]
        widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(head))]
        lines = [
            "  " + "".join(f"{part:<{width}}" for part, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        first = self.table.iloc[0]
        lines.append(f"  {first['clips']:.0f} clips, coverage {metric('coverage').write(first['coverage'])}. {SCOPE}")
        return "\n".join(lines)

    def to_json(self) -> list[dict[str, Any]]:
        """The table's rows as JSON types; null where there is no number."""
        rows = self.table.astype(object)
        found: list[dict[str, Any]] = rows.where(rows.notna(), None).to_dict("records")
        return found


def logged(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of the table as metrics of its run."""
    names = [f"{name}{end}" for name in LOGGED for end in ("", "_low", "_high")]
    return {f"robust/{row['kind']}/{row['level']}/{name}": row[name] for name in names}


def recorded(run_id: str) -> pd.DataFrame:
    """The finished robustness runs of a run's checkpoint, newest first: run_id, corpus, split, started."""
    return measured(run_id, KIND)


def read(run_id: str) -> pd.DataFrame:
    """The table of a robustness run, as `Curves` has it.

    Raises:
        StoreError: the store has no such run, or it has no table.
    """
    return table(run_id, TABLE)


def _written(row: Mapping[Any, Any], name: str) -> str:
    look = metric(name)
    return f"{look.write(row[name])} ({look.write(row[f'{name}_low'])} to {look.write(row[f'{name}_high'])})"
