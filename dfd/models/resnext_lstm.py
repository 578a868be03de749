"""ResNeXt-50 + LSTM, as the paper means it, and the mean-pooling control that shares everything but the LSTM.

A clip's frames go one by one through the backbone (2048 numbers a frame after adaptive average pooling); the head reads
them in order. Per frame: LSTM -> LeakyReLU; over time: mean or last; then dropout 0.4 -> linear to the two logits.
Source: Rathee et al. / Jadhav et al., IJSRD 8(1) 2020, sections III.C to III.E. Where the public code differs from the
text (recurrence over the batch axis, dropout on the logits, LeakyReLU never called) this follows the text.
"""

import logging
import urllib.error
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import ResNet, ResNeXt50_32X4D_Weights, resnext50_32x4d

log = logging.getLogger(__name__)

Pooling = Literal["mean", "last"]
Temporal = Literal["lstm", "none"]
BackboneName = Literal["resnext50_32x4d", "tiny"]


class Backbone(nn.Module):
    """A convolutional trunk up to and with its global average pooling.

    `layer1` to `layer4` are its stages, so that attribution can name them; `features` is the width of its output.
    """

    def __init__(
        self, stem: nn.Module, layers: tuple[nn.Module, nn.Module, nn.Module, nn.Module], features: int
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.features = features

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) float -> (N, F) float."""
        frames = frames.contiguous(memory_format=torch.channels_last)
        stages = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(frames)))))
        return self.pool(stages).flatten(1)


class TemporalHead(nn.Module):
    """From a clip's frame features to its logits.

    With `pooling="mean"` the clip's logits are the mean of its frame logits, exactly, since the linear layer is affine;
    with "last" they are the last frame's, which has read all frames before it.
    """

    def __init__(
        self, features: int, hidden: int, layers: int, dropout: float, pooling: Pooling, temporal: Temporal
    ) -> None:
        super().__init__()
        if temporal == "lstm":
            self.lstm: nn.LSTM | None = nn.LSTM(features, hidden, num_layers=layers, batch_first=True)
        else:
            self.lstm = None
        self.activation = nn.LeakyReLU()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden if temporal == "lstm" else features, 2)
        self.pooling = pooling

    def _states(self, features: Tensor) -> Tensor:
        states = features if self.lstm is None else self.lstm(features)[0]
        return self.activation(states)

    def frame_logits(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, 2): what is said of the clip at each frame, having read the frames up to it."""
        return self.linear(self.dropout(self._states(features)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, 2) logits in the order real, fake."""
        states = self._states(features)
        pooled = states.mean(dim=1) if self.pooling == "mean" else states[:, -1]
        return self.linear(self.dropout(pooled))


class ResNeXtLSTM(nn.Module):
    """Backbone on every frame, head over time.

    Args:
        backbone: "resnext50_32x4d", or "tiny", a 32-feature trunk of the same stages for tests and dry runs.
        weights: "IMAGENET1K_V2" (downloaded by torchvision once) or "none".
        hidden: LSTM units (2048 as published); ignored without an LSTM.
        layers: LSTM layers (1 as published).
        dropout: chance, before the linear layer.
        pooling: "mean" over the LSTM's outputs or its "last".
        temporal: "lstm", or "none" for the control that pools the features themselves.

    `weights` on the finished model says what was really loaded.
    """

    def __init__(
        self,
        *,
        backbone: BackboneName = "resnext50_32x4d",
        weights: str = "none",
        hidden: int = 2048,
        layers: int = 1,
        dropout: float = 0.4,
        pooling: Pooling = "mean",
        temporal: Temporal = "lstm",
    ) -> None:
        super().__init__()
        self.weights, self.backbone = _backbone(backbone, weights)
        self.head = TemporalHead(self.backbone.features, hidden, layers, dropout, pooling, temporal)

    def features(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalised -> (B, T, F)."""
        batch, frames = clips.shape[:2]
        return self.backbone(clips.flatten(0, 1)).unflatten(0, (batch, frames))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalised -> (B, 2) logits in the order real, fake."""
        return self.head(self.features(clips))


def _backbone(name: BackboneName, weights: str) -> tuple[str, Backbone]:
    if name == "tiny":
        if weights != "none":
            raise ValueError(f"the backbone 'tiny' has no pretrained weights; say weights: none, not {weights}")
        return "none", _tiny()
    network = resnext50_32x4d(weights=None)
    return _load_pretrained(network, weights), _trunk(network)


def _trunk(network: ResNet) -> Backbone:
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    layers = (network.layer1, network.layer2, network.layer3, network.layer4)
    return Backbone(stem, layers, features=network.fc.in_features)


def _load_pretrained(network: ResNet, weights: str) -> str:
    """Load torchvision's published weights; return what was loaded, "none" if the download failed (and say so)."""
    if weights == "none":
        return "none"
    try:
        published = ResNeXt50_32X4D_Weights[weights]
    except KeyError:
        known = ", ".join([entry.name for entry in ResNeXt50_32X4D_Weights] + ["none"])
        raise ValueError(f"unknown weights '{weights}'; choose one of {known}") from None
    try:
        network.load_state_dict(published.get_state_dict(progress=False, check_hash=True))
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        # RuntimeError: torch.hub found another hash than the published one, a broken download.
        log.warning("weights: none. %s could not be had (%s); the backbone starts from random numbers", weights, error)
        return "none"
    return weights


def _tiny() -> Backbone:
    def stage(inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    stem = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    return Backbone(stem, (stage(8, 8, 1), stage(8, 16, 2), stage(16, 32, 2), stage(32, 32, 1)), features=32)
