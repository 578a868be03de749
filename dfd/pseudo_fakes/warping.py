"""Face-warping artefacts (Li & Lyu 2018): a generator's picture is small, and is warped to where the face is.

The face is aligned, brought to a small size, blurred as by a 5 x 5 Gaussian, and warped back: their simulation of what
is left by a generator of limited resolution, whose sizes are drawn as their scales are.
"""

import numpy as np
import torch
from torch import Tensor

from dfd.pseudo_fakes.colours import recoloured
from dfd.pseudo_fakes.draws import Draws
from dfd.pseudo_fakes.face_space import Placement, aligned, in_square, sample, smoothed

F = torch.nn.functional
SIGMA = 1.1  # px; what OpenCV takes for a kernel of 5 x 5
COLOUR = 0.5  # of the colour shifts: here it is sharpness that tells


def warped(window: Tensor, points: Tensor, placement: Placement, draws: Draws) -> Tensor:
    """The face as warped back, (T, 3, h, w), 0 to 255.

    Args:
        window: (T, 3, h, w), 0 to 255.
        points: (T, h, w, 2) of face space.
        placement: of the same T frames.
        draws: of the same T frames.
    """
    face, places = aligned(window, placement), in_square(points)
    back = torch.empty_like(window)
    for size in np.unique(draws.size):  # one size where nothing flickers
        frames = torch.from_numpy(np.flatnonzero(draws.size == size))
        small = F.interpolate(face[frames], size=[int(size)] * 2, mode="bilinear", antialias=True)
        back[frames] = sample(smoothed(small, np.full(len(frames), SIGMA)), places[frames])
    return recoloured(back, draws, COLOUR)
