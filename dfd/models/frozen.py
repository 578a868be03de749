"""A detector read and differentiated without being touched, and without the work that does not change the result.

Its modules are copies, its weights are shared. Batch norms are multiplied into the convolutions before them. Recurrent
layers are unrolled, so that gradients by their weights, which nobody asks for, are not worked out, and what they make
of each frame before they recur is worked out once a frame.
"""

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.models.inception import BasicConv2d
from torchvision.models.resnet import BasicBlock, Bottleneck

Model = TypeVar("Model", bound=nn.Module)


def private(model: Model, device: torch.device) -> Model:
    """Modules of our own, in eval mode, with the model's weights (copied only if they live on another device)."""
    weights = [*model.parameters(), *model.buffers()]
    here = all(weight.device == device for weight in weights)
    return copy.deepcopy(model, {id(weight): weight for weight in weights} if here else None).to(device).eval()


def split(stages: Mapping[str, nn.Module]) -> tuple[nn.Module, nn.Module]:
    """A folded backbone (our modules) as its first convolution and the rest up to the features."""
    first, *others = stages.values()
    if not (isinstance(first, nn.Sequential) and isinstance(first[0], nn.Conv2d)):
        return nn.Identity(), nn.Sequential(first, *others, nn.Flatten())
    rest = first[1:]
    for module in rest.modules():
        if isinstance(module, nn.ReLU | nn.SiLU):
            module.inplace = False  # its input is now the caller's own
    return first[0], nn.Sequential(*rest, *others, nn.Flatten())


@torch.no_grad()
def fold(module: nn.Module) -> None:
    """Multiply batch norms into the convolutions before them, in place (our modules; new weights, not the model's)."""
    for child in module.children():
        fold(child)
    for before, after in _neighbours(module):
        convolution, norm = getattr(module, before), getattr(module, after)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            if norm.running_mean is None or norm.running_var is None:
                continue  # it takes each batch's own
            convolution.weight, convolution.bias = fuse_conv_bn_weights(
                convolution.weight,
                convolution.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            setattr(module, after, nn.Identity())


def _neighbours(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children of which the second surely reads the first's output and nobody else does."""
    if isinstance(module, nn.Sequential):
        return list(pairwise(name for name, _ in module.named_children()))
    if isinstance(module, BasicBlock | Bottleneck):
        return [(f"conv{i}", f"bn{i}") for i in (1, 2, 3) if hasattr(module, f"conv{i}")]
    if isinstance(module, BasicConv2d):
        return [("conv", "bn")]
    return []


def unrolled(head: nn.Module) -> Callable[[Tensor], Tensor]:
    """Replace the recurrent layer of a head (our modules) by the same arithmetic step by step.

    The layer is the first that reads the features. What it makes of a frame before it recurs is affine, and is taken
    out of it: the head now reads (B, T, P) such frames.

    Returns:
        From features (..., F) to what the head now reads (..., P); of a head that does not recur, the features.
    """
    for name, child in head.named_children():
        if isinstance(child, nn.LSTM | nn.GRU) and child.batch_first and not child.proj_size:
            steps = _Unrolled(child)
            setattr(head, name, steps)
            return steps.enter
    return lambda features: features


class _Direction(NamedTuple):
    """The weights of one layer in one direction, in the library's order."""

    weight_in: Tensor
    weight: Tensor
    bias_in: Tensor | None = None
    bias: Tensor | None = None


class _Unrolled(nn.Module):
    """An `nn.LSTM` or `nn.GRU` that is differentiated by its input alone, from its first layer's gates on.

    The library's CPU kernel also works out the gradients of its 33 million weights, most of its time; its cuDNN kernel
    refuses gradients in eval mode.
    """

    def __init__(self, recurrent: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self._recur = _lstm if isinstance(recurrent, nn.LSTM) else _gru
        ways = 2 if recurrent.bidirectional else 1
        directions = [_Direction(*(weight.detach() for weight in weights)) for weights in recurrent.all_weights]
        self._layers = [directions[first : first + ways] for first in range(0, len(directions), ways)]

    def enter(self, frames: Tensor) -> Tensor:
        """(..., F) -> (..., G): what the first layer makes of each frame alone, one way after the other."""
        return self._gates(self._layers[0], frames)

    def forward(self, gates: Tensor) -> tuple[Tensor, None]:
        """(B, T, G) -> (B, T, H), or (B, T, 2 H) both ways."""
        first, *others = self._layers
        states = self._states(first, gates)
        for layer in others:
            states = self._states(layer, self._gates(layer, states))
        return states, None

    def _gates(self, layer: list[_Direction], states: Tensor) -> Tensor:
        return torch.cat([linear(states, way.weight_in, way.bias_in) for way in layer], dim=-1)

    def _states(self, layer: list[_Direction], gates: Tensor) -> Tensor:
        found = []
        for number, (way, own) in enumerate(zip(layer, gates.chunk(len(layer), dim=2), strict=True)):
            turned = own.flip(1) if number else own  # the second way reads the last frame first
            states = self._recur(turned, way.weight, way.bias)
            found.append(states.flip(1) if number else states)
        return torch.cat(found, dim=2)


def _lstm(gates: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(B, T, 4 H) -> (B, T, H)."""
    outputs: list[Tensor] = []
    cell = gates.new_zeros(len(gates), weight.shape[1])
    for now in (gates if bias is None else gates + bias).unbind(dim=1):
        if outputs:
            now = torch.addmm(now, outputs[-1], weight.t())
        enter, forget, candidate, leave = now.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        outputs.append(leave.sigmoid() * cell.tanh())
    return torch.stack(outputs, dim=1)


def _gru(gates: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(B, T, 3 H) -> (B, T, H)."""
    outputs: list[Tensor] = []
    before = gates.new_zeros(len(gates), weight.shape[1])
    for now in gates.unbind(dim=1):
        reset, keep, candidate = now.chunk(3, dim=1)
        reset_back, keep_back, candidate_back = linear(before, weight, bias).chunk(3, dim=1)
        kept = (keep + keep_back).sigmoid()
        new = (candidate + (reset + reset_back).sigmoid() * candidate_back).tanh()
        before = kept * before + (1 - kept) * new
        outputs.append(before)
    return torch.stack(outputs, dim=1)
