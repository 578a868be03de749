"""An LSTM's forward and backward pass for training on a CPU, in which a clip's weight gradients are one product.

PyTorch's own, on a CPU, adds a whole matrix of weight gradients at every frame (2048 units: 128 MiB), which is most of
what a step of a short clip costs, and its backward pass in bfloat16 takes longer than in float32. Here the recurrence
keeps the gradients of the gates, and the weights' are one matrix product over all frames once it is done. With 2048
units, batches of 8 clips and two cores, of PyTorch's time this takes 0.5 at 10 frames and 1.1 at 100 in float32, and
0.3 and 0.4 in bfloat16 with AMX (`python -m benchmarks.lstm`). A GPU has cuDNN for all this.

Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; gates in PyTorch's order i, f, g, o.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

LONG = 8  # frames of a clip, from which on it pays to turn the weights for the way back
ROWS = 64  # that are turned at once: a third of the time of turning all (8192 x 2048, bfloat16)


def run(lstm: nn.LSTM, features: Tensor) -> Tensor:
    """What `lstm(features)[0]` is, from the zero state, with the same gradients; its products in autocast's precision.

    Gates, states and sums over time are float32 in any case.

    Args:
        lstm: batch first, with biases, of any number of layers and ways, without dropout between layers.
        features: (B, T, F).

    Returns:
        (B, T, H) float32, (B, T, 2H) of a two-way one.

    Raises:
        ValueError: an LSTM of another make.
    """
    if not lstm.batch_first or not lstm.bias or lstm.proj_size or (lstm.dropout and lstm.num_layers > 1):
        raise ValueError("only an LSTM that is batch first, with biases, without projection or dropout, is run here")
    products = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    with torch.autocast("cpu", enabled=False):  # the products' precision is chosen above, all else is float32
        states = features.float()
        for layer in range(lstm.num_layers):
            ways = [_one_way(lstm, f"l{layer}", states, products)]
            if lstm.bidirectional:
                ways.append(_one_way(lstm, f"l{layer}_reverse", states.flip(1), products).flip(1))
            states = torch.cat(ways, dim=-1)
    return states


def _one_way(lstm: nn.LSTM, name: str, features: Tensor, products: torch.dtype) -> Tensor:
    inputs, states, bias, second = (
        getattr(lstm, f"{of}_{name}") for of in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    apply = cast(Callable[..., Tensor], _Recurrence.apply)
    return apply(features, inputs, states, bias + second, products)


class _Recurrence(torch.autograd.Function):
    """One layer, one way: (B, T, F), (4H, F), (4H, H), (4H,) -> (B, T, H).

    Within, clips are columns, so that the weights stand on the left of each frame's product: that is quicker than on
    the right, in bfloat16.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, features: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor, products: torch.dtype
    ) -> Tensor:
        batch, length, _ = features.shape
        hidden = of_state.shape[1]
        steps = features.transpose(0, 1).flatten(0, 1).to(products)  # (T * B, F), time first
        of_input, of_state = of_input.to(products), of_state.to(products)
        gates = (of_input @ steps.t()).float().add_(bias[:, None])
        gates = gates.unflatten(1, (length, batch)).transpose(0, 1).contiguous()  # (T, 4H, B)
        states = features.new_zeros(length + 1, hidden, batch)  # the first is the zero state
        cells = features.new_zeros(length + 1, hidden, batch)
        for at in range(length):
            gates[at] += of_state @ states[at].to(products)
            enter, keep, candidate, leave = gates[at].chunk(4)
            candidate.tanh_()
            for gate in (enter, keep, leave):
                gate.sigmoid_()
            torch.addcmul(keep * cells[at], enter, candidate, out=cells[at + 1])
            torch.mul(leave, cells[at + 1].tanh(), out=states[at + 1])
        ctx.save_for_backward(steps, of_input, of_state, gates, states, cells)
        return states[1:].permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        steps, of_input, of_state, gates, states, cells = ctx.saved_tensors
        length, _, batch = gates.shape
        products = of_state.dtype
        by_gates = gates.new_empty(gates.shape[1], length, batch)  # gradients of the gates before sigmoid or tanh
        by_state, by_cell = torch.zeros_like(states[0]), torch.zeros_like(cells[0])
        back = _turned(of_state, length)
        for at in reversed(range(length)):
            enter, keep, candidate, leave = gates[at].chunk(4)
            by_enter, by_keep, by_candidate, by_leave = by_gates[:, at].chunk(4)
            squashed = cells[at + 1].tanh()
            by_state = by_state + above[:, at].t()
            by_cell = by_cell + by_state * leave * (1 - squashed * squashed)
            by_leave.copy_(by_state * squashed * leave * (1 - leave))
            by_enter.copy_(by_cell * candidate * enter * (1 - enter))
            by_keep.copy_(by_cell * cells[at] * keep * (1 - keep))
            by_candidate.copy_(by_cell * enter * (1 - candidate * candidate))
            by_cell = by_cell * keep
            by_state = back(by_gates[:, at].to(products)).float()
        columns = by_gates.flatten(1).to(products)  # (4H, T * B)
        before = states[:-1].transpose(1, 2).flatten(0, 1).to(products)  # (T * B, H)
        asked = ctx.needs_input_grad
        return (
            (columns.t() @ of_input).float().unflatten(0, (length, batch)).transpose(0, 1) if asked[0] else None,
            (columns @ steps).float() if asked[1] else None,
            (columns @ before).float() if asked[2] else None,
            by_gates.sum(dim=(1, 2)) if asked[3] else None,
            None,
        )


def _turned(weights: Tensor, length: int) -> Callable[[Tensor], Tensor]:
    """The product of the turned weights (4H, H) with a frame's gradients (4H, B); for many frames they are turned."""
    if length >= LONG:
        turned = weights.new_empty(weights.shape[1], weights.shape[0])
        for place, rows in zip(turned.split(ROWS, dim=1), weights.split(ROWS), strict=True):
            place.copy_(rows.t())
        return lambda gradients: turned @ gradients
    return lambda gradients: (gradients.t().contiguous() @ weights).t()
