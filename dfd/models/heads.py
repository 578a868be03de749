"""Heads: from the features of a clip's frames to its logits, and to what is said at each frame."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfd.models import cpu_lstm
from dfd.models.contract import ClipLogits, Head, Pooling

Temporal = Literal["lstm", "gru", "none"]


class TemporalHead(Head):
    """A recurrent layer, or none, and a pooling over its states.

    The state of a frame is LeakyReLU(recurrent output), or, with `dense`, ReLU(dense(dropout(recurrent output))); what
    is said at a frame is the linear layer of its state. A one-way layer has read the frames up to it, a two-way one all
    of them, and none only the frame itself. The clip's logits are those of the states' mean, of the last state, or of a
    weighted mean, in which a learnt vector scores each state and a softmax over time makes weights of the scores. Since
    the linear layer is affine, they are in each case the same mean of the frame logits.

    Raises:
        ValueError: a combination that `wrong_reading` refuses.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        layers: int,
        dropout: float,
        pooling: Pooling,
        temporal: Temporal,
        *,
        bidirectional: bool = False,
        dense: int | None = None,
    ) -> None:
        super().__init__()
        wrong = wrong_reading(temporal, bidirectional, pooling)
        if wrong is not None:
            raise ValueError(wrong)
        how = {"num_layers": layers, "batch_first": True, "bidirectional": bidirectional}
        self.lstm = nn.LSTM(features, hidden, **how) if temporal == "lstm" else None
        self.gru = nn.GRU(features, hidden, **how) if temporal == "gru" else None
        width = features if temporal == "none" else hidden * (2 if bidirectional else 1)
        self.activation = nn.LeakyReLU() if dense is None else _dense(width, dense, dropout)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dense or width, 2)
        self.attention = nn.Linear(dense or width, 1, bias=False) if pooling == "attention" else None
        self.pooling = pooling
        self._two_ways = bidirectional

    def _states(self, features: Tensor) -> Tensor:
        recurrent = self.gru if self.lstm is None else self.lstm
        if recurrent is None:
            return self.activation(features)
        if features.device.type == "cpu" and torch.is_grad_enabled():
            return self.activation(self._with_gradients_on_cpu(recurrent, features))
        return self.activation(recurrent(features)[0])

    def _with_gradients_on_cpu(self, recurrent: nn.LSTM | nn.GRU, features: Tensor) -> Tensor:
        """Never PyTorch's own in bfloat16, whose backward pass on a CPU takes 1.9 times what it takes in float32.

        An LSTM in training is run by `cpu_lstm`; a GRU, and what is only asked for its attribution, in float32.
        """
        if self.training and isinstance(recurrent, nn.LSTM):
            return cpu_lstm.run(recurrent, features)
        with torch.autocast("cpu", enabled=False):
            return cast(Tensor, recurrent(features.float())[0])

    def _pooled(self, values: Tensor, states: Tensor) -> Tensor:
        """(B, T, X) of the frames -> (B, X), by what their states (B, T, H) weigh."""
        if self.attention is not None:
            return (self.attention(states).softmax(dim=1) * values).sum(dim=1)
        return values.mean(dim=1) if self.pooling == "mean" else values[:, -1]

    def logits(self, features: Tensor) -> ClipLogits:
        """What is said at each frame, and its mean over the clip."""
        states = self._states(features)
        frames = self._said(states)
        return ClipLogits(frames, self._pooled(frames.float(), states))

    def read_once(self, features: Tensor) -> ClipLogits:
        """As the contract says: `forward` takes the linear layer of the mean, `logits` the mean of linear layers."""
        states = self._states(features)
        return ClipLogits(self._said(states), self._of_clip(states))

    def _said(self, states: Tensor) -> Tensor:
        """(..., H) -> (..., 2)."""
        return cast(Tensor, self.linear(self.dropout(states)))

    def _of_clip(self, states: Tensor) -> Tensor:
        return self._said(self._pooled(states, states))

    def prefix_logits(self, features: Tensor) -> Tensor:
        """As the contract says; a one-way head need not read the clip again for each of its ends."""
        if self._two_ways:
            return super().prefix_logits(features)
        states = self._states(features)
        frames = self._said(states).float()
        if self.attention is None and self.pooling == "last":
            return frames
        weights = torch.ones_like(states[..., :1]) if self.attention is None else self._weights(states)
        weights = weights.float()
        return (weights * frames).cumsum(dim=1) / weights.cumsum(dim=1)

    def _weights(self, states: Tensor) -> Tensor:
        """(B, T, H) -> (B, T, 1), positive, of which a softmax over any run of frames is the share."""
        assert self.attention is not None
        scores = self.attention(states).float()
        return (scores - scores.amax(dim=1, keepdim=True)).exp()

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, 2): one draw of dropout for the clip, not one a frame, which their mean would undo."""
        return self._of_clip(self._states(features))


def wrong_reading(temporal: Temporal, bidirectional: bool, pooling: Pooling) -> str | None:
    """What is wrong with a combination, or None."""
    if bidirectional and temporal == "none":
        return "bidirectional needs a recurrent layer; set temporal to lstm or gru"
    if bidirectional and pooling == "last":
        return "the last state of a bidirectional layer has read one frame on its way back; set pooling to mean"
    return None


def _dense(inputs: int, units: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, units), nn.ReLU())


class PublishedHead(Head):
    """The head of the published ResNeXt-LSTM files, as the code they came from runs it on one clip.

    That code's LSTM recurs over the batch axis, so that in a batch of one clip each frame is one step from the zero
    state; it has no biases, no activation after it, and the dropout comes after the linear layer, on the logits. What
    is said at a frame rests on that frame alone. The clip's logits are the last frame's ("last", as its web app serves)
    or their mean ("mean", as it trains).

    Raises:
        ValueError: another pooling.
    """

    def __init__(self, features: int, hidden: int, dropout: float, pooling: Literal["last", "mean"]) -> None:
        super().__init__()
        if pooling not in ("last", "mean"):
            raise ValueError(f"published files are pooled by last or mean, not by {pooling}")
        self.lstm = nn.LSTM(features, hidden, bias=False, batch_first=True)
        self.linear = nn.Linear(hidden, 2)
        self.dropout = nn.Dropout(dropout)
        self.pooling = pooling

    def logits(self, features: Tensor) -> ClipLogits:
        """What is said of each frame alone, and of the last or of all."""
        states = self.lstm(features.flatten(0, 1)[:, None])[0][:, 0]
        frames = self.dropout(self.linear(states)).unflatten(0, features.shape[:2])
        clip = frames.float()
        return ClipLogits(frames, clip.mean(dim=1) if self.pooling == "mean" else clip[:, -1])


class MesoHead(Head):
    """Two dense layers on each frame alone, ending in one number whose sigmoid is the probability of *real*.

    Its logits are (that number, 0), so that p_fake = 1 - sigmoid. The clip's p_fake is the mean of its frames' p_fake,
    as the paper averages over a video, not the mean of their logits. Source: Afchar et al. 2018.
    """

    pooling: Pooling = "mean"

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(features, hidden)
        self.activation = nn.LeakyReLU(0.1)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, 1)

    def logits(self, features: Tensor) -> ClipLogits:
        """Those of each frame, and those whose softmax is the mean of the frames' probabilities."""
        states = self.activation(self.dense(self.dropout(features)))
        real = self.linear(self.dropout(states))  # (B, T, 1)
        odds = real.float()
        over_time = torch.logsumexp(functional.logsigmoid(odds), 1) - torch.logsumexp(functional.logsigmoid(-odds), 1)
        return ClipLogits(_against_zero(real), _against_zero(over_time))


def _against_zero(real: Tensor) -> Tensor:
    return torch.cat([real, torch.zeros_like(real)], dim=-1)
