"""How much each frame weighs."""

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from dfd.attribution import view as bounds
from dfd.attribution.view import View

OVER_TIME = "integrated gradients on the backbone's features, from those of the {baseline}, {steps} steps"


def frame_weights(view: View, features: Tensor, baseline: Tensor, steps: int) -> Tensor:
    """(T,) of a clip's features (T, F), from those of its baseline.

    They are the same from the backbone's features on as from the view's: in between lies an affine map of each frame.
    """
    gradients = IntegratedGradients(view.score)
    at_once = max(1, bounds.HEAD_FRAMES // len(features))
    with torch.enable_grad():
        weights = gradients.attribute(
            features[None], baselines=baseline[None], n_steps=steps, internal_batch_size=at_once
        )
    return weights[0].sum(dim=1).detach()
