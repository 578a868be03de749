"""What is trained on: frames for a backbone, clips for a head or a whole detector; and how clips are scored."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfd import distributed
from dfd.augment import NOTHING, Augment, augment
from dfd.config import Balance, Stage
from dfd.data import Table, epoch_rows
from dfd.loop import Epoch, OnEpoch, Scores, fit, unheard
from dfd.models import FrameOrder, autocast, frame_permutation, p_fake, to_input
from dfd.progress import Progress, silent
from dfd.resume import Keeper

CLIPS_OF_CROPS, CLIPS_OF_FEATURES = 16, 64  # that are scored at once


def fit_backbone(
    model: nn.Module,
    train: Table,
    val: Table,
    stage: Stage,
    device: torch.device,
    *,
    seed: int,
    augmented: Augment | bool,
    balance: Balance = "weights",
    keeper: Keeper | None = None,
    on_epoch: OnEpoch = unheard,
    progress: Progress = silent,
) -> list[Epoch]:
    """Fit a model that reads (B, 1, 3, S, S) on single frames, drawn at random from the training clips.

    Validation is on `frames_a_clip` frames of each validation clip, evenly spread, so its figures are frame-level.
    """
    generator, labels = torch.Generator().manual_seed(seed), train.labels
    frames_a_clip, step = 4, stage.batch * stage.accumulate

    def batches(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in epoch_rows(labels, step, stage.steps, generator, balanced=balance == "sampler"):
            if len(rows) % stage.batch == 1 < stage.batch:  # batch norm of a trunk that ends in 1 x 1 px takes two
                rows = np.append(rows, rows[0])
            lengths = torch.from_numpy(train.lengths[rows])
            frames = (torch.rand(len(rows), generator=generator) * lengths).long()[:, None].numpy()
            mine = distributed.mine(len(rows), stage.batch)
            read = [train.frames(row, at) for row, at in zip(rows[mine], frames[mine], strict=True)]
            crops = _augmented(torch.from_numpy(np.stack(read)), generator, augmented)
            yield to_input(crops, train.recipe), labels[rows]

    def validate() -> Scores:
        scores = []
        for row in range(len(val)):
            spread = np.linspace(0, val.lengths[row] - 1, frames_a_clip).round().astype(int)
            crops = torch.from_numpy(val.frames(row, spread))[:, None]
            scores.append(score(model, to_input(crops, val.recipe), device))
        train.forget()
        return np.repeat(val.labels.numpy(), frames_a_clip), np.concatenate(scores)

    how: dict[str, Any] = {"balance": balance, "generator": generator, "keeper": keeper}
    return fit(model, batches, validate, stage, labels, device, **how, on_epoch=on_epoch, progress=progress)


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
    augmented: Augment | bool,
    balance: Balance = "weights",
    keeper: Keeper | None = None,
    on_epoch: OnEpoch = unheard,
    progress: Progress = silent,
) -> list[Epoch]:
    """Fit on sequences of `length` frames: a head on features, or a whole detector on crops, by what the tables hold.

    With `order="shuffled"` every training clip gets a new order each time it is read.
    """
    generator, labels = torch.Generator().manual_seed(seed), train.labels
    step = stage.batch * stage.accumulate

    def batches(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in epoch_rows(labels, step, stage.steps, generator, balanced=balance == "sampler"):
            mine = distributed.mine(len(rows), stage.batch)
            clips = train.read(rows[mine], length)
            if order == "shuffled":
                orders = [torch.randperm(length, generator=generator) for _ in rows]
                clips = torch.stack([clip[orders[at]] for clip, at in zip(clips, mine, strict=True)])
            if clips.dtype == torch.uint8:
                clips = to_input(_augmented(clips, generator, augmented), train.recipe)
            yield clips, labels[rows]

    def validate() -> Scores:
        return val.labels.numpy(), score_table(model, val, device, length=length, order=order, seed=seed)

    how: dict[str, Any] = {"balance": balance, "generator": generator, "keeper": keeper}
    return fit(model, batches, validate, stage, labels, device, **how, on_epoch=on_epoch, progress=progress)


def _augmented(crops: Tensor, generator: torch.Generator, asked: Augment | bool) -> Tensor:
    """Crops augmented by this process's own draws; where nothing is asked, nothing is drawn."""
    if Augment.of(asked) == NOTHING:
        return crops
    return augment(crops, distributed.own_generator(generator), asked)


def score_table(
    model: nn.Module, table: Table, device: torch.device, *, length: int, order: FrameOrder, seed: int
) -> NDArray[np.float64]:
    """p_fake (N,) of every clip of a table of crops or features, in its order."""
    permutation = frame_permutation(length, order, seed)
    batch = CLIPS_OF_CROPS if table.values.dtype == np.uint8 else CLIPS_OF_FEATURES
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
