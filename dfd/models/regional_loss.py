"""Regional independence loss: every attention map keeps to a region of its own.

Each map has a centre, the running mean of what it pools from a frame. A frame may stray from it by a margin, wider for
fakes, whose traces vary more; the centres of two maps keep a margin between them. Source: Zhao et al., CVPR 2021,
section 3.3, equations 4 and 5.
"""

import torch
from torch import Tensor, nn

from dfd.labels import Label


class RegionalIndependence(nn.Module):
    """The loss and its centres, which move in training mode alone and are stored with the weights.

    Args:
        maps: attention maps, M.
        features: numbers that a map pools from a frame, C.
        within: how far a frame may be from a centre, real and fake.
        between: how far apart two centres should be.
        rate: of the centres' update in the first epoch.
        decay: what the rate is multiplied by with each epoch.
    """

    centres: Tensor  # (M, C)
    within: Tensor  # (2,) by label

    def __init__(
        self, maps: int, features: int, *, within: tuple[float, float], between: float, rate: float, decay: float
    ) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(maps, features))
        margins = {Label.REAL: within[0], Label.FAKE: within[1]}
        self.register_buffer("within", torch.tensor([margins[label] for label in Label]), persistent=False)
        self.between, self.rate, self.decay = between, rate, decay

    def forward(self, pooled: Tensor, labels: Tensor, epoch: int) -> Tensor:
        """The loss of pooled frames (N, M, C) with labels (N,) in an epoch, counted from 1.

        Summed over maps and over ordered pairs of them, as in the paper. Over frames it is the mean, where the paper
        has the sum: its weight must not grow with the batch and the sequence length.
        """
        centres = self._centres(pooled, epoch)
        strayed = torch.linalg.vector_norm(pooled - centres, dim=2) - self.within[labels, None]
        distances = torch.linalg.vector_norm(centres[:, None] - centres, dim=2)
        others = ~torch.eye(len(centres), dtype=torch.bool, device=centres.device)
        return strayed.relu().sum(dim=1).mean() + (self.between - distances)[others].relu().sum()

    def _centres(self, pooled: Tensor, epoch: int) -> Tensor:
        """The centres with these frames in them, through which gradients flow to the frames; kept without those."""
        if not self.training:
            return self.centres
        rate = self.rate * self.decay ** (epoch - 1)
        centres = self.centres - rate * (self.centres - pooled.mean(dim=0))
        self.centres = centres.detach()
        return centres
