"""What every detector is made of, and what the rest of dfd asks of it.

A detector is a backbone that reads each frame on its own and a head that reads the frames' features in order. Training
fits either or both, caches what lies between them, and takes the whole from `ClipModel`; serving and attribution read
the two parts. `dfd.models.build` makes them by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "last", "attention"]

Criterion = Callable[[Tensor, Tensor], Tensor]
"""From logits (B, 2) and labels (B,) to the loss (), with the weights of classes and the smoothing of a stage."""


@dataclass(frozen=True, slots=True)
class ClipLogits:
    """What a head says, in the order real, fake."""

    frames: Tensor  # (B, T, 2) at each frame
    clip: Tensor  # (B, 2) of the whole clip


class Backbone(nn.Module):
    """A convolutional trunk up to and with its pooling.

    Its children are applied one after the other: a stem, `layer1` to `layer4`, which attribution reads by name, and the
    pooling. `features` is the width of what comes out. A trunk at stride 4, 8, 16 and 32 gives `layer3` 7x7 places at
    112 px.
    """

    def __init__(
        self,
        stem: nn.Module,
        layers: tuple[nn.Module, nn.Module, nn.Module, nn.Module],
        features: int,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.pool = pool or nn.AdaptiveAvgPool2d(1)
        self.features = features

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) float -> (N, F) float."""
        frames = frames.contiguous(memory_format=torch.channels_last)
        stages = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(frames)))))
        return self.pool(stages).flatten(1)


class Head(nn.Module, ABC):
    """From a clip's frame features (B, T, F) to logits; each kind says what its frame logits mean."""

    pooling: Pooling

    @abstractmethod
    def logits(self, features: Tensor) -> ClipLogits:
        """What is said at each frame and of the clip; the clip's in float32, whatever the frames' are in."""

    def read_once(self, features: Tensor) -> ClipLogits:
        """(B, T, F) -> what `frame_logits` and `forward` are of a clip that is read once, to the last bit."""
        return self.logits(features)

    def frame_logits(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, 2): what is said at each frame."""
        return self.logits(features).frames

    def prefix_logits(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, 2): the clip's logits, had it ended at each frame."""
        return torch.stack([self.logits(features[:, :end]).clip for end in range(1, features.shape[1] + 1)], dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, 2) logits of the clip."""
        return self.logits(features).clip


class ClipModel(nn.Module):
    """A backbone on every frame, a head over time; `weights` says what the backbone really started from."""

    def __init__(self, weights: str, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.weights = weights
        self.backbone = backbone
        self.head = head

    def features(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalised -> (B, T, F)."""
        batch, frames = clips.shape[:2]
        return self.backbone(clips.flatten(0, 1)).unflatten(0, (batch, frames))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalised -> (B, 2) logits in the order real, fake."""
        return self.head(self.features(clips))
