"""A detector read and differentiated without being touched, and without the work that does not change the result.

Its modules are copies, its weights are shared. Batch norms are multiplied into the convolutions before them, and
recurrent layers are unrolled so that gradients by their weights, which nobody asks for, are not worked out.
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d
from torchvision.models.resnet import BasicBlock, Bottleneck

Model = TypeVar("Model", bound=nn.Module)


def private(model: Model, device: torch.device) -> Model:
    """Modules of our own, in eval mode, with the model's weights (copied only if they live on another device)."""
    weights = [*model.parameters(), *model.buffers()]
    here = all(weight.device == device for weight in weights)
    return copy.deepcopy(model, {id(weight): weight for weight in weights} if here else None).to(device).eval()


def split(stages: Mapping[str, nn.Module]) -> tuple[nn.Module, nn.Module]:
    """The backbone as its first convolution and the rest, batch norms folded in: same function, fewer passes."""
    first, *others = (_folded(stage) for stage in stages.values())
    if not (isinstance(first, nn.Sequential) and isinstance(first[0], nn.Conv2d)):
        return nn.Identity(), nn.Sequential(first, *others, nn.Flatten())
    rest = first[1:]
    for module in rest.modules():
        if isinstance(module, nn.ReLU | nn.SiLU):
            module.inplace = False  # its input is now the caller's own
    return first[0], nn.Sequential(*rest, *others, nn.Flatten())


def _folded(module: nn.Module) -> nn.Module:
    """Multiply batch norms into the convolutions before them, in place (our modules; new weights, not the model's)."""
    for child in module.children():
        _folded(child)
    for before, after in _neighbours(module):
        convolution, norm = getattr(module, before), getattr(module, after)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, before, fuse_conv_bn_eval(convolution, norm))
            setattr(module, after, nn.Identity())
    return module


def _neighbours(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children of which the second surely reads the first's output and nobody else does."""
    if isinstance(module, nn.Sequential):
        return list(pairwise(name for name, _ in module.named_children()))
    if isinstance(module, BasicBlock | Bottleneck):
        return [(f"conv{i}", f"bn{i}") for i in (1, 2, 3) if hasattr(module, f"conv{i}")]
    if isinstance(module, BasicConv2d):
        return [("conv", "bn")]
    return []


def unrolled(head: nn.Module) -> nn.Module:
    """Replace the head's recurrent layers, in place (our modules), by the same arithmetic step by step."""
    for name, child in head.named_children():
        if isinstance(child, nn.LSTM | nn.GRU) and child.batch_first and not child.proj_size:
            setattr(head, name, _Unrolled(child))
    return head


class _Unrolled(nn.Module):
    """An `nn.LSTM` or `nn.GRU` that is differentiated by its input alone.

    The library's CPU kernel also works out the gradients of its 33 million weights, most of its time; its cuDNN kernel
    refuses gradients in eval mode.
    """

    def __init__(self, recurrent: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self._run = _lstm if isinstance(recurrent, nn.LSTM) else _gru
        self._both_ways = recurrent.bidirectional
        self._directions = [[weight.detach() for weight in direction] for direction in recurrent.all_weights]

    def forward(self, states: Tensor) -> tuple[Tensor, None]:
        """(B, T, F) -> (B, T, H), or (B, T, 2 H) both ways."""
        ways = 2 if self._both_ways else 1
        for layer in range(0, len(self._directions), ways):
            found = [self._run(states, *self._directions[layer])]
            if self._both_ways:
                found.append(self._run(states.flip(1), *self._directions[layer + 1]).flip(1))
            states = torch.cat(found, dim=2) if self._both_ways else found[0]
        return states, None


def _lstm(states: Tensor, weight_in: Tensor, weight: Tensor, *biases: Tensor) -> Tensor:
    gates = linear(states, weight_in, torch.stack(biases).sum(0) if biases else None)
    outputs: list[Tensor] = []
    cell = gates.new_zeros(len(gates), weight.shape[1])
    for now in gates.unbind(dim=1):
        if outputs:
            now = torch.addmm(now, outputs[-1], weight.t())
        enter, forget, candidate, leave = now.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        outputs.append(leave.sigmoid() * cell.tanh())
    return torch.stack(outputs, dim=1)


def _gru(states: Tensor, weight_in: Tensor, weight: Tensor, bias_in: Tensor, bias: Tensor) -> Tensor:
    gates = linear(states, weight_in, bias_in)
    outputs: list[Tensor] = []
    before = gates.new_zeros(len(gates), weight.shape[1])
    for now in gates.unbind(dim=1):
        reset, keep, candidate = now.chunk(3, dim=1)
        reset_back, keep_back, candidate_back = torch.addmm(bias, before, weight.t()).chunk(3, dim=1)
        kept = (keep + keep_back).sigmoid()
        new = (candidate + (reset + reset_back).sigmoid() * candidate_back).tanh()
        before = kept * before + (1 - kept) * new
        outputs.append(before)
    return torch.stack(outputs, dim=1)
