"""What training makes small: the loss of a batch, by the model's own objective where it has one."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfd.models import autocast
from dfd.models.contract import Criterion


@runtime_checkable
class OwnObjective(Protocol):
    """A model that is trained on more than its logits."""

    def training_loss(self, inputs: Tensor, labels: Tensor, criterion: Criterion, epoch: int) -> Tensor:
        """The loss () of a batch, in an epoch counted from 1, built on the stage's criterion."""


class Objective(nn.Module):
    """A model together with its loss, so that a pass of training is one call of a module.

    What wraps a module for several processes sees its calls alone, and a model with its own objective is not called.

    Args:
        model: from a batch's inputs to (B, 2) logits.
        weights: (2,) what each class weighs, on the model's device.
        smoothing: of labels, in [0, 0.5).
    """

    def __init__(self, model: nn.Module, weights: Tensor, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.weights = weights  # no buffer: it is not the model's
        self.smoothing = smoothing

    def forward(self, inputs: Tensor, labels: Tensor, weight: float, epoch: int) -> Tensor:
        """The loss () of a batch.

        The criterion is the mean over clips, each weighing as its class, times `weight`: what a clip of this batch
        weighs on average, against one of the whole step. With it, parts of a step sum up to the step.
        """

        def criterion(logits: Tensor, labels: Tensor) -> Tensor:
            smoothing = self.smoothing
            return weight * functional.cross_entropy(
                logits.float(), labels, weight=self.weights, label_smoothing=smoothing
            )

        with autocast(inputs.device):
            if isinstance(self.model, OwnObjective):
                return self.model.training_loss(inputs, labels, criterion, epoch)
            logits = self.model(inputs)
        return criterion(logits, labels)


def class_weights(labels: Tensor) -> Tensor:
    """Inverse frequency, so that an unbalanced corpus does not teach its prior; (1, 1) where it is balanced."""
    counts = torch.bincount(labels, minlength=2).float()
    return counts.sum() / (2 * counts)
