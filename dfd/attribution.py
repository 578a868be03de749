"""What a verdict rests on: heat maps over the face, and the weight of each frame over time.

Captum does the attributing (this is its only importer); what is here gives it something quick and safe to attribute:
a private view of the detector that shares its weights but no module, so that nothing of a detector that sessions share
is ever touched (no hooks, modes or gradients), and the parts of the computation that do not change the result are left
out. The target is always the logit difference fake - real: positive evidence speaks for fake. Where a detector has
attention maps of its own they are a further view, of where it looks; they speak for neither side.
Sources: Sundararajan et al. 2017 (integrated gradients), Selvaraju et al. 2017 (Grad-CAM).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed
from torchvision.transforms.functional import gaussian_blur

from dfd import overlays as pictures
from dfd.checkpoints import Checkpoint
from dfd.errors import CheckpointError
from dfd.faces import FaceClip
from dfd.labels import Label
from dfd.models import autocast, best_device, frame_permutation, to_input
from dfd.models.contract import ClipModel
from dfd.models.frozen import private, split, unrolled
from dfd.progress import Progress, part, silent

TARGET = "logit(fake) - logit(real)"
NO_TARGET = "none: attention is where the network looks, whatever it concludes"
BASELINE = "blurred face"
BLUR = 0.1  # standard deviation of the blur / side of the crop: colours stay, features go
OVER_TIME = f"integrated gradients on the backbone's features, from those of the {BASELINE}"
LAYER = "layer3"  # 7x7 at 112 px; layer4's 4x4 is too coarse
STEPS = 32

# Pixels of a pass that can be differentiated. A ResNeXt-50's holds 1.5 kB a pixel at its peak: 1.2 GB.
HELD_PIXELS = 64 * 112 * 112
HEAD_FRAMES = 640  # frames x steps that the head reads at once: about 110 MB at 2048 units

StopAsked = Callable[[], bool]


class Stopped(Exception):
    """An attribution was given up because `should_stop` said so."""


@runtime_checkable
class Attentive(Protocol):
    """A detector with attention maps."""

    attention_layer: str

    def attention_maps(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T, M, h, w), none of it negative."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the score of a face clip rests on. The score is the logit difference fake - real."""

    method: str  # a key of VIEWS
    # (T, H, W) signed, positive for fake; logits if integrated gradients, else no unit. Attention has no sign.
    maps: NDArray[np.float32]
    frames: NDArray[np.float32]  # (T,) signed, logits; they sum to score - baseline_score up to integration error
    times: NDArray[np.float64]  # (T,) seconds from the clip's start
    target: str  # of the maps
    baseline: str | None  # of the maps; None for a method without one
    over_time: str  # how `frames` was made
    layer: str | None
    steps: int
    score: float
    baseline_score: float
    completeness_error: float | None  # |sum of maps - (score - baseline_score)| / |score - baseline_score|
    seconds: float
    checkpoint: str


def explain(
    checkpoint: Checkpoint,
    face_clip: FaceClip,
    method: str,
    *,
    steps: int = STEPS,
    layer: str = LAYER,
    progress: Progress = silent,
    should_stop: StopAsked | None = None,
    device: torch.device | None = None,
) -> Attribution:
    """Attribute a checkpoint's score of a face clip to pixels and to frames.

    Sessions that share a checkpoint take turns, so that memory stays that of one.

    Args:
        method: one of `views(checkpoint.model)`.
        steps: of integrated gradients, over space and over time.
        layer: the backbone's stage that Grad-CAM reads; the others ignore it.
        should_stop: asked several times a second on a small clip, every few seconds on a large one.
        device: the best one by default.

    Raises:
        CheckpointError: the crops were cut by another recipe than the checkpoint's, or it has no attention maps.
        Stopped: `should_stop` returned true.
        ValueError: unknown method or layer, or steps < 1.
    """
    _check(checkpoint, face_clip, method, steps)
    meta = checkpoint.meta
    order = frame_permutation(len(face_clip.crops), meta.frame_order, meta.seed)
    stop = should_stop or (lambda: False)
    with _turn(checkpoint.model, progress, stop), torch.inference_mode(False), torch.enable_grad():
        started = time.perf_counter()
        view = _View(checkpoint.model, device or best_device(), stop)
        inputs = to_input(face_clip.crops[order.numpy()], meta.recipe).to(view.device)
        found = VIEWS[method](view, inputs, steps, layer, progress)
        seconds = time.perf_counter() - started
        progress(1.0, "Attribution done")
    back = order.argsort().numpy()
    change = found.score - found.baseline_score
    exact = found.baseline is not None
    return Attribution(
        method=method,
        maps=found.maps.float().cpu().numpy()[back],
        frames=found.frames.float().cpu().numpy()[back],
        times=face_clip.track.times,
        target=found.target,
        baseline=found.baseline,
        over_time=OVER_TIME,
        layer=found.layer,
        steps=steps,
        score=found.score,
        baseline_score=found.baseline_score,
        completeness_error=abs(found.maps.double().sum().item() - change) / max(abs(change), 1e-6) if exact else None,
        seconds=seconds,
        checkpoint=meta.name,
    )


def overlays(attribution: Attribution, crops: NDArray[np.uint8], *, opacity: float = 0.7) -> NDArray[np.uint8]:
    """The maps over the crops they explain, on one scale: (T, S, S, 3) uint8 RGB in and out."""
    return pictures.blend(attribution.maps, crops, opacity=opacity)


def write(attribution: Attribution, face_clip: FaceClip, out: Path) -> list[Path]:
    """Write one heat map a frame (`frame_000.png`, over its crop) and `attribution.json`; return their paths.

    Raises:
        DfdError: `out` is a file, or has files of these names that are not an earlier attribution's.
    """
    facts: dict[str, Any] = {
        "clip": face_clip.source,
        "checkpoint": attribution.checkpoint,
        "method": attribution.method,
        "target": attribution.target,
        "baseline": attribution.baseline,
        "layer": attribution.layer,
        "steps": attribution.steps,
        "size": list(attribution.maps.shape),
        "scale": pictures.scale_of(attribution.maps),
        "score": attribution.score,
        "baseline_score": attribution.baseline_score,
        "completeness_error": attribution.completeness_error,
        "over_time": attribution.over_time,
        "times": attribution.times.tolist(),
        "importance": attribution.frames.tolist(),
        "seconds": attribution.seconds,
    }
    return pictures.write_folder(overlays(attribution, face_clip.crops), facts, out)


def _check(checkpoint: Checkpoint, face_clip: FaceClip, method: str, steps: int) -> None:
    if method not in VIEWS:
        raise ValueError(f"unknown method '{method}'; choose one of {', '.join(VIEWS)}")
    if method not in views(checkpoint.model):
        raise CheckpointError(
            f"checkpoint '{checkpoint.meta.name}' has no attention maps; "
            f"choose one of {', '.join(views(checkpoint.model))}"
        )
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if face_clip.recipe.key() != checkpoint.meta.recipe.key():
        raise CheckpointError(
            f"the face crops of {face_clip.source} were cut by another recipe than checkpoint "
            f"'{checkpoint.meta.name}' was trained on; cut them again with the checkpoint's own recipe"
        )


_locks: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextmanager
def _turn(model: nn.Module, progress: Progress, stop: StopAsked) -> Iterator[None]:
    """Wait until no other thread attributes this model."""
    with _locks_lock:
        lock = _locks.setdefault(model, threading.Lock())
    while not lock.acquire(timeout=0.1):
        progress(0.0, "Waiting for another attribution of this checkpoint")
        if stop():
            raise Stopped
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class _Found:
    maps: Tensor  # (T, H, W)
    frames: Tensor  # (T,)
    score: float
    baseline_score: float
    baseline: str | None
    layer: str | None
    target: str = TARGET


class _View:
    """A detector's stages and head, to be read and differentiated here without touching the detector.

    A stage takes what the last one gave: a tensor or, in a trunk that branches, a tuple with the stage's own output
    first.
    """

    def __init__(self, model: ClipModel, device: torch.device, stop: StopAsked) -> None:
        own = private(model, device)
        self.attentive = own if isinstance(own, Attentive) else None
        self.device = device
        self.stages: dict[str, nn.Module] = dict(own.backbone.named_children())  # applied one after the other
        self.head: nn.Module = unrolled(own.head)
        self._stop = stop

    def score(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B,) logit difference. In float32: a recurrence adds up what bfloat16 rounds off."""
        self._check_stop()
        logits = self.head(features.float())
        return logits[:, Label.FAKE] - logits[:, Label.REAL]

    def run(self, stages: Callable[[Any], Any], state: tuple[Tensor, ...], held: int) -> tuple[Tensor, ...]:
        """Frames (N, ...) and what goes beside them through stages, at most `held` at once, with or without gradients.

        All but the last of those are forgotten on the way forward and computed again on the way back.
        """
        count, parts = -(-len(state[0]) // held), []
        chunks = list(zip(*(tensor.tensor_split(count) for tensor in state), strict=True))
        for number, chunk in enumerate(chunks, start=1):
            self._check_stop()
            given = chunk if len(chunk) > 1 else chunk[0]
            with autocast(self.device):
                if number == len(chunks) or not torch.is_grad_enabled():
                    found = stages(given)
                else:
                    found = recomputed(stages, given, use_reentrant=False, preserve_rng_state=False)
            parts.append(found if isinstance(found, tuple) else (found,))
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))

    @torch.no_grad()
    def reach(self, frames: Tensor, until: str) -> tuple[Tensor, ...]:
        """(T, 3, H, W) -> what the stage `until` gives: (T, C, h, w) float32, and in float32 what goes beside it."""
        names = list(self.stages)
        trunk = nn.Sequential(*(self.stages[name] for name in names[: names.index(until) + 1]))
        state = (frames.contiguous(memory_format=torch.channels_last),)
        return tuple(found.float() for found in self.run(trunk, state, _held(frames) // 2 or 1))

    def features(self, frames: Tensor) -> Tensor:
        """(T, 3, H, W) -> (T, F)."""
        return self.reach(frames, list(self.stages)[-1])[0].flatten(1)

    def _check_stop(self) -> None:
        if self._stop():
            raise Stopped


def _held(frames: Tensor) -> int:
    """How many frames of this size a pass may hold at once."""
    return max(1, HELD_PIXELS // (frames.shape[-1] * frames.shape[-2]))


def _over_time(view: _View, features: Tensor, baseline: Tensor, steps: int) -> tuple[Tensor, float, float]:
    """Frame weights (T,), score and baseline score from (T, F) features of the clip and of its baseline."""
    gradients = IntegratedGradients(view.score)
    passes = max(1, HEAD_FRAMES // len(features))
    weights = gradients.attribute(features[None], baselines=baseline[None], n_steps=steps, internal_batch_size=passes)
    with torch.no_grad():
        score, start = view.score(torch.stack([features, baseline])).tolist()
    return weights[0].sum(dim=1), score, start


def _gradcam(view: _View, inputs: Tensor, steps: int, layer: str, progress: Progress) -> _Found:
    names = list(view.stages)
    if layer not in names[1:-1]:  # between the stem and the pooling
        raise ValueError(f"unknown layer '{layer}'; choose one of {', '.join(names[1:-1])}")
    progress(0.0, "Reading the frames")
    activations, *beside = view.reach(inputs, layer)
    activations.requires_grad_()
    tail = _Tail(view, names[names.index(layer) + 1 :], beside, _held(inputs))
    progress(0.25, "Grad-CAM")
    # Not rectified: the sign says whether a place speaks for fake or for real.
    coarse = LayerGradCam(tail, tail.entry).attribute(activations)
    maps = LayerAttribution.interpolate(coarse, tuple(inputs.shape[-2:]), "bilinear")
    progress(0.45, "Frames over time")
    frames, score, baseline_score = _over_time(view, tail.features, view.features(_blurred(inputs)), steps)
    return _Found(maps.detach()[:, 0], frames, score, baseline_score, None, layer)


class _Tail(nn.Module):
    """What follows a layer: its activations (T, C, h, w) -> (1,) score; `entry` is the module Captum looks at."""

    def __init__(self, view: _View, names: list[str], beside: list[Tensor], held: int) -> None:
        super().__init__()
        self.entry = nn.Identity()
        self._view, self._beside, self._held = view, beside, held
        self._rest = nn.Sequential(*(view.stages[name] for name in names), nn.Flatten())

    def forward(self, activations: Tensor) -> Tensor:
        features = self._view.run(self._rest, (self.entry(activations), *self._beside), self._held)[0].float()
        self.features = features.detach()
        return self._view.score(features[None])


def _integrated_gradients(view: _View, inputs: Tensor, steps: int, layer: str, progress: Progress) -> _Found:
    baseline = _blurred(inputs)
    progress(0.0, "Reading the frames")
    features, start = view.features(inputs), view.features(baseline)
    progress(0.06, "Frames over time")
    frames, score, baseline_score = _over_time(view, features, start, steps)
    maps = _pixel_gradients(view, inputs, baseline, steps, part(progress, 0.1, 1.0))
    return _Found(((inputs - baseline) * maps).sum(dim=1), frames, score, baseline_score, BASELINE, None)


def _pixel_gradients(view: _View, inputs: Tensor, baseline: Tensor, steps: int, progress: Progress) -> Tensor:
    """Mean gradient of the score by the pixels along the straight line from the baseline: (T, 3, H, W).

    The network begins with a convolution and a batch norm, which are affine: a straight line of pixels is one after
    them too. So the path is walked from there, and one step back through the convolution, after the mean, serves all.
    """
    entry, trunk = split(view.stages)
    count, held = len(inputs), _held(inputs)
    passes = max(1, held // count)  # steps at once
    done = 0

    def score(points: Tensor) -> Tensor:  # (S, T, h, w, C) -> (S,)
        nonlocal done
        progress(min(1.0, done / steps), f"Integrated gradients, step {min(done, steps)} of {steps}")
        done += len(points)
        features = view.run(trunk, (points.flatten(0, 1).movedim(-1, 1),), held)[0].float()
        return view.score(features.unflatten(0, points.shape[:2]))

    pixels = inputs.clone().requires_grad_()
    end = entry(pixels)
    with torch.no_grad():
        start = entry(baseline)
    # Channels last in memory, which the convolutions of the trunk want, whatever Captum does to the leading axes.
    line = [points.detach().movedim(1, -1).contiguous()[None] for points in (end, start)]
    method = IntegratedGradients(score, multiply_by_inputs=False)
    gradients = method.attribute(line[0], baselines=line[1], n_steps=steps, internal_batch_size=passes)
    return torch.autograd.grad(end, pixels, gradients[0].movedim(-1, 1))[0]


def _attention(view: _View, inputs: Tensor, steps: int, layer: str, progress: Progress) -> _Found:
    own = view.attentive
    assert own is not None  # `explain` has looked
    progress(0.0, "Reading the frames")
    with torch.no_grad():
        coarse = view.run(lambda frames: own.attention_maps(frames[None])[0], (inputs,), _held(inputs))[0].float()
    together = coarse.sum(dim=1, keepdim=True)  # as the network itself reads its deepest layer
    maps = LayerAttribution.interpolate(together, tuple(inputs.shape[-2:]), "bilinear")
    progress(0.45, "Frames over time")
    features, start = view.features(inputs), view.features(_blurred(inputs))
    frames, score, baseline_score = _over_time(view, features, start, steps)
    return _Found(maps[:, 0], frames, score, baseline_score, None, own.attention_layer, NO_TARGET)


_Method = Callable[[_View, Tensor, int, str, Progress], _Found]
METHODS: dict[str, _Method] = {"gradcam": _gradcam, "integrated_gradients": _integrated_gradients}
VIEWS: dict[str, _Method] = {**METHODS, "attention": _attention}


def views(model: ClipModel) -> tuple[str, ...]:
    """What `explain` can show of a model: `METHODS`, and its attention where it has some."""
    return tuple(VIEWS) if isinstance(model, Attentive) else tuple(METHODS)


def _blurred(frames: Tensor) -> Tensor:
    """Each frame without its features, (T, 3, H, W)."""
    sigma = BLUR * frames.shape[-1]
    side = 2 * int(2 * sigma) + 1
    rows = gaussian_blur(frames, [side, 1], sigma)  # one axis at a time: the library convolves with the whole square
    return gaussian_blur(rows, [1, side], sigma)
