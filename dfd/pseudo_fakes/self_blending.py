"""Self-blended images (Shiohara & Yamasaki 2022): the source is a transformed copy of the target.

Their source-target generator shifts colours and frequencies of one of the two, and resizes and moves the source. Here
it is always the source, so that outside the mask the fake is the real clip to the bit; where they would transform the
target, the source gets the opposite: sharpened, not the target blurred.
"""

import torch
from torch import Tensor

from dfd.pseudo_fakes.colours import recoloured
from dfd.pseudo_fakes.draws import Draws
from dfd.pseudo_fakes.face_space import (
    CENTRE,
    REACH,
    SIDE,
    Placement,
    aligned,
    as_tensor,
    in_square,
    in_window,
    sample,
    smoothed,
)

F = torch.nn.functional
FIELD = 32  # px a side of the elastic displacement, between whose few points it is smooth


def transformed(window: Tensor, points: Tensor, placement: Placement, draws: Draws) -> Tensor:
    """The copy to be blended in, (T, 3, h, w), 0 to 255.

    Args:
        window: (T, 3, h, w), 0 to 255.
        points: (T, h, w, 2) of face space.
        placement: of the same T frames.
        draws: of the same T frames.
    """
    low = smoothed(aligned(window, placement), draws.width * SIDE / (2 * REACH))
    source = _displaced(points, draws)
    copy = sample(window, in_window(source, placement))
    fine = copy - sample(low, in_square(source))
    return recoloured(copy + as_tensor(draws.sharpness)[:, None, None, None] * fine, draws, 1.0)


def _displaced(points: Tensor, draws: Draws) -> Tensor:
    """Where in face space the copy is taken from, (T, h, w, 2)."""
    turn, move, knots = (as_tensor(values) for values in (draws.turn, draws.move, draws.elastic))
    field = F.interpolate(knots.permute(0, 3, 1, 2), size=[FIELD, FIELD], mode="bicubic", align_corners=True)
    elastic = sample(field, in_square(points)).permute(0, 2, 3, 1)
    middle = torch.tensor(CENTRE)
    return torch.einsum("tij,thwj->thwi", turn, points - middle) + middle + move[:, None, None] + elastic
