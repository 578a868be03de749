"""Runs, checkpoints and data sets in MLflow: the only importer of it.

The store is `MLFLOW_TRACKING_URI`, or SQLite with artifacts beside it under `mlruns/` in dfd's home (MLflow 3 closed
the old file store); `store` has the others. Only `MlflowClient` is used: it has no global state, so that pages and
training can share a process.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported, by the modules below
# With a server it would print addresses and bars, also where a verb prints JSON and nothing else.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from dfd.tracking.live import Training, training
from dfd.tracking.many import current_runs, keep_fresh
from dfd.tracking.mlflow_ui import ui_address, ui_command, ui_of_run
from dfd.tracking.parameters import parameters, tags_of_all, with_parameters
from dfd.tracking.reading import (
    CHANGES,
    ENVIRONMENT,
    HELD_OUT,
    OWN,
    PREDICTIONS,
    RUN_COLUMNS,
    SETUP,
    clips,
    datasets,
    detectors,
    environment,
    finished,
    head_of,
    history,
    interrupted,
    measured,
    metrics,
    params,
    predictions,
    runs,
    table,
    tags,
)
from dfd.tracking.registry import (
    BEST,
    REGISTERED,
    aliases,
    best,
    best_alias,
    checkpoint_folder,
    promote,
    run_of,
    set_alias,
    versions,
)
from dfd.tracking.servable import refused
from dfd.tracking.store import (
    CARD,
    CHECKPOINT,
    EXPERIMENT,
    another_store,
    artifact,
    client,
    store_name,
    store_uri,
    stored,
)
from dfd.tracking.writing import Ended, Run, clip_table, hand_over, resume_run, share_run, start_run

__all__ = [
    "BEST",
    "CARD",
    "CHANGES",
    "CHECKPOINT",
    "ENVIRONMENT",
    "EXPERIMENT",
    "Ended",
    "HELD_OUT",
    "OWN",
    "PREDICTIONS",
    "REGISTERED",
    "RUN_COLUMNS",
    "Run",
    "SETUP",
    "Training",
    "aliases",
    "another_store",
    "artifact",
    "best",
    "best_alias",
    "checkpoint_folder",
    "client",
    "clip_table",
    "clips",
    "current_runs",
    "datasets",
    "detectors",
    "environment",
    "finished",
    "hand_over",
    "head_of",
    "history",
    "interrupted",
    "keep_fresh",
    "measured",
    "metrics",
    "parameters",
    "params",
    "predictions",
    "promote",
    "refused",
    "resume_run",
    "run_of",
    "runs",
    "set_alias",
    "share_run",
    "start_run",
    "store_name",
    "store_uri",
    "stored",
    "table",
    "tags",
    "tags_of_all",
    "training",
    "ui_address",
    "ui_command",
    "ui_of_run",
    "versions",
    "with_parameters",
]
