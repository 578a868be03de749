"""One experiment from its file to a registered checkpoint: data, training, threshold, evaluation, record."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from dfd import checkpoints, metrics, provenance, subsets, tracking
from dfd.checkpoints import CheckpointMeta
from dfd.config import Data, Experiment
from dfd.data import Table, crop_table, face_corpus, feature_table
from dfd.errors import ManifestError
from dfd.evaluation import Evaluation, Scores, record, score_clips, summarise
from dfd.manifest import SPLITS, Manifest, Split, merge
from dfd.models import best_device, build
from dfd.models.contract import ClipModel
from dfd.progress import Progress, part, silent
from dfd.training import Epoch, fit_backbone, fit_clips

PROTOCOL = 2  # part of every run's key: raise it when the same experiment would come to other numbers


@dataclass(frozen=True, slots=True)
class Backbone:
    """A backbone that was fitted on frames, and the run that tells of it."""

    run_id: str
    model: ClipModel
    corpora: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """What is trained (`part`, which reads `table`), what is stored (`model`), and what its record says."""

    experiment: Experiment
    kind: str  # "detector", or "backbone", which is not tested or registered
    key: str
    table: Table
    model: ClipModel
    part: nn.Module
    described: dict[str, Any]  # the stored model: name and hyperparameters
    length: int
    backbone_corpora: tuple[str, ...]
    tags: dict[str, object]

    def split(self, split: Split) -> Table:
        """The clips of a split that are long enough.

        Raises:
            ManifestError: they are not of both classes.
        """
        chosen = self.table.where(split, at_least=self.length)
        if set(chosen.labels.tolist()) != {0, 1}:
            raise ManifestError(
                f"corpus '{self.table.manifest.name}' has no {split} clips of both classes with at least "
                f"{self.length} frames; shorten model.sequence_length or add clips"
            )
        return chosen


def train(experiment: Experiment, progress: Progress = silent) -> str:
    """Run one experiment; returns its run id. An identical one that is finished is not run again.

    Raises:
        ManifestError: a corpus is not there, or a split has not both classes.
    """
    crops = read_crops(experiment, experiment.model.sequence_length, part(progress, 0, 0.1))
    if experiment.train.mode == "end_to_end":
        return end_to_end(experiment, crops, part(progress, 0.1, 1))
    fitted = backbone(experiment, crops, part(progress, 0.1, 0.6))
    features = feature_table(crops, fitted.model.backbone, best_device(), progress=part(progress, 0.6, 0.8))
    return head(experiment, fitted, features, progress=part(progress, 0.8, 1))


def read_crops(experiment: Experiment, longest: int, progress: Progress = silent) -> Table:
    """The crops of an experiment's clips as one table."""
    return crop_table(chosen_clips(experiment.data), experiment.crop, longest, progress=progress)


def chosen_clips(data: Data) -> Manifest:
    """The face-only videos that an experiment reads, of all its corpora.

    Raises:
        ManifestError: a corpus is not there, or lacks what is asked of it.
    """
    manifest = merge(face_corpus(name) for name in data.corpora).check()
    if data.compression is not None:
        manifest = subsets.of_compression(manifest, data.compression)
    if data.methods is not None:
        manifest = subsets.of_methods(manifest, data.methods)
    if data.split == "official":
        manifest = subsets.official(manifest)
    if data.videos is not None:  # the same clips for every seed of training, so that seeds differ in nothing else
        manifest = subsets.subset(manifest, data.videos, data.shares, seed=0)
    return manifest


def backbone(experiment: Experiment, crops: Table, progress: Progress = silent) -> Backbone:
    """Fit the backbone on single frames of all training clips; an identical fit that is finished is loaded instead.

    It is stored as what it is: a detector of single frames.
    """
    settings = experiment.model_dump(mode="json", include={"seed", "crop"})
    settings["model"] = experiment.model.model_dump(include={"backbone", "weights", "dropout"})
    settings["train"] = experiment.train.model_dump(mode="json", exclude={"head", "mode"})
    settings |= _balance(experiment)
    key = _key("backbone", settings, crops)
    done = tracking.finished(key)
    if done is not None:
        progress(1, "the backbone is there already")
        return Backbone(done, checkpoints.load(done).model, experiment.data.corpora)
    torch.manual_seed(experiment.seed)
    model = build("resnext_mean", **settings["model"])
    model.backbone.to(memory_format=torch.channels_last)
    described = {"name": "resnext_mean", **settings["model"]}
    job = _Job(experiment, "backbone", key, crops, model, model, described, 1, experiment.data.corpora, {})

    def fit(on_epoch: Callable[[Epoch], None]) -> None:
        fit_backbone(
            model,
            job.split("train"),
            job.split("val"),
            experiment.train.backbone,
            best_device(),
            seed=experiment.seed,
            augmented=experiment.train.augment,
            balance=experiment.data.balance,
            on_epoch=on_epoch,
            progress=progress,
        )

    return Backbone(_record(f"{experiment.name} backbone", job, fit), model, experiment.data.corpora)


def head(
    experiment: Experiment,
    fitted: Backbone,
    features: Table,
    *,
    parent: str | None = None,
    progress: Progress = silent,
) -> str:
    """Train, evaluate, record and register one head on cached features; returns the run id."""
    settings = {**_settings(experiment), "backbone": fitted.run_id}
    key = _key("head", settings, features)
    done = tracking.finished(key)
    if done is not None:
        progress(1, f"{experiment.name} is there already")
        return done
    torch.manual_seed(experiment.seed)
    # The fitted trunk takes the place of the new one, shared by all heads.
    model = build(experiment.model.name, **{**experiment.model.hyperparameters(), "weights": "none"})
    model.backbone, model.weights = fitted.model.backbone, fitted.model.weights
    tags: dict[str, object] = {"dfd.backbone_run": fitted.run_id}
    job = _detector_job(experiment, key, features, model, model.head, fitted.corpora, tags)
    return _record(experiment.name, job, _clip_fit(job, augmented=False, progress=progress), parent=parent)


def end_to_end(experiment: Experiment, crops: Table, progress: Progress = silent) -> str:
    """Train backbone and head together on sequences of crops; returns the run id."""
    key = _key("end_to_end", _settings(experiment), crops)
    done = tracking.finished(key)
    if done is not None:
        progress(1, f"{experiment.name} is there already")
        return done
    torch.manual_seed(experiment.seed)
    model = build(experiment.model.name, **experiment.model.hyperparameters())
    model.backbone.to(memory_format=torch.channels_last)
    job = _detector_job(experiment, key, crops, model, model, experiment.data.corpora, {})
    return _record(experiment.name, job, _clip_fit(job, augmented=experiment.train.augment, progress=progress))


def _detector_job(
    experiment: Experiment,
    key: str,
    table: Table,
    model: ClipModel,
    trained: nn.Module,
    backbone_corpora: tuple[str, ...],
    tags: dict[str, object],
) -> _Job:
    described = {"name": experiment.model.name, **experiment.model.hyperparameters()}
    length = experiment.model.sequence_length
    return _Job(experiment, "detector", key, table, model, trained, described, length, backbone_corpora, tags)


def _clip_fit(job: _Job, *, augmented: bool, progress: Progress) -> Callable[[Callable[[Epoch], None]], None]:
    def fit(on_epoch: Callable[[Epoch], None]) -> None:
        fit_clips(
            job.part,
            job.split("train"),
            job.split("val"),
            job.experiment.train.head,
            best_device(),
            length=job.length,
            order=job.experiment.data.frame_order,
            seed=job.experiment.seed,
            augmented=augmented,
            balance=job.experiment.data.balance,
            on_epoch=on_epoch,
            progress=progress,
        )

    return fit


def _record(name: str, job: _Job, fit: Callable[[Callable[[Epoch], None]], None], *, parent: str | None = None) -> str:
    """Train within a run; then threshold, evaluation, checkpoint and, for a detector, registration."""
    facts: dict[str, object] = {
        "dfd.kind": job.kind,
        "dfd.key": job.key,
        "dfd.corpus": job.table.manifest.name,
        "dfd.backbone_corpora": "+".join(job.backbone_corpora),
        "dfd.weights": job.model.weights,
        "dfd.device": str(best_device()),
        **job.tags,
    }
    with tracking.start_run(name, parent=parent, tags=facts) as run:
        run.params(job.experiment.flat())
        run.text(yaml.safe_dump(job.experiment.model_dump(mode="json"), sort_keys=False), "experiment.yaml")
        for split in SPLITS:
            run.input(job.table.manifest.split(split), split)
        fit(lambda epoch: run.metrics(epoch.metrics(), epoch.number))
        checkpoints.round_weights(job.part, job.experiment.train.store_as)
        _finish(run, job)
    if job.kind == "detector":
        tracking.promote(run.run_id, run.register(), job.table.manifest.name)
    return run.run_id


def _finish(run: tracking.Run, job: _Job) -> None:
    """Choose threshold and temperature on validation, evaluate, and store predictions, curves and checkpoint."""
    settings = job.experiment
    device = best_device()
    order = settings.data.frame_order if job.kind == "detector" else "natural"
    splits: tuple[Split, ...] = ("val", "test") if job.kind == "detector" else ("val",)
    tables = {split: job.split(split) for split in splits}
    scores: dict[Split, Scores] = {
        split: score_clips(job.model, table, device, length=job.length, order=order, seed=settings.seed)
        for split, table in tables.items()
    }
    threshold, fpr = metrics.choose_threshold(tables["val"].labels.numpy(), scores["val"].clips)
    temperature = metrics.fit_temperature(tables["val"].labels.numpy(), scores["val"].clips)
    found = _evaluations(job, tables, scores, threshold, temperature)
    figures = record(run, found)
    run.metrics({"val/threshold_fpr": fpr, "val/temperature": temperature})
    code = provenance.commit()
    meta = CheckpointMeta(
        name=settings.name,
        model=job.described,
        recipe=settings.crop,
        sequence_length=job.length,
        frame_order=order,
        seed=settings.seed,
        threshold=threshold,
        threshold_fpr=fpr,
        temperature=temperature,
        store_as=settings.train.store_as,
        weights=job.model.weights,
        corpus=job.table.manifest.name,
        backbone_corpora=job.backbone_corpora,
        data_digest=job.table.manifest.digest(),
        experiment=settings.model_dump(mode="json"),
        git_commit=code.hash,
        dirty=code.dirty,
        run_id=run.run_id,
        metrics=figures,
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoints.save(job.model, meta, Path(folder) / tracking.CHECKPOINT)
        run.folder(Path(folder) / tracking.CHECKPOINT, tracking.CHECKPOINT)
    run.tags({"dfd.threshold": threshold})  # last: it marks a run whose checkpoint is whole


def _evaluations(
    job: _Job, tables: Mapping[Split, Table], scores: Mapping[Split, Scores], threshold: float, temperature: float
) -> dict[Split, Evaluation]:
    return {
        split: summarise(
            job.table.manifest.split(split),
            table.manifest,
            scores[split].clips,
            threshold,
            frames=scores[split].frames,
            temperature=temperature,
        )
        for split, table in tables.items()
    }


def _settings(experiment: Experiment) -> dict[str, Any]:
    settings = experiment.model_dump(mode="json", exclude={"name", "sweep", "published"})
    # Which clips were chosen, and how, the digest of the data says: the same clips are the same work.
    settings["data"] = experiment.data.model_dump(mode="json", include={"corpora", "frame_order"})
    return settings | _balance(experiment)


def _balance(experiment: Experiment) -> dict[str, str]:
    """Nothing where it is the default, so that runs from before there was a choice keep their key."""
    return {} if experiment.data.balance == "weights" else {"balance": experiment.data.balance}


def _key(kind: str, settings: Mapping[str, object], table: Table) -> str:
    """Digest of what a run is asked to do: the same key means the same work."""
    asked = {"kind": kind, "protocol": PROTOCOL, "settings": dict(settings), "data": table.manifest.digest()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]
