"""Attention-guided augmentation: a picture that is blurred where one attention map looks.

What one map relies on fades, the more the more it attends, so that the other maps must find something else. Source:
Zhao et al., CVPR 2021, section 3.4, equation 6.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur

REDUCED = 0.3  # of the side: what the picture is reduced to before it is blurred
SPREAD = 7 / (REDUCED * 380)  # standard deviation / side of the reduced picture: the paper's 7 px of a 380 px face


def blur_attended(clips: Tensor, maps: Tensor, chosen: Tensor) -> Tensor:
    """I (1 - A) + blurred(I) A, where A is the chosen map of each frame, 1 at its strongest.

    Args:
        clips: (B, T, 3, H, W).
        maps: (B, T, M, h, w), none of it negative.
        chosen: (B,) which map; one for all frames of a clip, so that nothing flickers that did not.

    Returns:
        (B, T, 3, H, W).
    """
    frames = clips.flatten(0, 1)
    attended = maps[torch.arange(len(maps), device=maps.device), :, chosen].flatten(0, 1)[:, None].float()
    strongest = attended.amax(dim=(2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    with torch.autocast(clips.device.type, enabled=False):  # pixels keep the precision they came in
        attended = interpolate(attended / strongest, size=frames.shape[-2:], mode="bilinear")
        return torch.lerp(frames, blurred(frames), attended).view_as(clips)


def blurred(frames: Tensor) -> Tensor:
    """Frames (N, 3, H, W) with their fine structure gone."""
    small = interpolate(frames, scale_factor=REDUCED, mode="bilinear", antialias=True)
    sigma = SPREAD * small.shape[-1]
    side = 2 * int(3 * sigma) + 1
    return interpolate(gaussian_blur(small, [side, side], sigma), size=frames.shape[-2:], mode="bilinear")
