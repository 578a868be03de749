"""A run is enough to make its checkpoint again: its experiment is trained anew, and the weights compared bit by bit.

It happens in a store of its own, on the data that is there now, once that is the data the run read. A head of a sweep
is trained on the backbone of the sweep, which is fitted anew first, as its own run says.
"""

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from dfd import experiments, tracking
from dfd.checkpoints import WEIGHTS
from dfd.config import Experiment, read_experiment
from dfd.errors import CheckpointError, ManifestError, StoreError
from dfd.progress import Progress, part, silent

EXPERIMENT = "experiment.yaml"
CODE = ("mlflow.source.git.commit", "dfd.dirty", "dfd.changes")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How a checkpoint that was made anew compares with the run's own."""

    run_id: str
    tensors: int
    differing: int  # tensors that are not equal to the bit
    largest: float  # largest absolute difference of a weight
    changed: tuple[str, ...]  # commit, versions and machine, as the run recorded them -> as they are now
    kept: str | None  # folder of the new checkpoint

    @property
    def same(self) -> bool:
        """Whether every weight is equal to the bit."""
        return self.differing == 0

    @property
    def text(self) -> str:
        """The comparison in a few lines."""
        if self.same:
            told = [f"run {self.run_id} was made again: all {self.tensors} tensors are equal to the bit"]
        else:
            differ = f"{self.differing} of {self.tensors} tensors differ, by at most {self.largest:g}"
            told = [f"run {self.run_id} was made again: {differ}"]
        told += [f"  changed since: {change}" for change in self.changed]
        return "\n".join(told + ([] if self.kept is None else [f"  the new checkpoint is in {self.kept}"]))

    def to_json(self) -> dict[str, Any]:
        """As JSON types; the largest difference is null where it is infinite."""
        largest = self.largest if math.isfinite(self.largest) else None
        return {**asdict(self), "largest": largest, "same": self.same}


def rebuild(run_id: str, out: Path | None = None, progress: Progress = silent) -> Rebuilt:
    """Train a run's checkpoint again and compare the two.

    Args:
        run_id: a detector, or the backbone of one.
        out: folder to keep the new checkpoint in.

    Raises:
        StoreError: dfd did not train the run's checkpoint, or the run of its backbone is gone.
        ManifestError: the data is not there, or is not what the run read; the first clip that differs is named.
        CheckpointError: `out` is there already.
    """
    before, own = tracking.tags(run_id), tracking.checkpoint_folder(run_id)
    if before.get("dfd.kind") not in ("detector", "backbone"):
        raise StoreError(f"run {run_id} trained no checkpoint that could be made again")
    if out is not None and out.exists():
        raise CheckpointError(f"{out} is there already; name another folder for the new checkpoint")
    plan = [_experiment(each) for each in (before.get("dfd.backbone_run"), run_id) if each is not None]
    _check_data(run_id, plan[-1])
    with tempfile.TemporaryDirectory(prefix="dfd-rebuild-") as folder:
        with tracking.another_store(f"sqlite:///{(Path(folder) / 'mlflow.db').as_posix()}"):
            made = _train(before["dfd.kind"], plan, progress)
            new, surroundings = tracking.checkpoint_folder(made), _surroundings(made)
        differences = _differences(own / WEIGHTS, new / WEIGHTS)
        if out is not None:
            shutil.copytree(new, out)
    recorded = _surroundings(run_id)
    names = sorted(recorded.keys() | surroundings.keys())
    changes = [(name, recorded.get(name, "none"), surroundings.get(name, "none")) for name in names]
    return Rebuilt(
        run_id=run_id,
        tensors=len(differences),
        differing=sum(difference > 0 for difference in differences),
        largest=max(differences),
        changed=tuple(f"{name} {then} -> {now}" for name, then, now in changes if then != now),
        kept=None if out is None else str(out),
    )


def _experiment(run_id: str) -> Experiment:
    return read_experiment(tracking.artifact(run_id, EXPERIMENT))


def _train(kind: str, plan: Sequence[Experiment], progress: Progress) -> str:
    """Train the last experiment of a plan, on the backbone that the first one fits, if there are two."""
    first, last = plan[0], plan[-1]
    if len(plan) == 1 and kind == "detector":
        return experiments.train(last, progress)
    longest = first.sweep.longest if first.sweep else first.model.sequence_length
    crops = experiments.read_crops(first, longest, part(progress, 0, 0.1))
    fitted = experiments.backbone(first, crops, part(progress, 0.1, 0.6))
    if kind == "backbone":
        return fitted.run_id
    if last.data.corpora != first.data.corpora:
        (corpus,) = last.data.corpora  # a sweep gives each corpus heads of its own
        crops = crops.where(corpus=corpus)
    features = experiments.features_of(crops, fitted, part(progress, 0.6, 0.8))
    return experiments.head(last, fitted, features, progress=part(progress, 0.8, 1))


def _surroundings(run_id: str) -> dict[str, str]:
    """Commit, versions and machine of a run, by name."""
    tags = tracking.tags(run_id)
    told = {name: tags[name] for name in sorted(tags) if name in CODE or name.startswith("dfd.version.")}
    return told | tracking.environment(run_id)["machine"]


def _check_data(run_id: str, experiment: Experiment) -> None:
    """Compare the clips that are there with those the run read: what they are, and the bytes of each."""
    there = experiments.chosen_clips(experiment.data)
    tables = [_by_clip(table) for table in (tracking.clips(run_id), tracking.clip_table(there))]
    for clip in sorted(tables[0].keys() | tables[1].keys()):
        read, now = (table.get(clip, {}) for table in tables)
        differing = [name for name in sorted(read.keys() | now.keys()) if read.get(name, "") != now.get(name, "")]
        if differing:
            what = "is gone" if not now else "is new" if not read else f"differs in {', '.join(differing)}"
            raise ManifestError(
                f"the data is not what run {run_id} read: clip '{clip[1]}' of '{clip[0]}' {what}; put the corpus back "
                "as it was and preprocess it, or train anew with `dfd train`"
            )


def _by_clip(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """What a table of clips says of each, wherever it lies."""
    told = table.drop(columns="path").astype(object)
    rows = told.where(told.notna(), "").to_dict("records")
    return {(row["corpus"], row["clip_id"]): row for row in rows}


def _differences(first: Path, second: Path) -> list[float]:
    """The largest absolute difference of each tensor; infinite for one that is in one file alone, or is no number."""
    ours, theirs = load_file(first), load_file(second)
    return [_difference(ours.get(name), theirs.get(name)) for name in sorted(ours.keys() | theirs.keys())]


def _difference(first: Tensor | None, second: Tensor | None) -> float:
    if first is None or second is None or first.shape != second.shape:
        return math.inf
    if torch.equal(first, second):
        return 0.0
    largest = (first.double() - second.double()).abs().max().item()
    return math.inf if math.isnan(largest) else largest
