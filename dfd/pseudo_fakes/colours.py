"""Other colours for what is put in."""

import numpy as np
import torch
from torch import Tensor

from dfd.pseudo_fakes.draws import Draws
from dfd.pseudo_fakes.face_space import as_tensor

MIDDLE = 127.5  # the level that contrast leaves where it is


def recoloured(images: Tensor, draws: Draws, share: float) -> Tensor:
    """Mix and shift colours.

    Args:
        images: (T, 3, h, w), 0 to 255.
        draws: of the same T frames.
        share: of what was drawn; 0 changes nothing.

    Returns:
        The same shape; it may pass 0 and 255, since blending comes before rounding.
    """
    mixing = np.eye(3) + share * (draws.mixing - np.eye(3))
    shift = share * draws.shift + MIDDLE * (1 - mixing.sum(axis=2))
    mixed = torch.einsum("tij,tjhw->tihw", as_tensor(mixing), images)
    return mixed + as_tensor(shift)[:, :, None, None]
