"""Every run's parameters and tags as columns, for charts that may ask for any of them.

They are many times what a table of runs holds, so they are read when they are asked for. MLflow lets a parameter be
written once, so runs that were read are remembered, and later only those that started since are asked for.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dfd.tracking.store import MARGIN, pages, store_uri

PREFIX = "dfd."
USUAL = ("mlflow.user", "mlflow.source.git.commit")
# What belongs to one run alone, or is a column of `runs` already.
LEFT_OUT = ("dfd.version.", "dfd.key", "dfd.process", "dfd.changes", "dfd.threshold", "dfd.setup")
NOT_OFFERED = ("dfd.evaluated_run", "dfd.corpus")  # likewise, but `tags_of_all` has them
# Parameters that are columns of `runs` under other names.
SAME = {"model.name", "model.sequence_length", "model.pooling", "model.backbone", "data.frame_order"}
WORDS = pd.StringDtype("pyarrow")  # less than half of what a dict a run takes

_lock = threading.Lock()
_stores: dict[str, "_Known"] = {}


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({"run_id": pd.Series(dtype=WORDS)})


@dataclass(slots=True)
class _Known:
    """What was read of one store."""

    told: pd.DataFrame = field(default_factory=_nothing)  # a row a run: run_id, its parameters and its tags as words
    since: int = 0  # ms since the epoch: no run that started before it, less a margin, is still to be read
    lock: threading.Lock = field(default_factory=threading.Lock)


def parameters() -> pd.DataFrame:
    """One row a run: run_id, then each parameter by its dotted name and each tag by its own, such as `dfd.device`.

    A column whose values are all numbers is float, NaN where a run has none; any other is categorical, "" there.
    """
    told = _read()
    columns = {name: column for name, column in told.items() if name not in NOT_OFFERED}
    return pd.DataFrame(
        {name: column.astype(object) if name == "run_id" else _typed(column) for name, column in columns.items()}
    )


def with_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """Some rows of `runs` with `parameters` behind them; what both have, the table of runs says."""
    told = parameters()
    told = told[["run_id", *(name for name in told if name not in runs and name not in SAME)]]
    return runs.merge(told, on="run_id", how="left")


def tags_of_all(names: Sequence[str]) -> pd.DataFrame:
    """Some tags of every run that has started in full, as they were when it was read last: run_id and `names`.

    What a run does not have is "".
    """
    return _read().reindex(columns=["run_id", *names]).astype(object).fillna("")


def _read() -> pd.DataFrame:
    with _lock:
        known = _stores.setdefault(store_uri(), _Known())
    with known.lock:
        since = known.since - int(MARGIN * 1000)
        newest, unfinished, tables = known.since, list[int](), list[pd.DataFrame]()
        for some in pages(f"attributes.start_time >= {since}" if known.since else ""):
            whole = [run for run in some if run.data.params or run.info.status != "RUNNING"]
            unfinished += [run.info.start_time for run in some if not run.data.params and run.info.status == "RUNNING"]
            newest = max([newest, *(run.info.start_time for run in some)])
            tables.append(pd.DataFrame([_words(run) for run in whole], dtype=WORDS))
        known.since = min(unfinished, default=newest)
        known.told = _joined(known.told, tables)
        return known.told


def _words(run: Any) -> dict[str, str]:
    tags = {name: value for name, value in run.data.tags.items() if _of_use(name)}
    return {"run_id": run.info.run_id, **tags, **run.data.params}


def _joined(told: pd.DataFrame, tables: list[pd.DataFrame]) -> pd.DataFrame:
    fresh = pd.concat([_nothing(), *tables], ignore_index=True)
    if fresh.empty:
        return told
    return pd.concat([told[~told["run_id"].isin(fresh["run_id"])], fresh], ignore_index=True)


def _of_use(tag: str) -> bool:
    return (tag.startswith(PREFIX) or tag in USUAL) and not tag.startswith(LEFT_OUT)


def _typed(column: pd.Series) -> pd.Series:
    column = column.astype(object)
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() == column.notna().sum():
        return numbers.astype(float)
    return column.fillna("").astype("category")
