"""What a method is given, and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from dfd.attribution.reading import Judged, Reading
from dfd.attribution.result import TARGET
from dfd.progress import Progress, silent

SAMPLES = 16
STRIDE = 0.125


@dataclass(frozen=True, slots=True)
class Asked:
    """A clip to be explained, and how."""

    clip: Reading
    steps: int  # of integrated gradients
    layer: str  # of Grad-CAM
    progress: Progress = silent
    samples: int = SAMPLES  # noisy copies of SmoothGrad, points of GradientSHAP
    stride: float = STRIDE  # of occlusion's window / side of the crop


@dataclass(frozen=True, slots=True)
class Found:
    """One map a frame."""

    maps: Tensor  # (T, H, W)
    baseline: str | None = None
    layer: str | None = None
    target: str = TARGET
    exact: bool = False  # whether the maps are to sum to score - baseline score
    clip: Judged | None = None  # where it came up on the way
    float32: bool = False  # whatever was asked for


Method = Callable[[Asked], Found]
