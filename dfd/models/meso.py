"""The trunks of Meso-4 and MesoInception-4: small networks for what lies between single pixels and whole faces.

Convolution, ReLU, batch norm and max-pooling, in this order, four times. At 256 px, the size they are made for, their
last map is 8x8 and every place of it is a feature of its own; other sizes are averaged to that grid. Names and orders
are those of the stages that attribution reads; `layer4` is the last pooling alone. Source: Afchar et al., MesoNet
(WIFS 2018), and the published code, whose batch norms have Keras's epsilon.
"""

import torch
from torch import Tensor, nn

from dfd.models.contract import Backbone

GRID = 8  # places a side of the last map at 256 px
EPSILON = 1e-3


def meso4() -> Backbone:
    """Four plain convolutions: 1024 features."""
    return _trunk(nn.Sequential(*_convolved(3, 8, 3), *_normed(8)), nn.Sequential(*_convolved(8, 8, 5), *_normed(8)), 8)


def mesoinception4() -> Backbone:
    """Two layers of dilated branches before two plain convolutions: 1024 features."""
    first, second = Branches(3, (1, 4, 4, 2)), Branches(11, (2, 4, 4, 2))
    return _trunk(nn.Sequential(first, *_normed(11)), nn.Sequential(second, *_normed(12)), 12)


def _trunk(stem: nn.Module, layer1: nn.Module, channels: int) -> Backbone:
    layer2 = nn.Sequential(*_convolved(channels, 16, 5), *_normed(16))
    layer3 = nn.Sequential(*_convolved(16, 16, 5), nn.BatchNorm2d(16, EPSILON))
    layer4 = nn.MaxPool2d(4, ceil_mode=True)
    return Backbone(stem, (layer1, layer2, layer3, layer4), 16 * GRID**2, pool=nn.AdaptiveAvgPool2d(GRID))


def _convolved(inputs: int, outputs: int, side: int, dilation: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, side, padding="same", dilation=dilation), nn.ReLU()


def _normed(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, EPSILON), nn.MaxPool2d(2, ceil_mode=True)


class Branches(nn.Module):
    """Four views of a map, side by side: each place alone, and three reaches of a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int, int]) -> None:
        super().__init__()
        alone, *others = outputs
        self.alone = nn.Sequential(*_convolved(inputs, alone, 1))
        self.near, self.far, self.farther = (
            nn.Sequential(*_convolved(inputs, width, 1), *_convolved(width, width, 3, dilation))
            for dilation, width in enumerate(others, start=1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum of the branches, H, W)."""
        return torch.cat([self.alone(maps), self.near(maps), self.far(maps), self.farther(maps)], dim=1)
