"""The trunk of Xception: convolutions of one channel each, mixed by 1x1 convolutions, around shortcuts.

Source: Chollet, Xception (CVPR 2017), figure 5, as a feature extractor: no fully connected layers, no published weights
(torchvision has none). FaceForensics++ made it the frame detector that others are measured by.
"""

from torch import Tensor, nn

from dfd.models.contract import Backbone

MIDDLE = 8  # blocks of the middle flow


def xception() -> Backbone:
    """Entry, middle and exit flow: 2048 features."""
    stem = nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
    )
    middle = nn.Sequential(_Block(256, (728, 728), 2), *(_Block(728, (728, 728, 728), 1) for _ in range(MIDDLE)))
    leave = nn.Sequential(
        _Block(728, (728, 1024), 2), *_separable(1024, 1536), nn.ReLU(), *_separable(1536, 2048), nn.ReLU()
    )
    return Backbone(stem, (_Block(64, (128, 128), 2), _Block(128, (256, 256), 2), middle, leave), features=2048)


def _separable(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return (
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _Block(nn.Module):
    """Rectified separable convolutions, and a shortcut past them: a 1x1 convolution where the size changes."""

    def __init__(self, inputs: int, widths: tuple[int, ...], stride: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for before, after in zip((inputs, *widths), widths, strict=False):
            steps += [nn.ReLU(), *_separable(before, after)]
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            steps.append(nn.MaxPool2d(3, stride, padding=1))
            outputs = widths[-1]
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.convolutions = nn.Sequential(*steps)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        return self.convolutions(maps) + self.shortcut(maps)
