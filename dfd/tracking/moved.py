"""A store that was moved with the folder it lies in: MLflow notes where artifacts lie by their absolute address."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

log = logging.getLogger(__name__)

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
    ("trace_tags", "value"),
)


def follow(database: Path, experiment: str, artifacts: Path) -> bool:
    """Have the artifacts of a SQLite store looked for where they are, if they are no longer where it says.

    Only if nothing lies at the address that the experiment names, and a run of the store has its folder in `artifacts`:
    a copy of the file alone goes on reading what it was copied from.

    Returns:
        Whether the store's addresses were changed: all at once, or none.

    Raises:
        sqlite3.Error: the file cannot be read or written, or is no database.
    """
    if not database.is_file() or not artifacts.is_dir():
        return False
    with closing(sqlite3.connect(database, timeout=60)) as store:
        known = {name for (name,) in store.execute("select name from sqlite_master where type = 'table'")}
        if not {table for table, _ in ADDRESSES} <= known:  # MLflow is yet to bring the file up to its version
            return False
        found = store.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
        if found is None:
            return False
        before, now = found[0].rstrip("/"), artifacts.resolve().as_uri()
        if urlparse(before).scheme != "file" or _is_there(place_of(before)):
            return False
        runs = store.execute("select run_uuid from runs")
        if not any((artifacts / run_id).is_dir() for (run_id,) in runs):
            return False
        with store:
            for table, column in ADDRESSES:
                store.execute(
                    f"update {table} set {column} = ? || substr({column}, ?) "
                    f"where {column} = ? or substr({column}, 1, ?) = ?",
                    (now, len(before) + 1, before, len(before) + 1, f"{before}/"),
                )
    log.warning("the store %s was moved: its runs' files, once in %s, are now looked for in %s", database, before, now)
    return True


def place_of(address: str) -> Path:
    """The local path that a file: address names."""
    return Path(url2pathname(unquote(urlparse(address).path)))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it lies where this user may not look
        return True
