"""The training loop: one for backbones, heads and whole detectors. Nothing here knows of MLflow or of test clips.

Protocol: Adam, plateau schedule on validation loss (factor 0.1, patience 2, as published) or one-cycle, bfloat16 where
the hardware has it, and the state with the lowest validation loss is kept.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dfd.config import Balance, Stage
from dfd.data import Table, augment, epoch_rows
from dfd.errors import ExperimentError
from dfd.metrics import clip_metrics
from dfd.models import FrameOrder, autocast, frame_permutation, p_fake, to_input
from dfd.models.contract import Criterion
from dfd.progress import Progress, silent

Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
"""From the epoch (counted from 1) to its batches: inputs and (B,) labels."""

Scores = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Labels (N,) and p_fake (N,)."""


@runtime_checkable
class OwnObjective(Protocol):
    """A model that is trained on more than its logits."""

    def training_loss(self, inputs: Tensor, labels: Tensor, criterion: Criterion, epoch: int) -> Tensor:
        """The loss () of a batch, in an epoch counted from 1, built on the stage's criterion."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to."""

    number: int
    learning_rate: float
    train_loss: float
    val_loss: float
    val_auc: float
    val_accuracy: float  # at 0.5; the decision threshold is chosen once training is over
    seconds: float

    def metrics(self) -> dict[str, float]:
        """As logged."""
        return {
            "train/loss": self.train_loss,
            "val/loss": self.val_loss,
            "val/auc_epoch": self.val_auc,
            "val/accuracy_epoch": self.val_accuracy,
            "train/learning_rate": self.learning_rate,
            "train/seconds": self.seconds,
        }


def fit(
    model: nn.Module,
    batches: Batches,
    validate: Callable[[], Scores],
    stage: Stage,
    train_labels: Tensor,
    device: torch.device,
    *,
    balance: Balance = "weights",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = silent,
) -> list[Epoch]:
    """Train `model` in place and leave it in eval mode with the weights of its best epoch.

    Args:
        model: from a batch's inputs to (B, 2) logits.
        batches: see `Batches`; its batches come on the CPU.
        validate: scores the model, in eval mode, on the validation clips.
        train_labels: (N,) of the training clips: how many steps an epoch has, and what each class weighs in the loss.
        balance: "weights" lets the rarer class weigh more; with a sampler it is the batches that are balanced.

    Raises:
        ExperimentError: the loss is no longer a number.
    """
    model.to(device)
    steps = stage.steps or math.ceil(len(train_labels) / stage.batch)
    optimiser = _optimiser(model, stage)
    cycle, plateau = _schedules(optimiser, stage, steps)
    weights = (_class_weights(train_labels) if balance == "weights" else torch.ones(2)).to(device)
    best_loss, best_state, since_best = math.inf, copy.deepcopy(model.state_dict()), 0
    epochs: list[Epoch] = []
    for number in range(1, stage.epochs + 1):
        started = time.perf_counter()
        model.train()
        losses: list[float] = []
        rate = optimiser.param_groups[0]["lr"]
        for step, (inputs, labels) in enumerate(batches(number), start=1):
            losses.append(_step(model, inputs.to(device), labels.to(device), optimiser, stage, weights, number))
            if cycle is not None:
                cycle.step()
            done = (number - 1 + step / steps) / stage.epochs
            progress(min(done, 1.0), f"epoch {number} of {stage.epochs}, loss {losses[-1]:.3f}")
        model.eval()
        epoch = _summarise(number, rate, losses, *validate(), time.perf_counter() - started)
        epochs.append(epoch)
        on_epoch(epoch)
        if plateau is not None:
            plateau.step(epoch.val_loss)
        if epoch.val_loss < best_loss:
            best_loss, best_state, since_best = epoch.val_loss, copy.deepcopy(model.state_dict()), 0
        else:
            since_best += 1
            if stage.stop_after is not None and since_best >= stage.stop_after:
                break
    model.load_state_dict(best_state)
    model.eval()
    return epochs


def fit_backbone(
    model: nn.Module,
    train: Table,
    val: Table,
    stage: Stage,
    device: torch.device,
    *,
    seed: int,
    augmented: bool,
    balance: Balance = "weights",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = silent,
) -> list[Epoch]:
    """Fit a model that reads (B, 1, 3, S, S) on single frames, drawn at random from the training clips.

    Validation is on `frames_a_clip` frames of each validation clip, evenly spread, so its figures are frame-level.
    """
    generator, labels = torch.Generator().manual_seed(seed), train.labels
    frames_a_clip = 4

    def batches(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in epoch_rows(labels, stage.batch, stage.steps, generator, balanced=balance == "sampler"):
            lengths = torch.from_numpy(train.lengths[rows])
            frames = (torch.rand(len(rows), generator=generator) * lengths).long()[:, None].numpy()
            crops = torch.from_numpy(np.stack([train.frames(row, at) for row, at in zip(rows, frames, strict=True)]))
            yield to_input(augment(crops, generator) if augmented else crops, train.recipe), labels[rows]

    def validate() -> Scores:
        scores = []
        for row in range(len(val)):
            spread = np.linspace(0, val.lengths[row] - 1, frames_a_clip).round().astype(int)
            crops = torch.from_numpy(val.frames(row, spread))[:, None]
            scores.append(score(model, to_input(crops, val.recipe), device))
        train.forget()
        return np.repeat(val.labels.numpy(), frames_a_clip), np.concatenate(scores)

    return fit(model, batches, validate, stage, labels, device, balance=balance, on_epoch=on_epoch, progress=progress)


def fit_clips(
    model: nn.Module,
    train: Table,
    val: Table,
    stage: Stage,
    device: torch.device,
    *,
    length: int,
    order: FrameOrder,
    seed: int,
    augmented: bool,
    balance: Balance = "weights",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = silent,
) -> list[Epoch]:
    """Fit on sequences of `length` frames: a head on features, or a whole detector on crops, by what the tables hold.

    With `order="shuffled"` every training clip gets a new order each time it is read.
    """
    generator, labels = torch.Generator().manual_seed(seed), train.labels

    def batches(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in epoch_rows(labels, stage.batch, stage.steps, generator, balanced=balance == "sampler"):
            clips = train.read(rows, length)
            if order == "shuffled":
                clips = torch.stack([clip[torch.randperm(length, generator=generator)] for clip in clips])
            if clips.dtype == torch.uint8:
                clips = to_input(augment(clips, generator) if augmented else clips, train.recipe)
            yield clips, labels[rows]

    def validate() -> Scores:
        return val.labels.numpy(), score_table(model, val, device, length=length, order=order, seed=seed)

    return fit(model, batches, validate, stage, labels, device, balance=balance, on_epoch=on_epoch, progress=progress)


def score_table(
    model: nn.Module, table: Table, device: torch.device, *, length: int, order: FrameOrder, seed: int, batch: int = 16
) -> NDArray[np.float64]:
    """p_fake (N,) of every clip of a table of crops or features, in its order."""
    permutation = frame_permutation(length, order, seed)
    scores = []
    for start in range(0, len(table), batch):
        rows = np.arange(start, min(start + batch, len(table)))
        clips = table.read(rows, length)[:, permutation]
        scores.append(score(model, to_input(clips, table.recipe) if clips.dtype == torch.uint8 else clips, device))
    return np.concatenate(scores) if scores else np.empty(0)


def score(model: nn.Module, inputs: Tensor, device: torch.device) -> NDArray[np.float64]:
    """(B,) p_fake of a batch, without gradients, in the precision that serving uses."""
    with torch.inference_mode(), autocast(device):
        return p_fake(model(inputs.to(device))).double().cpu().numpy()


def _step(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    optimiser: torch.optim.Optimizer,
    stage: Stage,
    weights: Tensor,
    epoch: int,
) -> float:
    def criterion(logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), labels, weight=weights, label_smoothing=stage.label_smoothing)

    loss = _loss(model, inputs, labels, criterion, epoch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if stage.clip_gradient is not None:
        nn.utils.clip_grad_norm_(model.parameters(), stage.clip_gradient)
    value = loss.item()
    if not math.isfinite(value):
        raise ExperimentError(f"the training loss became {value}; lower the learning rate or set clip_gradient")
    optimiser.step()
    return value


def _loss(model: nn.Module, inputs: Tensor, labels: Tensor, criterion: Criterion, epoch: int) -> Tensor:
    with autocast(inputs.device):
        if isinstance(model, OwnObjective):
            return model.training_loss(inputs, labels, criterion, epoch)
        logits = model(inputs)
    return criterion(logits, labels)


def _optimiser(model: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return kind(wanted, lr=stage.learning_rate, weight_decay=stage.weight_decay, fused=True)


def _schedules(
    optimiser: torch.optim.Optimizer, stage: Stage, steps: int
) -> tuple[torch.optim.lr_scheduler.OneCycleLR | None, torch.optim.lr_scheduler.ReduceLROnPlateau | None]:
    if stage.schedule == "one_cycle":
        total = stage.epochs * steps
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=stage.learning_rate, total_steps=total), None
    return None, torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=stage.patience)


def _class_weights(labels: Tensor) -> Tensor:
    """Inverse frequency, so that an unbalanced corpus does not teach its prior; (1, 1) where it is balanced."""
    counts = torch.bincount(labels, minlength=2).float()
    return counts.sum() / (2 * counts)


def _summarise(
    number: int,
    rate: float,
    losses: list[float],
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    seconds: float,
) -> Epoch:
    figures = clip_metrics(labels, scores, threshold=0.5)
    return Epoch(
        number=number,
        learning_rate=rate,
        train_loss=float(np.mean(losses)),
        val_loss=figures["log_loss"],
        val_auc=figures["auc"],
        val_accuracy=figures["accuracy"],
        seconds=seconds,
    )
