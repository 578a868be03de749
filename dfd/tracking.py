"""Runs, checkpoints and data sets in MLflow: the only importer of it.

The store is `MLFLOW_TRACKING_URI`, or SQLite with artifacts beside it under `mlruns/` in dfd's home (MLflow 3 closed
the old file store). Only `MlflowClient` is used: it has no global state, so that pages and training can share a
process.
"""

import json
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

import mlflow
import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

from dfd import provenance
from dfd.errors import StoreError
from dfd.manifest import Manifest
from dfd.paths import store_dir

EXPERIMENT, REGISTERED, BEST = "dfd", "dfd-detector", "best"
CHECKPOINT = "checkpoint"
PREDICTIONS = "predictions.parquet"

RUN_COLUMNS = (
    "run_id", "name", "kind", "status", "started", "ended", "model", "corpus", "sequence_length", "seed",
    "frame_order", "pooling", "control", "weights", "threshold", "checkpoint", "registered", "key",
)  # fmt: skip
NUMERIC = ("sequence_length", "seed", "threshold")

_lock = threading.Lock()
_clients: dict[str, MlflowClient] = {}


def store_uri() -> str:
    """The store's address."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(store_dir() / 'mlflow.db').as_posix()}"


def client() -> MlflowClient:
    """A client of the current store; made once a store.

    Raises:
        StoreError: the store cannot be reached.
    """
    uri = store_uri()
    with _lock:
        if uri not in _clients:
            if uri.startswith("sqlite:///"):
                Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            with _explained("opened"):
                made = MlflowClient(tracking_uri=uri, registry_uri=uri)
                made.search_experiments(max_results=1)  # creates and migrates a new SQLite file
            _clients[uri] = made
        return _clients[uri]


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is being written."""

    run_id: str

    def params(self, values: Mapping[str, object]) -> None:
        """Log parameters, up to 6000 characters each."""
        entries = [Param(name, str(value)[:6000]) for name, value in values.items()]
        for start in range(0, len(entries), 100):  # the most that one batch takes
            client().log_batch(self.run_id, params=entries[start : start + 100])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers at a step (an epoch, counted from 1; 0 for final figures)."""
        now = get_current_time_millis()
        client().log_batch(self.run_id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags."""
        client().log_batch(self.run_id, tags=[RunTag(name, str(value)) for name, value in values.items()])

    def input(self, manifest: Manifest, context: str) -> None:
        """Record a data set by name and digest, in the role `context` (train, val, test)."""
        labels = [clip.label for clip in manifest]
        profile = json.dumps({"clips": len(manifest), "fake": int(sum(labels)), "real": int(len(labels) - sum(labels))})
        source = json.dumps({"corpus": manifest.name})
        data = Dataset(manifest.name, manifest.digest(), "dfd-manifest", source, schema=None, profile=profile)
        client().log_inputs(self.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", context)])])

    def table(self, frame: pd.DataFrame, name: str) -> None:
        """Store a table as Parquet."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            frame.to_parquet(path, index=False)
            client().log_artifact(self.run_id, str(path))

    def text(self, text: str, name: str) -> None:
        """Store a text file."""
        client().log_text(self.run_id, text, name)

    def folder(self, folder: Path, name: str) -> None:
        """Store a folder under `name`."""
        client().log_artifacts(self.run_id, str(folder), name)

    def register(self) -> int:
        """Make this run's checkpoint a version of the registered detector; returns its number."""
        registry = client()
        try:
            registry.create_registered_model(REGISTERED, description="Checkpoints of dfd: safetensors + JSON.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{registry.get_run(self.run_id).info.artifact_uri}/{CHECKPOINT}"
        version = registry.create_model_version(REGISTERED, source, run_id=self.run_id)
        self.tags({"dfd.registered": version.version})
        return int(version.version)


@contextmanager
def start_run(name: str, *, parent: str | None = None, tags: Mapping[str, object] | None = None) -> Iterator[Run]:
    """A run that ends as FINISHED, FAILED, or KILLED when interrupted; the code's commit and versions are recorded."""
    store = client()
    code, here = provenance.commit(), provenance.this_process()
    facts = {"mlflow.source.git.commit": code.hash, "dfd.dirty": str(code.dirty).lower(), "dfd.process": here}
    facts |= {f"dfd.version.{package}": version for package, version in provenance.versions().items()}
    if parent:
        facts["mlflow.parentRunId"] = parent
    facts |= {name: str(value) for name, value in (tags or {}).items()}
    with _explained("written to"):
        started = store.create_run(_experiment_id(), tags=facts, run_name=name)
    run_id = started.info.run_id
    try:
        yield Run(run_id)
    except KeyboardInterrupt:
        store.set_terminated(run_id, "KILLED")
        raise
    except BaseException:
        store.set_terminated(run_id, "FAILED")
        raise
    store.set_terminated(run_id, "FINISHED")


def runs() -> pd.DataFrame:
    """All runs, newest first: `RUN_COLUMNS`, then one `split/metric` column for each metric that any run has.

    `kind` is "detector" for a run with a checkpoint and "backbone" for a sweep's first stage; `control` is "", "mean
    pool" or "shuffled frames"; `checkpoint` is the reference to load it by, "" while there is none. A run whose process
    was killed before it could say so has the status KILLED.
    """
    with _explained("read"):
        found = _search(max_results=50_000)
    rows = [_row(run) for run in found]
    frame = pd.DataFrame(
        rows, columns=[*RUN_COLUMNS, *sorted({name for row in rows for name in row} - set(RUN_COLUMNS))]
    )
    for name in NUMERIC:
        frame[name] = pd.to_numeric(frame[name])
    return frame


def _row(run: Any) -> dict[str, Any]:
    tags, params = run.data.tags, run.data.params
    order = params.get("data.frame_order", "natural")
    model = params.get("model.name", "")
    control = "shuffled frames" if order == "shuffled" else "mean pool" if model.endswith("_mean") else ""
    registered = tags.get("dfd.registered", "")
    finished = run.info.status == "FINISHED"
    lost = run.info.status == "RUNNING" and "dfd.process" in tags and provenance.is_gone(tags["dfd.process"])
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "kind": tags.get("dfd.kind", ""),
        "status": "KILLED" if lost else run.info.status,
        "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
        "ended": pd.Timestamp(run.info.end_time, unit="ms", tz="UTC") if run.info.end_time else pd.NaT,
        "model": model,
        "corpus": tags.get("dfd.corpus", ""),
        "sequence_length": params.get("model.sequence_length"),
        "seed": params.get("seed"),
        "frame_order": order,
        "pooling": params.get("model.pooling", ""),
        "control": control,
        "weights": tags.get("dfd.weights", ""),
        "threshold": tags.get("dfd.threshold"),
        "checkpoint": run.info.run_id if finished and "dfd.threshold" in tags else "",
        "registered": registered,
        "key": tags.get("dfd.key", ""),
        **run.data.metrics,
    }


def detectors() -> list[dict[str, Any]]:
    """The finished detectors as plain records: what `dfd runs --json` prints."""
    table = runs()
    table = table[(table["kind"] == "detector") & (table["checkpoint"] != "")]
    columns = [name for name in table if name not in RUN_COLUMNS]
    return [
        {
            "run_id": row["run_id"],
            "name": row["name"],
            "model": row["model"],
            "corpus": row["corpus"],
            "sequence_length": int(row["sequence_length"]),
            "seed": int(row["seed"]),
            "control": row["control"],
            "checkpoint": row["checkpoint"],
            "metrics": {name: float(row[name]) for name in columns if pd.notna(row[name])},
        }
        for _, row in table.sort_values(["corpus", "control", "sequence_length", "seed"]).iterrows()
    ]


def finished(key: str) -> str | None:
    """The id of a finished run with this key (what was asked of it, digested), newest first."""
    with _explained("read"):
        found = _search(filter_string=f"tags.`dfd.key` = '{key}' and attributes.status = 'FINISHED'", max_results=1)
    return found[0].info.run_id if found else None


def history(run_id: str) -> pd.DataFrame:
    """Per-epoch numbers: columns metric, step, value; steps count from 1, final figures (step 0) are left out."""
    points = [
        (name, point.step, point.value)
        for name in _run(run_id).data.metrics
        for point in client().get_metric_history(run_id, name)
        if point.step > 0
    ]
    return pd.DataFrame(points, columns=["metric", "step", "value"])


def metrics(run_id: str) -> dict[str, float]:
    """The latest value of each metric of a run."""
    return dict(_run(run_id).data.metrics)


def params(run_id: str) -> dict[str, str]:
    """A run's parameters by dotted name."""
    return dict(_run(run_id).data.params)


def tags(run_id: str) -> dict[str, str]:
    """A run's tags."""
    return dict(_run(run_id).data.tags)


def datasets(run_id: str) -> pd.DataFrame:
    """The data a run read: columns context, corpus, digest, clips, real, fake."""
    rows = []
    for entry in _run(run_id).inputs.dataset_inputs:
        context = next((tag.value for tag in entry.tags if tag.key == "mlflow.data.context"), "")
        counts = json.loads(entry.dataset.profile or "{}")
        rows.append({"context": context, "corpus": entry.dataset.name, "digest": entry.dataset.digest, **counts})
    return pd.DataFrame(rows, columns=["context", "corpus", "digest", "clips", "real", "fake"])


def predictions(run_id: str) -> pd.DataFrame:
    """A run's per-clip predictions: clip_id, corpus, split, label, p_fake, method, compression, target_identity.

    Raises:
        StoreError: it has none.
    """
    return pd.read_parquet(_artifact(run_id, PREDICTIONS))


def checkpoint_folder(ref: str) -> Path:
    """The local folder of a checkpoint named by run id or `models:/NAME@ALIAS`, `models:/NAME/VERSION`.

    Raises:
        StoreError: the store knows no such run or model, or it has no checkpoint.
    """
    run_id = _registered_run(ref) if ref.startswith("models:/") else ref
    return _artifact(run_id, CHECKPOINT)


def best(corpus: str | None = None) -> str | None:
    """The registered best detector's reference (of one corpus, if named), or None while there is none."""
    alias = BEST if corpus is None else f"{BEST}-{corpus}"
    ref = f"models:/{REGISTERED}@{alias}"
    try:
        client().get_model_version_by_alias(REGISTERED, alias)
    except MlflowException:
        return None
    return ref


def promote(run_id: str, version: int, corpus: str) -> None:
    """Point `best` and `best-<corpus>` at this version where its validation AUC beats that of the present ones.

    Ties go to the lower validation log loss. Test figures are never looked at.
    """
    score = _validation_rank(run_id)
    for alias in (BEST, f"{BEST}-{corpus}"):
        try:
            present = client().get_model_version_by_alias(REGISTERED, alias)
        except MlflowException:
            present = None
        if present is None or not present.run_id or score > _validation_rank(present.run_id):
            client().set_registered_model_alias(REGISTERED, alias, str(version))


def _validation_rank(run_id: str) -> tuple[float, float]:
    values = metrics(run_id)
    return values.get("val/auc", 0.0), -values.get("val/log_loss", float("inf"))


def _registered_run(ref: str) -> str:
    name = ref.removeprefix("models:/")
    try:
        if "@" in name:
            version = client().get_model_version_by_alias(*name.split("@", 1))
        else:
            version = client().get_model_version(*name.rsplit("/", 1))
    except (MlflowException, TypeError):
        raise StoreError(f"the store has no model '{ref}'; `dfd runs` lists what there is") from None
    if not version.run_id:
        raise StoreError(f"the model '{ref}' names no run to load its checkpoint from; register it through a run")
    return version.run_id


def _artifact(run_id: str, name: str) -> Path:
    """A local path of an artifact: the file itself where the store is local, else a download in a temporary folder."""
    uri = _run(run_id).info.artifact_uri
    parts = urlparse(uri)
    if parts.scheme in ("", "file"):
        path = Path(url2pathname(unquote(parts.path)) if parts.scheme else uri) / name
        if path.exists():
            return path
        raise StoreError(f"run {run_id} has no {name}; it is still training, or it failed before it wrote one")
    try:
        return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, tracking_uri=store_uri()))
    except (MlflowException, OSError) as error:
        raise StoreError(f"run {run_id} has no {name} that can be fetched: {_first_line(error)}") from None


def _run(run_id: str) -> Any:
    try:
        return client().get_run(run_id)
    except MlflowException:
        raise StoreError(f"'{run_id}' is no checkpoint folder and no run of the store {store_uri()}") from None


def _search(filter_string: str = "", max_results: int = 1000) -> list[Any]:
    experiment = client().get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    found: list[Any] = []
    token: str | None = None
    while len(found) < max_results:
        page = client().search_runs(
            [experiment.experiment_id],
            filter_string,
            ViewType.ACTIVE_ONLY,
            min(1000, max_results - len(found)),
            ["attributes.start_time DESC"],
            token,
        )
        found += list(page)
        token = page.token
        if not token:
            break
    return found


def _experiment_id() -> str:
    store = client()
    experiment = store.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        return experiment.experiment_id
    # Without a location of its own, MLflow puts artifacts into the *current* folder's mlruns.
    location = (store_dir() / "artifacts").as_uri() if store_uri().startswith("sqlite:") else None
    try:
        return store.create_experiment(EXPERIMENT, artifact_location=location)
    except MlflowException:
        made = store.get_experiment_by_name(EXPERIMENT)  # another process was faster
        if made is None:
            raise
        return made.experiment_id


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise StoreError(f"the store {store_uri()} cannot be {what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
