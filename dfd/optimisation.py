"""How a stage moves the weights: which of them, in what groups, by which optimiser, at what rates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from dfd.config import Stage
from dfd.errors import ExperimentError
from dfd.models.contract import ClipModel

RISE = 0.3  # of all steps, in a one_cycle schedule that does not say how long it warms up


def freeze(model: nn.Module, stage: Stage) -> list[nn.Module]:
    """Take what a stage leaves as it is out of training; returns these modules, which are to stay in eval mode.

    Raises:
        ExperimentError: the model that is trained has no backbone.
    """
    if stage.freeze is None:
        return []
    backbone = _backbone(model, "freeze")
    frozen = [backbone] if stage.freeze == "backbone" else list(backbone.children())[: stage.freeze]
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def parameter_groups(model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
    """The parameters that are trained, by learning rate and weight decay; those at the stage's full rate come first.

    Raises:
        ExperimentError: the backbone has a rate of its own, and the model that is trained has none.
    """
    slow: set[int] = set()
    if stage.backbone_rate != 1:
        slow = {id(parameter) for parameter in _backbone(model, "backbone_rate").parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            bare = stage.decay == "weights" and parameter.ndim < 2  # of a norm, or a bias
            groups.setdefault((id(parameter) in slow, bare), []).append(parameter)
    return [
        {
            "params": groups[of_backbone, bare],
            "lr": stage.learning_rate * (stage.backbone_rate if of_backbone else 1),
            "weight_decay": 0.0 if bare else stage.weight_decay,
        }
        for of_backbone, bare in sorted(groups)
    ]


def _backbone(model: nn.Module, setting: str) -> nn.Module:
    if not isinstance(model, ClipModel):
        raise ExperimentError(f"'{setting}' is about a backbone, and what is trained here has none; leave it out")
    return model.backbone


class Optimisation:
    """Adam or AdamW on a model's parameters, with the stage's schedule, through `steps` steps an epoch.

    A warm-up raises the rate linearly, from step to step, to its full value. In a plateau schedule epochs count once it
    is over; in a one_cycle schedule it is the cycle's own rise, in the cosine shape that this has.
    """

    def __init__(self, model: nn.Module, stage: Stage, steps: int) -> None:
        self._model, self._stage = model, stage
        kind = torch.optim.AdamW if stage.optimiser == "adamw" else torch.optim.Adam
        self._optimiser = kind(parameter_groups(model, stage), lr=stage.learning_rate, fused=True)
        self._warm_steps = round((stage.warmup or 0) * steps)
        self._cycle = self._warmup = self._plateau = None
        if stage.schedule == "one_cycle":
            self._cycle = self._one_cycle(stage.epochs * steps)
        else:
            if self._warm_steps > 1:
                self._warmup = LambdaLR(self._optimiser, lambda taken: min(1.0, (taken + 1) / self._warm_steps))
            self._plateau = ReduceLROnPlateau(self._optimiser, factor=0.1, patience=stage.patience)

    def _one_cycle(self, total: int) -> OneCycleLR:
        rise = RISE if self._stage.warmup is None else self._warm_steps / total if self._warm_steps > 1 else 0.0
        rates = [group["lr"] for group in self._optimiser.param_groups]
        return OneCycleLR(self._optimiser, max_lr=rates, total_steps=total, pct_start=rise)

    @property
    def rate(self) -> float:
        """The learning rate of the next step; the backbone's own may differ."""
        return float(self._optimiser.param_groups[0]["lr"])

    def clear(self) -> None:
        """Forget the gradients of the last step."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the weights along the gradients that are there, clipped once as a whole, and the rate along its way."""
        if self._stage.clip_gradient is not None:
            self._clip(self._stage.clip_gradient)
        self._optimiser.step()
        if self._cycle is not None:
            self._cycle.step()
        elif self._warmup is not None and not self._warm:
            self._warmup.step()

    def _clip(self, longest: float) -> None:
        """As `clip_grad_norm_`, which goes through all gradients once more to multiply them by 1 if they are short."""
        parameters = list(self._model.parameters())
        norm = _length([each.grad for each in parameters if each.grad is not None])
        if not norm < longest - 1e-6:  # what is no number is passed on
            nn.utils.clip_grads_with_norm_(parameters, longest, norm)

    @property
    def _warm(self) -> bool:
        return self._warmup is None or self._warmup.last_epoch >= self._warm_steps

    def end_epoch(self, val_loss: float) -> None:
        """Lower the rate where the validation loss no longer falls, if that is the schedule."""
        if self._plateau is not None and self._warm:
            self._plateau.step(val_loss)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything the next step depends on: moments by name, and the rest in JSON types."""
        whole = self._optimiser.state_dict()
        moments = {f"{at}.{name}": value for at, found in whole["state"].items() for name, value in found.items()}
        schedules = {name: schedule.state_dict() for name, schedule in self._schedules().items()}
        return moments, {"groups": whole["param_groups"], "schedules": schedules}

    def restore(self, moments: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            KeyError, ValueError, RuntimeError: it is of other parameters or another schedule.
        """
        for name, schedule in self._schedules().items():
            schedule.load_state_dict(facts["schedules"][name])
        groups = [{**group, "betas": tuple(group["betas"])} for group in facts["groups"]]
        parameters = [parameter for group in self._optimiser.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in moments.items():
            at, _, field = name.partition(".")
            like = value if value.ndim == 0 else parameters[int(at)]  # the fused kernel wants the parameter's strides
            state.setdefault(int(at), {})[field] = torch.empty_like(like, device="cpu").copy_(value)
        self._optimiser.load_state_dict({"state": state, "param_groups": groups})

    def _schedules(self) -> dict[str, LambdaLR | OneCycleLR | ReduceLROnPlateau]:
        every = {"warmup": self._warmup, "cycle": self._cycle, "plateau": self._plateau}
        return {name: schedule for name, schedule in every.items() if schedule is not None}


def _length(gradients: list[Tensor]) -> Tensor:
    """Norm () of all gradients as one vector.

    On a CPU from products with themselves: PyTorch's own norm takes four times as long, and of the 16.8 million numbers
    of one of an LSTM's weights it is off by 6e-4 in float32, these by 1e-5.
    """
    if not gradients or any(each.device.type != "cpu" for each in gradients):
        return nn.utils.get_total_norm(gradients)
    return torch.stack([each.flatten().dot(each.flatten()) for each in gradients]).sum().sqrt()
