"""Where the store is, one client for it, and what every reader and writer of it needs.

The store is `MLFLOW_TRACKING_URI`: a database (`postgresql://...`), or an MLflow server (`http://...`) that keeps the
artifacts too. Beside a database artifacts lie in `DFD_ARTIFACTS`, a folder that all machines share or a URL such as
s3://bucket/path, which is asked for once, when the first run is written.
"""

import os
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlparse

import mlflow
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from dfd import storage
from dfd.errors import StoreError
from dfd.paths import data_dir, store_dir
from dfd.tracking import moved

EXPERIMENT = "dfd"
CHECKPOINT = "checkpoint"  # folder of a run's checkpoint
CARD = f"{CHECKPOINT}/README.md"  # its model card
SQLITE = "sqlite:///"
ARTIFACTS = "artifacts"  # folder beside a local store's file
PAGE = 1000  # runs that are listed at once
MOST = 50_000  # that are listed at all
MARGIN = 600.0  # s by which the clocks of machines that write one store may differ

_lock = threading.Lock()
_clients: dict[str, MlflowClient] = {}
_elsewhere: ContextVar[str | None] = ContextVar("elsewhere", default=None)


def store_uri() -> str:
    """The store's address, as MLflow takes it: it may hold a password, so people are shown `store_name`."""
    chosen = _elsewhere.get() or os.environ.get("MLFLOW_TRACKING_URI")
    return chosen or f"{SQLITE}{(store_dir() / 'mlflow.db').as_posix()}"


def store_name() -> str:
    """The store's address without a password."""
    return _unsecret(store_uri())


@contextmanager
def another_store(uri: str) -> Iterator[None]:
    """Within the block this thread reads and writes another store."""
    token = _elsewhere.set(uri)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def client() -> MlflowClient:
    """A client of the current store; made once a store.

    Raises:
        StoreError: the store cannot be reached.
    """
    uri = store_uri()
    with _lock:
        if uri not in _clients:
            with explained("opened"):
                if uri.startswith(SQLITE):
                    database = Path(uri.removeprefix(SQLITE))
                    database.parent.mkdir(parents=True, exist_ok=True)
                    moved.follow(database, EXPERIMENT, database.parent / ARTIFACTS)
                made = MlflowClient(tracking_uri=uri, registry_uri=uri)
                made.search_experiments(max_results=1)  # creates and migrates a new SQLite file
            _clients[uri] = made
        return _clients[uri]


def experiment_id() -> str:
    """The experiment that holds all runs; made where there is none.

    Raises:
        StoreError: `DFD_ARTIFACTS` names another place than the one its artifacts are in.
    """
    store, place = client(), _artifact_root()
    with explained("written to"):
        experiment = store.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            try:
                return store.create_experiment(EXPERIMENT, artifact_location=place)
            except MlflowException:
                experiment = store.get_experiment_by_name(EXPERIMENT)  # another process was faster
                if experiment is None:
                    raise
    if "DFD_ARTIFACTS" in os.environ and experiment.artifact_location.rstrip("/") != place:
        raise StoreError(
            f"the store {store_name()} keeps its artifacts in {experiment.artifact_location}, where its first run put "
            f"them, and DFD_ARTIFACTS says {place}; leave DFD_ARTIFACTS unset, or take another store"
        )
    return experiment.experiment_id


def _artifact_root() -> str | None:
    """Where a new store's artifacts go; None leaves it to an MLflow server.

    Without a location of its own, MLflow puts a database's artifacts into the *current* folder's mlruns.
    """
    uri, asked = store_uri(), os.environ.get("DFD_ARTIFACTS")
    if asked:
        return asked.rstrip("/") if storage.is_url(asked) else Path(asked).resolve().as_uri()
    if uri.startswith(SQLITE):
        return (Path(uri.removeprefix(SQLITE)).resolve().parent / ARTIFACTS).as_uri()
    return (store_dir() / ARTIFACTS).as_uri() if urlparse(uri).scheme.split("+")[0] in DATABASE_ENGINES else None


def get_run(run_id: str) -> Any:
    """MLflow's own record of a run.

    Raises:
        StoreError: the store has no such run.
    """
    try:
        return client().get_run(run_id)
    except MlflowException:
        raise StoreError(f"'{run_id}' is no checkpoint folder and no run of the store {store_name()}") from None


def search(filter_string: str = "", max_results: int = 1000, *, deleted: bool = False) -> list[Any]:
    """MLflow's records of the runs that a filter leaves, newest first; or of those of them that were deleted."""
    return list(each(filter_string, max_results, deleted=deleted))


def each(filter_string: str = "", max_results: int = MOST, *, deleted: bool = False) -> Iterator[Any]:
    """The same, one after the other."""
    for page in pages(filter_string, max_results, deleted=deleted):
        yield from page


def pages(filter_string: str = "", max_results: int = MOST, *, deleted: bool = False) -> Iterator[list[Any]]:
    """The same, a page at a time: MLflow's records of 10,000 runs are hundreds of megabytes."""
    with explained("read"):
        experiment = client().get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    left, token = max_results, None
    while left > 0:
        with explained("read"):
            page = client().search_runs(
                [experiment.experiment_id],
                filter_string,
                view,
                min(PAGE, left),
                ["attributes.start_time DESC"],
                token,
            )
        left, token = left - len(page), page.token
        yield list(page)
        if not token:
            return


def search_page(count: int, token: str | None) -> tuple[list[Any], str | None]:
    """The next `count` runs after those that gave the token, oldest first, and a token; None begins, and ends."""
    with explained("read"):
        experiment = client().get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return [], None
        order = ["attributes.start_time ASC"]  # new runs come last, and move none to another page
        page = client().search_runs([experiment.experiment_id], "", ViewType.ACTIVE_ONLY, count, order, token)
        return list(page), page.token


def stored(run_id: str, folder: str | None = None) -> set[str]:
    """The names of what a run has stored, at the top or in a folder of it."""
    get_run(run_id)
    with explained("read"):
        return {entry.path for entry in client().list_artifacts(run_id, folder)}


def artifact(run_id: str, name: str) -> Path:
    """A local path of a run's file or folder: itself where the store is local, else a copy kept in `data/cache`.

    Raises:
        StoreError: the store has no such run, or the run no such artifact.
    """
    run = get_run(run_id)
    parts = urlparse(run.info.artifact_uri)
    if parts.scheme not in ("", "file"):
        return _copy(run, name)
    path = (moved.place_of(run.info.artifact_uri) if parts.scheme else Path(run.info.artifact_uri)) / name
    if not path.exists():
        raise StoreError(f"run {run_id} has no {name}; it is still training, or it failed before it wrote one")
    return path


def _copy(run: Any, name: str) -> Path:
    """What a finished run has does not change: its artifacts are fetched once."""
    run_id = run.info.run_id
    kept = data_dir() / "cache" / "artifacts" / run_id / quote(name, safe="") / PurePosixPath(name).name
    if run.info.status == "FINISHED" and kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as folder:
        try:
            fetched = Path(
                mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=name, dst_path=folder, tracking_uri=store_uri()
                )
            )
        except Exception as error:  # every artifact store has errors of its own: botocore's are no OSErrors
            raise StoreError(f"run {run_id} has no {name} that can be fetched: {_first_line(error)}") from None
        with _lock:  # sessions may fetch the same
            if fetched.is_dir():
                shutil.rmtree(kept, ignore_errors=True)
            fetched.replace(kept)
    return kept


@contextmanager
def explained(what: str) -> Iterator[None]:
    """MLflow's errors as what a user can be told: the store cannot be `what` ("read", "written to")."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"the store {store_name()} cannot be {what}: {_first_line(error)}") from error
    except ImportError as error:
        needed = "requirements-remote.txt has what databases and s3:// need"
        raise StoreError(f"the store {store_name()} cannot be {what}: {error}; {needed}") from error


def _first_line(error: Exception) -> str:
    return _unsecret((str(error).splitlines() or [type(error).__name__])[0])


def _unsecret(text: str) -> str:
    """Text without the passwords of addresses in it."""
    return re.sub(r"(://[^:/@\s]*):[^/@\s]*@", r"\1:***@", text)
