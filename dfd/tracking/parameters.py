"""Every run's parameters and tags as columns, for charts that may ask for any of them.

They are many times what a table of runs holds, so they are read when they are asked for. MLflow lets a parameter be
written once, so runs that were read are remembered, and later only those that started since are asked for.
"""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from dfd.tracking.store import MARGIN, search, store_uri

PREFIX = "dfd."
USUAL = ("mlflow.user", "mlflow.source.git.commit")
# What belongs to one run alone, or is a column of `runs` already.
LEFT_OUT = ("dfd.version.", "dfd.key", "dfd.process", "dfd.changes", "dfd.threshold", "dfd.evaluated_run", "dfd.corpus")
# Parameters that are columns of `runs` under other names.
SAME = {"model.name", "model.sequence_length", "model.pooling", "model.backbone", "data.frame_order"}

_lock = threading.Lock()
_stores: dict[str, "_Known"] = {}


@dataclass(slots=True)
class _Known:
    """What was read of one store."""

    params: dict[str, dict[str, str]] = field(default_factory=dict)  # by run id
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    since: int = 0  # ms since the epoch: no run that started before it, less a margin, is still to be read
    lock: threading.Lock = field(default_factory=threading.Lock)


def parameters() -> pd.DataFrame:
    """One row a run: run_id, then each parameter by its dotted name and each tag by its own, such as `dfd.device`.

    A column whose values are all numbers is float, NaN where a run has none; any other is categorical, "" there.
    """
    known = _read()
    rows = [
        {"run_id": run_id, **{name: value for name, value in known.tags[run_id].items() if _offered(name)}, **params}
        for run_id, params in known.params.items()
    ]
    frame = pd.DataFrame(rows or {"run_id": pd.Series(dtype=object)})
    return pd.DataFrame({name: column if name == "run_id" else _typed(column) for name, column in frame.items()})


def with_parameters(runs: pd.DataFrame) -> pd.DataFrame:
    """Some rows of `runs` with `parameters` behind them; what both have, the table of runs says."""
    told = parameters()
    told = told[["run_id", *(name for name in told if name not in runs and name not in SAME)]]
    return runs.merge(told, on="run_id", how="left")


def tags_of_all() -> Mapping[str, Mapping[str, str]]:
    """The tags of every run that has started in full, by run id, as they were when it was first read."""
    return _read().tags


def _read() -> _Known:
    with _lock:
        known = _stores.setdefault(store_uri(), _Known())
    with known.lock:
        since = known.since - int(MARGIN * 1000)
        found = search(f"attributes.start_time >= {since}" if known.since else "", max_results=50_000)
        whole = [run for run in found if run.data.params or run.info.status != "RUNNING"]
        for run in whole:
            known.params[run.info.run_id], known.tags[run.info.run_id] = _once(run.data.params), _once(run.data.tags)
        unfinished = [run.info.start_time for run in found if not run.data.params and run.info.status == "RUNNING"]
        known.since = min(unfinished, default=max((run.info.start_time for run in found), default=known.since))
    return known


def _once(values: Mapping[str, str]) -> dict[str, str]:
    """The same, whose words, which recur in thousands of runs, are in memory once."""
    return {sys.intern(name): sys.intern(value) for name, value in values.items()}


def _offered(tag: str) -> bool:
    return (tag.startswith(PREFIX) or tag in USUAL) and not tag.startswith(LEFT_OUT)


def _typed(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() == column.notna().sum():
        return numbers.astype(float)
    return column.fillna("").astype("category")
