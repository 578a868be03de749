"""One experiment from its file to a registered checkpoint: data, training, threshold, evaluation, record."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dfd import checkpoints, distributed, subsets, tracking
from dfd.config import Data, Experiment
from dfd.data import Table, crop_table, face_corpus, feature_table
from dfd.device import best_device
from dfd.manifest import Manifest, merge
from dfd.models import build
from dfd.models.contract import ClipModel
from dfd.progress import Progress, part, silent
from dfd.pseudo_fakes.partners import with_partners
from dfd.work import Watch, Work, once, unwatched

PROTOCOL = 2  # part of every run's key: raise it when the same experiment would come to other numbers


@dataclass(frozen=True, slots=True)
class Backbone:
    """A backbone that was fitted on frames, and the run that tells of it."""

    run_id: str
    model: ClipModel
    corpora: tuple[str, ...]


def train(
    experiment: Experiment, progress: Progress = silent, *, parent: str | None = None, watch: Watch = unwatched
) -> str:
    """Run one experiment; returns its run id. An identical one that is finished is not run again.

    Args:
        parent: the run that the detector's is a part of.

    Raises:
        ManifestError: a corpus is not there, or a split has not both classes.
    """
    crops = read_crops(experiment, experiment.model.sequence_length, part(progress, 0, 0.1))
    if experiment.train.mode == "end_to_end":
        return end_to_end(experiment, crops, part(progress, 0.1, 1), parent=parent, watch=watch)
    fitted = backbone(experiment, crops, part(progress, 0.1, 0.6))
    features = features_of(crops, fitted, part(progress, 0.6, 0.8))
    return head(experiment, fitted, features, parent=parent, progress=part(progress, 0.8, 1), watch=watch)


def read_crops(experiment: Experiment, longest: int, progress: Progress = silent) -> Table:
    """The crops of an experiment's clips as one table."""

    def read() -> Table:
        clips = chosen_clips(experiment.data, part(progress, 0, 0.5))
        return crop_table(clips, experiment.crop, longest, progress=part(progress, 0.5, 1))

    return distributed.in_turn(read)


def features_of(crops: Table, fitted: Backbone, progress: Progress = silent) -> Table:
    """The features of every frame of some crops, by a fitted backbone."""
    return distributed.in_turn(lambda: feature_table(crops, fitted.model.backbone, best_device(), progress=progress))


def chosen_clips(data: Data, progress: Progress = silent) -> Manifest:
    """The face-only videos that an experiment reads, of all its corpora; pseudo-fakes are made where it asks for them.

    Raises:
        ManifestError: a corpus is not there, or lacks what is asked of it, or all of them lack real clips or fakes.
    """
    manifest = merge(face_corpus(name) for name in data.corpora).check()
    if data.pseudo_fakes is None:
        manifest.of_both_classes()
    if data.compression is not None:
        manifest = subsets.of_compression(manifest, data.compression)
    if data.methods is not None:
        manifest = subsets.of_methods(manifest, data.methods)
    if data.split == "official":
        manifest = subsets.official(manifest)
    if data.pseudo_fakes is not None:
        manifest = with_partners(manifest, data.pseudo_fakes, progress=progress)
    if data.videos is not None:  # the same clips for every seed of training, so that seeds differ in nothing else
        manifest = subsets.subset(manifest, data.videos, data.shares, seed=0)
    return manifest


def backbone_settings(experiment: Experiment) -> dict[str, Any]:
    """What a backbone's fit depends on, besides its clips: experiments that agree in it share one."""
    settings = experiment.model_dump(mode="json", include={"seed", "crop"})
    settings["model"] = experiment.model.model_dump(include={"backbone", "weights", "dropout"})
    settings["train"] = experiment.train.model_dump(mode="json", exclude={"head", "mode"})
    return settings | _balance(experiment)


def backbone(experiment: Experiment, crops: Table, progress: Progress = silent) -> Backbone:
    """Fit the backbone on single frames of all training clips; an identical fit that is finished is loaded instead.

    It is stored as what it is: a detector of single frames.
    """
    settings, corpora = backbone_settings(experiment), experiment.data.recorded_as
    name, key = f"{experiment.name} backbone", _key("backbone", settings, crops)

    def make() -> Work:
        torch.manual_seed(experiment.seed)
        model = build("resnext_mean", **settings["model"])
        model.backbone.to(memory_format=torch.channels_last)
        described = {"name": "resnext_mean", **settings["model"]}
        return Work(name, experiment, "backbone", key, crops, model, model, described, 1, corpora, {})

    run_id, made = once(name, key, make, progress=progress)
    return Backbone(run_id, checkpoints.load(run_id).model if made is None else made.model, corpora)


def head(
    experiment: Experiment,
    fitted: Backbone,
    features: Table,
    *,
    parent: str | None = None,
    progress: Progress = silent,
    watch: Watch = unwatched,
) -> str:
    """Train, evaluate, record and register one head on cached features; returns the run id."""
    key = _key("head", {**_settings(experiment), "backbone": fitted.run_id}, features)

    def make() -> Work:
        torch.manual_seed(experiment.seed)
        # The fitted trunk takes the place of the new one, shared by all heads.
        model = build(experiment.model.name, **{**experiment.model.hyperparameters(), "weights": "none"})
        model.backbone, model.weights = fitted.model.backbone, fitted.model.weights
        tags = {"dfd.backbone_run": fitted.run_id, tracking.SETUP: _setup(experiment, features)}
        return _detector(experiment, key, features, model, model.head, fitted.corpora, tags)

    return once(experiment.name, key, make, parent=parent, progress=progress, watch=watch)[0]


def end_to_end(
    experiment: Experiment,
    crops: Table,
    progress: Progress = silent,
    *,
    parent: str | None = None,
    watch: Watch = unwatched,
) -> str:
    """Train backbone and head together on sequences of crops; returns the run id."""
    key = _key("end_to_end", _settings(experiment), crops)

    def make() -> Work:
        torch.manual_seed(experiment.seed)
        model = build(experiment.model.name, **experiment.model.hyperparameters())
        model.backbone.to(memory_format=torch.channels_last)
        tags = {tracking.SETUP: _setup(experiment, crops)}
        return _detector(experiment, key, crops, model, model, experiment.data.recorded_as, tags)

    return once(experiment.name, key, make, parent=parent, progress=progress, watch=watch)[0]


def _detector(
    experiment: Experiment,
    key: str,
    table: Table,
    model: ClipModel,
    trained: nn.Module,
    backbone_corpora: tuple[str, ...],
    tags: Mapping[str, object],
) -> Work:
    described = {"name": experiment.model.name, **experiment.model.hyperparameters()}
    length = experiment.model.sequence_length
    how = (table, model, trained, described, length, backbone_corpora, tags)
    return Work(experiment.name, experiment, "detector", key, *how)


def _settings(experiment: Experiment) -> dict[str, Any]:
    settings = experiment.model_dump(mode="json", exclude={"name", "sweep", "search", "published"})
    # Which clips were chosen, and how, the digest of the data says: the same clips are the same work.
    settings["data"] = experiment.data.model_dump(mode="json", include={"corpora", "frame_order"})
    return settings | _balance(experiment)


def _setup(experiment: Experiment, table: Table) -> str:
    """Digest of what the points of one line in a chart have in common: all but seed and sequence length."""
    settings = _settings(experiment)
    settings.pop("seed")
    settings["model"].pop("sequence_length")
    return _key("setup", settings, table)[:8]


def _balance(experiment: Experiment) -> dict[str, str]:
    """Nothing where it is the default, so that runs from before there was a choice keep their key."""
    return {} if experiment.data.balance == "weights" else {"balance": experiment.data.balance}


def _key(kind: str, settings: Mapping[str, object], table: Table) -> str:
    """Digest of what a run is asked to do: the same key means the same work."""
    asked = {"kind": kind, "protocol": PROTOCOL, "settings": dict(settings), "data": table.manifest.content()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]
