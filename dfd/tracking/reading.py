"""What runs say: all of them as one table, and one run's parameters, figures, curves, data and predictions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from dfd import provenance
from dfd.errors import StoreError
from dfd.tracking.store import artifact, client, each, get_run, search

PREDICTIONS = "predictions.parquet"
CLIPS = "clips_{context}.parquet"  # with the first 16 hex digits of the sha256 of each face-only video, "" without one
ENVIRONMENT = "environment.json"
CHANGES = "changes.diff"
RUN_COLUMNS = (
    "run_id", "name", "kind", "status", "started", "ended", "model", "backbone", "head", "corpus", "sequence_length",
    "seed", "frame_order", "pooling", "control", "weights", "threshold", "checkpoint", "registered", "key", "search",
    "setup",
)  # fmt: skip
NUMERIC = ("sequence_length", "seed", "threshold")
HELD_OUT = "dfd.held_out_method"  # tag of a run whose detector has not met this fake method, which others have
SETUP = "dfd.setup"  # tag of a detector: digest of its experiment and clips, whatever its seed and sequence length
OWN = "own"  # the kind of a detector of the user's own
MEAN_POOL = "resnext_mean"
FRAME_MODELS = frozenset({"frame_cnn", "meso4", "mesoinception4", "multi_attention"})
FRAME_BY_FRAME = "–"  # the head of a model that judges each frame alone
_POOLED = {"mean": "mean pool", "attention": "attention pooling", "last": "last frame"}
_READ_AT = {"attention": ", attention pooling", "last": ", last state"}  # of a recurrent layer; the mean is the usual


def runs() -> pd.DataFrame:
    """All runs, newest first: `RUN_COLUMNS`, then one `split/metric` column for each metric that any run has.

    `kind` is "detector" for a run with a checkpoint, "backbone" for a sweep's first stage and "own" for a detector of
    the user's own, which has no checkpoint, no sequence length and no seed. `backbone` and `head` say what a model of
    one name is made of, see `head_of`. `control` is "shuffled frames", "mean pool" (ResNeXt-LSTM without its LSTM; a
    frame baseline is a model of its own) or ""; `checkpoint` is the reference to load it by, "" while there is none;
    `search` names the search that a run is a trial of, or ""; `setup` is alike for runs that differ in nothing but seed
    and sequence length, "" where it is not known. A run whose process was killed before it could say so has
    the status KILLED. Robustness curves and figures of heat maps are not columns.
    """
    return table_of(each())


def table_of(found: Iterable[Any]) -> pd.DataFrame:
    """MLflow's records of runs as `runs` gives them, in their order; columns have the same type whatever is in them."""
    rows = [_row(run) for run in found]
    frame = pd.DataFrame(
        rows, columns=[*RUN_COLUMNS, *sorted({name for row in rows for name in row} - set(RUN_COLUMNS))]
    )
    for name in NUMERIC:
        frame[name] = pd.to_numeric(frame[name]).astype(float)
    for name in ("started", "ended"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("ms")
    return frame


def head_of(params: Mapping[str, str]) -> str:
    """How a model reads its frames' features, by a run's parameters, in words.

    "LSTM" and "GRU", both perhaps "two-way", are pooled by their mean unless ", attention pooling" or ", last state"
    follows; "mean pool", "attention pooling" and "last frame" have no recurrent layer. A published file's LSTM starts
    anew at each frame. A model that judges each frame alone has `FRAME_BY_FRAME`; of any other nothing is known: "".
    """
    model, pooling = params.get("model.name", ""), params.get("model.pooling", "mean")
    if model in FRAME_MODELS:
        return FRAME_BY_FRAME
    if model == "resnext_published":
        return "LSTM, last frame alone" if pooling == "last" else "LSTM, each frame alone"
    if model not in ("resnext_lstm", "cnn_lstm", MEAN_POOL):
        return ""
    recurrent = "none" if model == MEAN_POOL else params.get("model.temporal", "lstm")
    if recurrent == "none":
        return _POOLED[pooling]
    ways = "two-way " if params.get("model.bidirectional") == "True" else ""
    return f"{ways}{recurrent.upper()}{_READ_AT.get(pooling, '')}"


def _row(run: Any) -> dict[str, Any]:
    tags, params = run.data.tags, run.data.params
    order = params.get("data.frame_order", "natural")
    head = FRAME_BY_FRAME if tags.get("dfd.kind") == "backbone" else head_of(params)
    ready = run.info.status == "FINISHED" and "dfd.threshold" in tags and tags.get("dfd.kind") != OWN
    running = run.info.status == "RUNNING"  # one that was resumed still has the time it had ended at
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "kind": tags.get("dfd.kind", ""),
        "status": "KILLED" if running and process_is_gone(run) else run.info.status,
        "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
        "ended": pd.Timestamp(run.info.end_time, unit="ms", tz="UTC") if run.info.end_time and not running else pd.NaT,
        "model": params.get("model.name", ""),
        "backbone": params.get("model.backbone", ""),
        "head": head,
        "corpus": tags.get("dfd.corpus", ""),
        "sequence_length": params.get("model.sequence_length"),
        "seed": params.get("seed"),
        "frame_order": order,
        "pooling": params.get("model.pooling", ""),
        "control": "shuffled frames" if order == "shuffled" else head if head == _POOLED["mean"] else "",
        "weights": tags.get("dfd.weights", ""),
        "threshold": tags.get("dfd.threshold"),
        "checkpoint": run.info.run_id if ready else "",
        "registered": tags.get("dfd.registered", ""),
        "key": tags.get("dfd.key", ""),
        "search": tags.get("dfd.search", ""),
        "setup": _setup(tags),
        # Robustness curves and figures of heat maps are read from their runs, not listed: they are hundreds.
        **{name: value for name, value in run.data.metrics.items() if not name.startswith(("robust/", "truth/"))},
    }


def _setup(tags: Mapping[str, str]) -> str:
    """A digest; for a detector that has not met a fake method, with that method before it."""
    told = [f"without {tags[HELD_OUT]}"] if HELD_OUT in tags else []
    return " ".join([*told, *([tags[SETUP]] if SETUP in tags else [])])


def process_is_gone(run: Any) -> bool:
    """Whether the process that wrote MLflow's run has ended; one that is not recorded, or on another host, has not."""
    process = run.data.tags.get("dfd.process")
    return process is not None and provenance.is_gone(process)


def detectors() -> list[dict[str, Any]]:
    """The finished detectors as plain records, the user's own with null for what they lack: `dfd runs --json`."""
    table = runs()
    own = (table["kind"] == OWN) & (table["status"] == "FINISHED")
    table = table[own | (table["kind"] == "detector") & (table["checkpoint"] != "")]
    columns = [name for name in table if name not in RUN_COLUMNS]
    return [
        {
            "run_id": row["run_id"],
            "name": row["name"],
            "model": row["model"],
            "backbone": row["backbone"],
            "head": row["head"],
            "corpus": row["corpus"],
            "sequence_length": None if pd.isna(row["sequence_length"]) else int(row["sequence_length"]),
            "seed": None if pd.isna(row["seed"]) else int(row["seed"]),
            "control": row["control"],
            "checkpoint": row["checkpoint"],
            "metrics": {name: float(row[name]) for name in columns if pd.notna(row[name])},
        }
        for _, row in table.sort_values(["corpus", "control", "sequence_length", "seed"]).iterrows()
    ]


def finished(key: str) -> str | None:
    """The id of a finished run with this key (what was asked of it, digested), newest first."""
    found = search(f"tags.`dfd.key` = '{key}' and attributes.status = 'FINISHED'", max_results=1)
    return found[0].info.run_id if found else None


def interrupted(key: str) -> str | None:
    """The id of the newest run with this key that `resume_run` can go on with: it broke, or its process is gone."""
    for run in search(f"tags.`dfd.key` = '{key}' and attributes.status != 'FINISHED'", max_results=100):
        if run.info.status != "RUNNING" or process_is_gone(run):
            return str(run.info.run_id)
    return None


def measured(run_id: str | None, kind: str) -> pd.DataFrame:
    """The finished runs of a kind that measured a run's checkpoint, or any (None), newest first.

    Returns:
        run_id, corpus, split, started; and of whose checkpoint: evaluated_run, detector (its name).
    """
    of_run = "" if run_id is None else f"tags.`dfd.evaluated_run` = '{run_id}' and "
    found = search(f"{of_run}tags.`dfd.kind` = '{kind}' and attributes.status = 'FINISHED'")
    rows = [
        (
            run.info.run_id,
            run.data.tags["dfd.evaluated_on"],
            run.data.tags["dfd.evaluated_split"],
            pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
            run.data.tags.get("dfd.evaluated_run", ""),
            run.data.tags.get("dfd.evaluated_name", ""),
        )
        for run in found
    ]
    return pd.DataFrame(rows, columns=["run_id", "corpus", "split", "started", "evaluated_run", "detector"])


def history(run_id: str) -> pd.DataFrame:
    """Per-epoch numbers: columns metric, step, value; steps count from 1, final figures (step 0) are left out.

    A run that was killed and resumed may have told an epoch twice: what it told last counts, once.
    """
    latest = get_run(run_id).data.to_proto().metrics  # with their steps: most are final, and need not be asked for
    points = [
        (each.key, point.step, point.value)
        for each in latest
        if each.step > 0
        for point in client().get_metric_history(run_id, each.key)  # in the order they were logged
        if point.step > 0
    ]
    told = pd.DataFrame(points, columns=["metric", "step", "value"])
    told = told.drop_duplicates(["metric", "step"], keep="last")
    return told.sort_values(["metric", "step"], kind="stable", ignore_index=True)


def metrics(run_id: str) -> dict[str, float]:
    """The latest value of each metric of a run."""
    return dict(get_run(run_id).data.metrics)


def params(run_id: str) -> dict[str, str]:
    """A run's parameters by dotted name."""
    return dict(get_run(run_id).data.params)


def tags(run_id: str) -> dict[str, str]:
    """A run's tags."""
    return dict(get_run(run_id).data.tags)


def datasets(run_id: str) -> pd.DataFrame:
    """The data a run read: columns context, corpus, digest, clips, real, fake."""
    rows = []
    for entry in get_run(run_id).inputs.dataset_inputs:
        context = next((tag.value for tag in entry.tags if tag.key == "mlflow.data.context"), "")
        counts = json.loads(entry.dataset.profile or "{}")
        rows.append({"context": context, "corpus": entry.dataset.name, "digest": entry.dataset.digest, **counts})
    return pd.DataFrame(rows, columns=["context", "corpus", "digest", "clips", "real", "fake"])


def clips(run_id: str) -> pd.DataFrame:
    """Every clip a run read, one row each: the fields of `Clip` (label 0 or 1), and `sha256`, `CLIPS` says of what.

    Raises:
        StoreError: the run recorded none.
    """
    contexts = sorted(set(datasets(run_id)["context"]))
    if not contexts:
        raise StoreError(f"run {run_id} recorded no data")
    return pd.concat([table(run_id, CLIPS.format(context=context)) for context in contexts], ignore_index=True)


def predictions(run_id: str) -> pd.DataFrame:
    """A run's per-clip predictions: clip_id, corpus, split, label, p_fake, method, compression, target_identity.

    Raises:
        StoreError: it has none.
    """
    return table(run_id, PREDICTIONS)


def table(run_id: str, name: str) -> pd.DataFrame:
    """A table that a run stored under a name.

    Raises:
        StoreError: it has none of that name.
    """
    return pd.read_parquet(artifact(run_id, name))


def environment(run_id: str) -> dict[str, dict[str, str]]:
    """What a run was made with: `machine`, and the version of every installed package by name, `packages`.

    Raises:
        StoreError: a dfd from before this was recorded made it.
    """
    found: dict[str, dict[str, str]] = json.loads(artifact(run_id, ENVIRONMENT).read_text(encoding="utf-8"))
    return found
