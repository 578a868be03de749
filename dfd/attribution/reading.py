"""A face clip as a checkpoint reads it, held while it is explained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from dfd.attribution.baselines import BASELINE, BASELINES, Baseline
from dfd.attribution.view import StopAsked, View, turn
from dfd.checkpoints import Checkpoint
from dfd.device import best_device
from dfd.errors import CheckpointError
from dfd.faces import FaceClip
from dfd.memory import held
from dfd.models import frame_permutation, to_input
from dfd.progress import Progress, silent
from dfd.recipe import CropRecipe

Precision = Literal["fast", "float32"]
"""Of what a detector makes of pixels: bfloat16 where the hardware multiplies it fast, as it is served, or float32."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class Judged:
    """A clip's features and the score that the head gives them."""

    features: Tensor  # (T, F)
    score: Tensor  # ()


@dataclass(frozen=True)
class Reading:
    """A clip of T frames in the order in which the detector reads them; what it costs to know is worked out once."""

    view: View
    inputs: Tensor  # (T, 3, H, W)
    against: Baseline
    recipe: CropRecipe
    order: Tensor  # (T,) the place in time of each frame read

    @property
    def back(self) -> Tensor:
        """(T,) the place in the order read of each frame in time."""
        return self.order.argsort()

    @cached_property
    def baseline(self) -> Tensor:
        """(T, 3, H, W)"""
        return self.against.make(self.inputs, self.recipe)

    @property
    def baseline_name(self) -> str:
        """What the baseline is called."""
        return self.against.label

    @cached_property
    def features(self) -> Tensor:
        """(T, F) of the clip."""
        return self.view.features(self.inputs)

    @property
    def judged(self) -> Judged:
        """The clip, judged."""
        return Judged(self.features, self.view.score_in_parts(self.features[None])[0])

    @cached_property
    def baseline_features(self) -> Tensor:
        """(T, F) of the baseline."""
        return self.view.features(self.baseline)


@contextmanager
def read(
    checkpoint: Checkpoint,
    face_clip: FaceClip,
    *,
    baseline: str = BASELINE,
    precision: Precision = "fast",
    progress: Progress = silent,
    should_stop: StopAsked | None = None,
    device: torch.device | None = None,
) -> Iterator[Reading]:
    """Read a clip, with gradients on whatever the caller has set; threads that share the checkpoint take turns.

    Raises:
        CheckpointError: the crops were cut by another recipe than the checkpoint's.
        Stopped: `should_stop` returned true meanwhile.
        ValueError: unknown baseline or precision.
    """
    meta = checkpoint.meta
    if baseline not in BASELINES:
        raise ValueError(f"unknown baseline '{baseline}'; choose one of {', '.join(BASELINES)}")
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision '{precision}'; choose one of {', '.join(PRECISIONS)}")
    if face_clip.recipe.key() != meta.recipe.key():
        raise CheckpointError(
            f"the face crops of {face_clip.source} were cut by another recipe than checkpoint '{meta.name}' was "
            "trained on; cut them again with the checkpoint's own recipe"
        )
    stop = should_stop or (lambda: False)
    order = frame_permutation(len(face_clip.crops), meta.frame_order, meta.seed)
    here = device or best_device()
    with turn(checkpoint.model, progress, stop), held(here.type), torch.inference_mode(False), torch.enable_grad():
        view = View(checkpoint.model, here, stop, float32=precision == "float32")
        inputs = to_input(face_clip.crops[order.numpy()], meta.recipe).to(view.device)
        yield Reading(view, inputs, BASELINES[baseline], meta.recipe, order)
