"""A detector read and differentiated without being touched, and without the work that does not change the result.

Its modules are copies, its weights are shared. Batch norms are multiplied into the convolutions before them, and LSTMs
are unrolled so that gradients by their weights, which nobody asks for, are not worked out.
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
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
        if isinstance(module, nn.ReLU):
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
    return []


def unrolled(head: nn.Module) -> nn.Module:
    """Replace the head's LSTMs, in place (our modules), by the same arithmetic step by step."""
    for name, child in head.named_children():
        if isinstance(child, nn.LSTM) and child.batch_first and not child.bidirectional and not child.proj_size:
            setattr(head, name, _UnrolledLSTM(child))
    return head


class _UnrolledLSTM(nn.Module):
    """An `nn.LSTM` that is differentiated by its input alone.

    The library's CPU kernel also works out the gradients of its 33 million weights, most of its time; its cuDNN kernel
    refuses gradients in eval mode.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self._layers = [[weight.detach() for weight in layer] for layer in lstm.all_weights]

    def forward(self, states: Tensor) -> tuple[Tensor, None]:
        """(B, T, F) -> (B, T, H)."""
        for weight_in, weight_back, *biases in self._layers:
            states = self._layer(
                nn.functional.linear(states, weight_in, torch.stack(biases).sum(0) if biases else None), weight_back
            )
        return states, None

    @staticmethod
    def _layer(gates: Tensor, weight: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        cell = gates.new_zeros(len(gates), weight.shape[1])
        for now in gates.unbind(dim=1):
            if outputs:
                now = torch.addmm(now, outputs[-1], weight.t())
            enter, forget, candidate, leave = now.chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            outputs.append(leave.sigmoid() * cell.tanh())
        return torch.stack(outputs, dim=1)
