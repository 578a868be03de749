"""All runs of a store, read once and then kept up with: MLflow takes seconds to list some thousands of them.

A look asks for what may have changed since the last one: runs that started or ended since, runs that are running or
were so then, and runs that were deleted. What is changed in a run long after its end (a name, a tag, a figure that
another tool adds; a run that is restored, or that is added with an old start) a look does not see; `keep_fresh` goes
round all runs, a part at a time, and does. A run that is deleted and wiped out (`mlflow gc`) between two looks stays
in the table until a round is over, as does a deleted one that `DELETED` deleted runs have started after.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dfd.errors import StoreError
from dfd.tracking import kept
from dfd.tracking.kept import Kept
from dfd.tracking.reading import RUN_COLUMNS, runs, table_of
from dfd.tracking.store import MARGIN, MOST, get_run, search, search_page, store_uri

PACE = 6.0  # runs a second that are read anew, however many sessions look: 10,000 take half an hour
AT_ONCE = 200  # of them, at most
WRITTEN_EVERY = 300.0  # s between two writings of the table for processes to come
DELETED = 1000  # deleted runs that a look asks for, those that started last
RUNNING = "attributes.status = 'RUNNING'"


@dataclass(slots=True)
class _Known:
    """What is known of one store."""

    table: pd.DataFrame | None = None
    running: frozenset[str] = frozenset()  # by the store's word: the processes of some may be gone
    looked: float = 0.0  # seconds since the epoch
    written: float = 0.0  # when it was last written down
    token: str | None = None  # where `reread` goes on
    round: set[str] = field(default_factory=set)  # what it has read since it began at the first run
    missed: list[str] = field(default_factory=list)  # what it did not meet in the last round
    reread: float = field(default_factory=lambda: time.time())  # when it last did
    lock: threading.Lock = field(default_factory=threading.Lock)


_lock = threading.Lock()
_stores: dict[str, _Known] = {}


def current_runs() -> pd.DataFrame:
    """The same table as `runs`, by what changed since the last look of this process.

    All callers share it, and must not change it; where nothing changed it is the same object as before.

    Raises:
        StoreError: the store cannot be read.
    """
    known = _known()
    with known.lock:
        now = time.time()
        found = kept.load() if known.table is None else Kept(known.table, known.running, known.looked)
        known.table, known.running = _whole() if found is None else _looked_again(found)
        known.looked = now
        if now - known.written > WRITTEN_EVERY:
            kept.keep(Kept(known.table, known.running, now))
            known.written = now
        return known.table


def keep_fresh() -> None:
    """Read so many runs anew as their time has come since the last call, at `PACE`; for callers that look often."""
    known = _known()
    due = int(PACE * (time.time() - known.reread))
    if due >= 1:
        reread(min(due, AT_ONCE))


def reread(count: int) -> None:
    """Read the next `count` runs anew, whether or not they seem to have changed; after the last come the first."""
    known = _known()
    with known.lock:
        known.reread = time.time()
        if known.table is None:
            return
        gone = frozenset(run_id for run_id in known.missed[:count] if _active(run_id) is None)
        del known.missed[:count]
        found, known.token = search_page(count, known.token)
        known.round.update(_ids(found))
        known.table = _merged(known.table, found, gone)
        if known.token is None:
            known.missed = [run_id for run_id in known.table["run_id"] if run_id not in known.round]
            known.round = set()


def _known() -> _Known:
    with _lock:
        return _stores.setdefault(store_uri(), _Known())


def _whole() -> tuple[pd.DataFrame, frozenset[str]]:
    return runs(), frozenset(_ids(search(RUNNING, max_results=MOST)))


def _looked_again(before: Kept) -> tuple[pd.DataFrame, frozenset[str]]:
    since = int((before.looked - MARGIN) * 1000)
    running = search(RUNNING, max_results=MOST)
    found = {run.info.run_id: run for run in running}
    for moment in ("start_time", "end_time"):
        found |= {run.info.run_id: run for run in search(f"attributes.{moment} >= {since}", max_results=MOST)}
    gone = set(_ids(search(max_results=DELETED, deleted=True)))
    for run_id in before.running - set(found) - gone:  # no longer running, by a status that was set without a time
        run = _active(run_id)
        if run is None:
            gone.add(run_id)
        else:
            found[run_id] = run
    return _merged(before.table, list(found.values()), frozenset(gone)), frozenset(_ids(running))


def _active(run_id: str) -> Any:
    """A run, None if it was deleted or wiped out."""
    try:
        run = get_run(run_id)
    except StoreError:
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _ids(found: list[Any]) -> list[str]:
    return [run.info.run_id for run in found]


def _merged(table: pd.DataFrame, found: list[Any], gone: frozenset[str]) -> pd.DataFrame:
    """The table with these runs as they are now and without those that are gone; itself where that changes nothing."""
    fresh = table_of(found)
    replaced = table["run_id"].isin(gone.union(fresh["run_id"]))
    before = table[replaced]
    if _alike(before, fresh):
        return table
    merged = pd.concat([fresh, table[~replaced]]) if len(fresh) else table[~replaced]
    columns = [*RUN_COLUMNS, *sorted(set(merged.columns) - set(RUN_COLUMNS))]
    return merged[columns].sort_values("started", ascending=False, kind="stable", ignore_index=True)


def _alike(before: pd.DataFrame, fresh: pd.DataFrame) -> bool:
    if len(before) != len(fresh) or set(fresh.columns) - set(before.columns):
        return False
    if fresh.empty:  # without rows columns have no types that could be equal
        return True
    return _by_id(fresh.reindex(columns=before.columns)).equals(_by_id(before))


def _by_id(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("run_id", ignore_index=True)
