"""The table of a large store's runs on this machine's disk, so that a new process need not list them all again.

It is a copy that can be deleted at any time: `data/cache/runs/<digest>.parquet` in dfd's home. The digest is of the
store's address, of when its experiment was made (a store that took another's place is another one), and of the code
that makes a row of a run.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dfd.paths import atomic_file, data_dir
from dfd.tracking import reading
from dfd.tracking.store import EXPERIMENT, client, explained, store_uri

log = logging.getLogger(__name__)

SMALLEST = 1000  # runs; fewer are read in seconds


@dataclass(frozen=True, slots=True)
class Kept:
    """A table of runs as of a moment: `looked`, in seconds since the epoch, and the runs that were running then."""

    table: pd.DataFrame
    running: frozenset[str]
    looked: float


def load() -> Kept | None:
    """What is kept of the current store, None where there is nothing that can be used.

    Raises:
        StoreError: the store cannot be read.
    """
    path = _path()
    if path is None or not path.is_file():
        return None
    try:
        table = pd.read_parquet(path)
        return Kept(table, frozenset(table.attrs["running"]), float(table.attrs["looked"]))
    except (OSError, ValueError, KeyError) as error:
        log.warning("%s cannot be used (%s); the store is read anew", path, error)
        return None


def keep(kept: Kept) -> None:
    """Write it down, if the store is a large one.

    Raises:
        StoreError: the store cannot be read.
    """
    path = _path()
    if path is None or len(kept.table) < SMALLEST:
        return
    table = kept.table.copy(deep=False)
    table.attrs = {"running": sorted(kept.running), "looked": kept.looked}
    try:
        with atomic_file(path) as part:
            table.to_parquet(part, index=False)
    except OSError as error:  # a full disk or a folder that may not be written to costs only the time of reading
        log.warning("%s cannot be written (%s); the next dashboard reads the store anew", path, error)


def _path() -> Path | None:
    """Where the current store's table is kept; None while it has no experiment."""
    with explained("read"):
        experiment = client().get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    code = Path(reading.__file__).read_bytes()
    known = f"{store_uri()}\n{experiment.experiment_id}\n{experiment.creation_time}\n".encode()
    return data_dir() / "cache" / "runs" / f"{hashlib.sha256(known + code).hexdigest()[:20]}.parquet"
