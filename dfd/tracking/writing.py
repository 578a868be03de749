"""Writing a run: started, or gone on with after its process was killed, and ended as what it came to."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

from dfd import provenance
from dfd.errors import StoreError
from dfd.manifest import ATTRIBUTE, Clip, Manifest
from dfd.tracking import registry
from dfd.tracking.reading import CHANGES, CLIPS, ENVIRONMENT, history, process_is_gone
from dfd.tracking.store import client, experiment_id, explained, get_run


class Ended(Exception):
    """Raised within a run to end it before its time, on purpose: it is recorded as KILLED."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is being written. Its methods raise StoreError where the store cannot be written to."""

    run_id: str
    told: Mapping[tuple[str, int], float] = field(default_factory=dict, repr=False)  # before it was resumed

    def params(self, values: Mapping[str, object]) -> None:
        """Log parameters, up to 6000 characters each."""
        entries = [Param(name, str(value)[:6000]) for name, value in values.items()]
        with _written() as store:
            for start in range(0, len(entries), 100):  # the most that one batch takes
                store.log_batch(self.run_id, params=entries[start : start + 100])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers at a step (an epoch, counted from 1; 0 for final figures), less what a resumed run repeats."""
        now = get_current_time_millis()
        new = [Metric(name, value, now, step) for name, value in values.items() if self.told.get((name, step)) != value]
        with _written() as store:
            store.log_batch(self.run_id, metrics=new)

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags."""
        with _written() as store:
            store.log_batch(self.run_id, tags=[RunTag(name, str(value)) for name, value in values.items()])

    def input(self, manifest: Manifest, context: str) -> None:
        """Record a data set in the role `context` (train, val, test): name and digest, and every clip with its own."""
        labels = [clip.label for clip in manifest]
        profile = json.dumps({"clips": len(manifest), "fake": int(sum(labels)), "real": int(len(labels) - sum(labels))})
        source = json.dumps({"corpus": manifest.name})
        data = Dataset(manifest.name, manifest.digest(), "dfd-manifest", source, schema=None, profile=profile)
        with _written() as store:
            store.log_inputs(self.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", context)])])
        self.table(clip_table(manifest), CLIPS.format(context=context))

    def table(self, frame: pd.DataFrame, name: str) -> None:
        """Store a table as Parquet."""
        with tempfile.TemporaryDirectory() as folder, _written() as store:
            path = Path(folder) / name
            frame.to_parquet(path, index=False)
            store.log_artifact(self.run_id, str(path))

    def text(self, text: str, name: str) -> None:
        """Store a text file."""
        with _written() as store:
            store.log_text(self.run_id, text, name)

    def folder(self, folder: Path, name: str) -> None:
        """Store a folder under `name`."""
        with _written() as store:
            store.log_artifacts(self.run_id, str(folder), name)

    def register(self) -> int:
        """Make this run's checkpoint a version of the registered detector; returns its number."""
        return registry.register(self.run_id)


def clip_table(manifest: Manifest) -> pd.DataFrame:
    """A manifest as `clips` gives it back: what each clip is, and the bytes that are read of it."""
    columns = [column.name for column in fields(Clip) if column.name != "attributes"]
    rows = [
        {
            **{name: getattr(clip, name) for name in columns},
            **{f"{ATTRIBUTE}{name}": told for name, told in clip.attributes},
        }
        for clip in manifest
    ]
    more = sorted({name for row in rows for name in row} - set(columns))
    table = pd.DataFrame(rows, columns=[*columns, *more]).fillna(dict.fromkeys(more, ""))
    table = table.astype({"path": str, "label": int, "frames": "Int64"})
    return table.assign(sha256=["" if clip.frames == 0 else provenance.file_digest(clip.path) for clip in manifest])


@contextmanager
def start_run(name: str, *, parent: str | None = None, tags: Mapping[str, object] | None = None) -> Iterator[Run]:
    """A run that ends as FINISHED, FAILED, or KILLED when interrupted.

    Recorded with it: the code's commit and what differed from it (`changes.diff`), versions and machine
    (`environment.json`).
    """
    facts = {"dfd.process": provenance.this_process(), **_code()}
    if parent:
        facts["mlflow.parentRunId"] = parent
    facts |= {name: str(value) for name, value in (tags or {}).items()}
    with _written() as store:
        started = store.create_run(experiment_id(), tags=facts, run_name=name)
    with _ended(started.info.run_id):
        run = Run(started.info.run_id)
        _describe_surroundings(run)
        yield run


@contextmanager
def resume_run(run_id: str) -> Iterator[Run]:
    """Go on with a run that broke, as the same run; it ends like one of `start_run`.

    Parameters, tags and data may be logged again as they were. An epoch that is logged again counts once: numbers that
    are as before are not written, and of others `history` gives the last. The tag `dfd.resumed` counts how often it was
    resumed, and `dfd.resumed.changed` names what differs from the code and versions it was started with.

    Raises:
        StoreError: the store has no such run, the run is finished, or its process may still be writing it: one on
            another host is never taken for ended.
    """
    run = get_run(run_id)
    before = run.data.tags
    if run.info.status == "FINISHED":
        raise StoreError(f"run {run_id} is finished; there is nothing to resume")
    if run.info.status == "RUNNING" and not process_is_gone(run):
        writer = before.get("dfd.process", "unknown")
        raise StoreError(f"run {run_id} may still be written by its process (host, pid, start: {writer}); end it first")
    told = {(row.metric, int(row.step)): float(row.value) for row in history(run_id).itertuples()}
    changed = [f"{name} {before.get(name)} -> {now}" for name, now in _code().items() if before.get(name) != now]
    facts = {"dfd.process": provenance.this_process(), "dfd.resumed": int(before.get("dfd.resumed", 0)) + 1}
    resumed = Run(run_id, told)
    with _written() as store:
        store.update_run(run_id, status="RUNNING")
    with _ended(run_id):
        resumed.tags(facts | ({"dfd.resumed.changed": "; ".join(changed)} if changed else {}))
        yield resumed


def _code() -> dict[str, str]:
    """The commit and the versions that this process runs with, as tags."""
    code = provenance.commit()
    versions = {f"dfd.version.{package}": version for package, version in provenance.versions().items()}
    facts = {"mlflow.source.git.commit": code.hash, "dfd.dirty": str(code.dirty).lower(), **versions}
    return facts | ({"dfd.changes": hashlib.sha256(code.diff.encode()).hexdigest()[:16]} if code.dirty else {})


def _describe_surroundings(run: Run) -> None:
    found = {"machine": provenance.machine(), "packages": provenance.packages()}
    run.text(json.dumps(found, indent=1), ENVIRONMENT)
    if provenance.commit().dirty:
        run.text(provenance.commit().diff, CHANGES)


@contextmanager
def _written() -> Iterator[MlflowClient]:
    with explained("written to"):
        yield client()


@contextmanager
def share_run(run_id: str) -> Iterator[Run]:
    """Write a run that several processes share, whatever its status; it ends like one of `start_run`."""
    hand_over(run_id, provenance.this_process())
    with _ended(run_id):
        yield Run(run_id)


def hand_over(run_id: str, process: str) -> None:
    """Say that a run goes on in this process (host, pid, start): one that has joined it, or that goes on alone."""
    with _written() as store:
        store.update_run(run_id, status="RUNNING")
        Run(run_id).tags({"dfd.process": process})


@contextmanager
def _ended(run_id: str) -> Iterator[None]:
    """Say how it ended."""
    try:
        yield
    except (KeyboardInterrupt, Ended):
        client().set_terminated(run_id, "KILLED")
        raise
    except BaseException:
        client().set_terminated(run_id, "FAILED")
        raise
    client().set_terminated(run_id, "FINISHED")
