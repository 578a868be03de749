"""The training loop: one for backbones, heads and whole detectors. Nothing here knows of MLflow or of test clips.

Protocol: Adam, plateau schedule on validation loss (factor 0.1, patience 2, as published) or one-cycle, bfloat16 where
the hardware has it, and the state with the lowest validation loss is kept. The same seed gives the same numbers, on a
CPU bit for bit, also if the process was killed on the way and another went on from what a keeper had kept.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dfd import distributed
from dfd.config import Balance, Stage
from dfd.distributed import Part
from dfd.errors import CheckpointError, ExperimentError
from dfd.memory import held
from dfd.metrics import clip_metrics
from dfd.objective import Objective, class_weights
from dfd.optimisation import Optimisation, freeze
from dfd.progress import Progress, silent
from dfd.resume import Keeper, State, numpy_random, random_tensors, restore_numpy_random, restore_random

Batches = Callable[[int], Iterator[tuple[Tensor, Tensor]]]
"""From the epoch (counted from 1) to its steps: the inputs of the clips that this process takes (`distributed.mine`),
which are all of them where there is one process, and (B,) labels of all clips of the step."""

Scores = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Labels (N,) and p_fake (N,)."""


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


OnEpoch = Callable[[Epoch], None]
"""Told every epoch, by the first process alone; it may raise to end the fit."""


class Diverged(ExperimentError):
    """A fit whose loss is no longer a number: it is of no use to go on with it."""


def unheard(epoch: Epoch) -> None:
    """Tell nobody."""


def fit(
    model: nn.Module,
    batches: Batches,
    validate: Callable[[], Scores],
    stage: Stage,
    train_labels: Tensor,
    device: torch.device,
    *,
    balance: Balance = "weights",
    generator: torch.Generator | None = None,
    keeper: Keeper | None = None,
    on_epoch: OnEpoch = unheard,
    progress: Progress = silent,
) -> list[Epoch]:
    """Train `model` in place and leave it in eval mode with the weights of its best epoch.

    Args:
        model: from a batch's inputs to (B, 2) logits.
        batches: see `Batches`; its batches come on the CPU.
        validate: scores the model, in eval mode, on the validation clips.
        train_labels: (N,) of the training clips: how many steps an epoch has, and what each class weighs in the loss.
        balance: "weights" lets the rarer class weigh more; with a sampler it is the batches that are balanced.
        generator: what `batches` draws from; on resuming, it too goes on where it was.
        keeper: of the state from which an interrupted fit goes on.
        on_epoch: see `OnEpoch`; epochs from before a fit was resumed are not told again.

    Returns:
        Every epoch, those from before it was resumed too.

    Raises:
        Diverged: the loss is no longer a number.
        ExperimentError: the stage asks for what the model has not, or more processes train than a batch has clips.
        CheckpointError: the state that was kept is not of this fit.
    """
    with held(device.type):
        training = _Fit(model, stage, train_labels, device, balance, generator)
        if keeper is not None:
            training.resume(keeper)
        while not training.over():
            training.epoch(batches, validate, on_epoch, progress)
            if keeper is not None:
                training.keep(keeper)
        return training.finish()


class _Fit:
    """A model while it is trained: what moves its weights, and how far that has come."""

    def __init__(
        self,
        model: nn.Module,
        stage: Stage,
        labels: Tensor,
        device: torch.device,
        balance: Balance,
        generator: torch.Generator | None,
    ) -> None:
        if stage.batch < distributed.size():
            raise ExperimentError(
                f"a batch of {stage.batch} cannot be shared by {distributed.size()} processes; start fewer, or raise "
                "'batch'"
            )
        self._model, self._stage, self._device, self._generator = model.to(device), stage, device, generator
        self._frozen = freeze(model, stage)
        self._steps = stage.steps or math.ceil(len(labels) / (stage.batch * stage.accumulate))
        self._optimisation = Optimisation(model, stage, self._steps)
        self._weights = class_weights(labels) if balance == "weights" else torch.ones(2)
        objective = Objective(model, self._weights.to(device), stage.label_smoothing)
        self._objective = distributed.wrapped(objective, device)
        self._epochs: list[Epoch] = []
        self._best = copy.deepcopy(model.state_dict()) if distributed.is_first() else {}
        distributed.diverge()

    def over(self) -> bool:
        """Whether all epochs are done, or the validation loss has not fallen for too many."""
        done = len(self._epochs)
        waited, patience = done - best_of(self._epochs), self._stage.stop_after
        return done >= self._stage.epochs or (patience is not None and waited >= patience)

    def epoch(self, batches: Batches, validate: Callable[[], Scores], on_epoch: OnEpoch, progress: Progress) -> None:
        """Train an epoch, validate, and remember the weights if they are the best yet."""
        started, number, rate = time.perf_counter(), len(self._epochs) + 1, self._optimisation.rate
        losses = self._train(number, batches, progress)

        def validated() -> Epoch:
            labels, scores = validate()
            if not np.isfinite(scores).all():  # it diverged in the epoch's last step
                raise Diverged("the validation scores are no numbers; lower the learning rate or set clip_gradient")
            epoch = _summarise(number, rate, losses, labels, scores, time.perf_counter() - started)
            on_epoch(epoch)
            return epoch

        epoch = distributed.by_first(validated)
        self._optimisation.end_epoch(epoch.val_loss)
        self._epochs.append(epoch)
        if best_of(self._epochs) == number:
            self._remember(self._model.state_dict())

    def finish(self) -> list[Epoch]:
        """Leave the model with the weights of its best epoch, in every process."""
        if distributed.is_first():
            self._model.load_state_dict(self._best)
        distributed.level(self._model)
        self._model.eval()
        return self._epochs

    def keep(self, keeper: Keeper) -> None:
        """Have the state kept, if it is time to; the best weights are left out where they are the present ones."""
        if not distributed.by_first(keeper.due):
            return
        moments, facts = self._optimisation.state()
        parts = {"model": self._model.state_dict(), "optimiser": moments}
        parts["random"] = random_tensors(self._device, self._generator)
        if best_of(self._epochs) != len(self._epochs):
            parts["best"] = self._best
        epochs = [asdict(epoch) for epoch in self._epochs]
        if distributed.is_first():
            keeper.save(State.of(parts, {"epochs": epochs, "optimisation": facts, "numpy": numpy_random()}))

    def resume(self, keeper: Keeper) -> None:
        """Go on from the state that was kept, if there is one."""
        state = keeper.load()
        reached = len(state.facts["epochs"]) if state is not None else 0
        if distributed.by_first(lambda: reached) != reached:
            raise ExperimentError(
                f"process {distributed.rank()} does not find in {keeper.path} what the first process does; put dfd's "
                "home (DFD_HOME) where all machines see it"
            )
        if state is None:
            return
        try:
            self._restore(state)
        except (KeyError, ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or [""])[-1].strip()
            raise CheckpointError(f"{keeper.path} is not of this run ({reason}); delete it to train anew") from None

    def _restore(self, state: State) -> None:
        weights = state.part("model")
        self._model.load_state_dict(weights)
        self._optimisation.restore(state.part("optimiser"), state.facts["optimisation"])
        self._epochs = [Epoch(**facts) for facts in state.facts["epochs"]]
        self._remember(state.part("best") or weights)
        restore_random(state.part("random"), self._device, self._generator)
        restore_numpy_random(state.facts["numpy"])

    def _remember(self, weights: dict[str, Tensor]) -> None:
        for name, kept in self._best.items():
            kept.copy_(weights[name])

    def _train(self, number: int, batches: Batches, progress: Progress) -> list[float]:
        """The loss of every step of an epoch."""
        self._objective.train()
        for module in self._frozen:
            module.eval()
        losses: list[float] = []
        for step, (inputs, labels) in enumerate(batches(number), start=1):
            losses.append(self._step(inputs, labels, number))
            done = (number - 1 + step / self._steps) / self._stage.epochs
            loss = losses[-1] * distributed.size()  # of this process's part
            progress(min(done, 1.0), f"epoch {number} of {self._stage.epochs}, loss {loss:.3f}")
        self._objective.eval()
        return distributed.summed(losses)

    def _step(self, inputs: Tensor, labels: Tensor, number: int) -> float:
        """Move the weights once; returns this process's part of the step's mean loss."""
        self._optimisation.clear()
        parts = distributed.parts(len(labels), self._stage.batch)
        value = 0.0
        for part, clips in zip(parts, inputs.split([len(part.places) for part in parts]), strict=True):
            with nullcontext() if part is parts[-1] else distributed.accumulating(self._objective):
                value += self._backward(part, clips, labels, number)
        if not math.isfinite(value):
            raise Diverged(f"the training loss became {value}; lower the learning rate or set clip_gradient")
        self._optimisation.step()
        return value

    def _backward(self, part: Part, clips: Tensor, labels: Tensor, number: int) -> float:
        """Add a micro-batch's part to the gradient of the step's mean loss; returns its part of that loss."""
        own = labels[part.places]
        weight = float(self._weights[own].mean() / self._weights[labels].mean())
        loss = self._objective(clips.to(self._device), own.to(self._device), weight, number)
        (loss * (part.share * distributed.size())).backward()  # gradients are averaged over processes
        return float(part.share * loss.item())


def best_of(epochs: list[Epoch]) -> int:
    """The number of the first epoch with the lowest validation loss; 0 if none has one that is a number."""
    number, lowest = 0, math.inf
    for epoch in epochs:
        if epoch.val_loss < lowest:
            number, lowest = epoch.number, epoch.val_loss
    return number


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
