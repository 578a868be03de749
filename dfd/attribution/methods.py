"""From a view of a detector and a clip's frames to one map a frame."""

import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from torch import Tensor, nn

from dfd.attribution.asked import Asked, Found, Method
from dfd.attribution.occlusion import occlusion
from dfd.attribution.reading import Judged
from dfd.attribution.result import NO_TARGET
from dfd.attribution.sensitivity import gradient_shap, saliency, smoothgrad
from dfd.attribution.view import View, held_frames


def _gradcam(asked: Asked) -> Found:
    """Selvaraju et al. 2017, without the rectification: the sign says whether a place speaks for fake or for real."""
    view, inputs, layer, progress = asked.clip.view, asked.clip.inputs, asked.layer, asked.progress
    names = list(view.stages)
    if layer not in names[1:-1]:  # between the stem and the pooling
        raise ValueError(f"unknown layer '{layer}'; choose one of {', '.join(names[1:-1])}")
    progress(0.0, "Reading the frames")
    activations, *beside = view.reach(inputs, layer)
    activations.requires_grad_()
    tail = _Tail(view, names[names.index(layer) + 1 :], beside, held_frames(inputs))
    progress(0.5, "Grad-CAM")
    coarse = LayerGradCam(tail, tail.entry).attribute(activations)
    maps = LayerAttribution.interpolate(coarse, tuple(inputs.shape[-2:]), "bilinear")
    return Found(maps.detach()[:, 0], layer=layer, clip=tail.clip)


class _Tail(nn.Module):
    """What follows a layer: its activations (T, C, h, w) -> (1,) score; `entry` is the module Captum looks at."""

    def __init__(self, view: View, names: list[str], beside: list[Tensor], held: int) -> None:
        super().__init__()
        self.entry = nn.Identity()
        self._view, self._beside, self._held = view, beside, held
        self._rest = nn.Sequential(*(view.stages[name] for name in names), nn.Flatten())

    def forward(self, activations: Tensor) -> Tensor:
        found = self._view.run(self._rest, (self.entry(activations), *self._beside), self._held)[0]
        features = self._view.entered(found)
        score = self._view.score(features[None])
        self.clip = Judged(features.detach(), score[0].detach())
        return score


def _integrated_gradients(asked: Asked) -> Found:
    """Sundararajan et al. 2017."""
    clip = asked.clip
    maps = ((clip.inputs - clip.baseline) * _path_gradients(asked)).sum(dim=1)
    return Found(maps, baseline=clip.baseline_name, exact=True)


def _path_gradients(asked: Asked) -> Tensor:
    """Mean gradient of the score by the pixels along the straight line from the baseline: (T, 3, H, W).

    The network begins with a convolution and a batch norm, which are affine: a straight line of pixels is one after
    them too. So the path is walked from there, and one step back through the convolution, after the mean, serves all.
    """
    view, inputs, steps, progress = asked.clip.view, asked.clip.inputs, asked.steps, asked.progress
    entry, trunk = view.split()
    count, held = len(inputs), held_frames(inputs)
    passes = max(1, held // count)  # steps at once
    done = 0

    def score(points: Tensor) -> Tensor:  # (S, T, h, w, C) -> (S,)
        nonlocal done
        progress(min(1.0, done / steps), f"Integrated gradients, step {min(done, steps)} of {steps}")
        done += len(points)
        features = view.entered(view.run(trunk, (points.flatten(0, 1).movedim(-1, 1),), held)[0])
        return view.score(features.unflatten(0, points.shape[:2]))

    pixels = inputs.clone().requires_grad_()
    end = entry(pixels)
    with torch.no_grad():
        start = entry(asked.clip.baseline)
    # Channels last in memory, which the convolutions of the trunk want, whatever Captum does to the leading axes.
    line = [points.detach().movedim(1, -1).contiguous()[None] for points in (end, start)]
    method = IntegratedGradients(score, multiply_by_inputs=False)
    gradients = method.attribute(line[0], baselines=line[1], n_steps=steps, internal_batch_size=passes)
    return torch.autograd.grad(end, pixels, gradients[0].movedim(-1, 1))[0]


def _attention(asked: Asked) -> Found:
    view, inputs = asked.clip.view, asked.clip.inputs
    own = view.attentive
    assert own is not None  # `explain` has looked
    asked.progress(0.0, "Reading the frames")
    with torch.no_grad():
        coarse = view.run(lambda frames: own.attention_maps(frames[None])[0], (inputs,), held_frames(inputs))[0].float()
    together = coarse.sum(dim=1, keepdim=True)  # as the network itself reads its deepest layer
    maps = LayerAttribution.interpolate(together, tuple(inputs.shape[-2:]), "bilinear")
    return Found(maps[:, 0], layer=own.attention_layer, target=NO_TARGET)


METHODS: dict[str, Method] = {
    "gradcam": _gradcam,
    "integrated_gradients": _integrated_gradients,
    "gradient_shap": gradient_shap,
    "occlusion": occlusion,
    "saliency": saliency,
    "smoothgrad": smoothgrad,
}
VIEWS: dict[str, Method] = {**METHODS, "attention": _attention}
# What `explain` takes beside the method, of those that take anything.
SETTINGS: dict[str, tuple[str, ...]] = {
    "gradcam": ("layer", "precision"),
    "integrated_gradients": ("baseline", "steps", "precision"),
    "gradient_shap": ("precision",),
    "occlusion": ("baseline", "precision"),
    "smoothgrad": ("precision",),
}
