"""What a verdict rests on: heat maps over the face here, the weight of each frame in `dfd.attribution.timeline`.

Captum does the attributing (this is its only importer); what is here gives it something quick and safe to attribute:
a private view of the detector that shares its weights but no module, so that nothing of a detector that sessions share
is ever touched (no hooks, modes or gradients), and the parts of the computation that do not change the result are left
out. The target is always the logit difference fake - real: positive evidence speaks for fake. Where a detector has
attention maps of its own they are a further view, of where it looks; they speak for neither side.
Sources: Sundararajan et al. 2017 (integrated gradients), Selvaraju et al. 2017 (Grad-CAM).
"""

import time

import torch

from dfd.attribution.asked import Asked
from dfd.attribution.baselines import BASELINE, BASELINES, blurred_face
from dfd.attribution.methods import METHODS, SETTINGS, VIEWS
from dfd.attribution.reading import PRECISIONS, Precision, Reading, read
from dfd.attribution.result import NO_TARGET, TARGET, UNSIGNED, Attribution, overlays, write
from dfd.attribution.view import Attentive, StopAsked, Stopped
from dfd.checkpoints import Checkpoint
from dfd.errors import CheckpointError
from dfd.faces import FaceClip
from dfd.models.contract import ClipModel
from dfd.progress import Progress, silent

__all__ = [
    "BASELINE", "BASELINES", "LAYER", "METHODS", "NO_TARGET", "PRECISIONS", "SETTINGS", "STEPS", "TARGET", "UNSIGNED",
    "VIEWS", "Attribution", "Precision", "Reading", "StopAsked", "Stopped", "blurred_face", "explain", "layers",
    "overlays", "read", "views", "write",
]  # fmt: skip

LAYER = "layer3"  # 7x7 at 112 px; layer4's 4x4 is too coarse
STEPS = 32


def explain(
    checkpoint: Checkpoint,
    face_clip: FaceClip,
    method: str,
    *,
    steps: int = STEPS,
    layer: str = LAYER,
    baseline: str = BASELINE,
    precision: Precision = "fast",
    progress: Progress = silent,
    should_stop: StopAsked | None = None,
    device: torch.device | None = None,
) -> Attribution:
    """Attribute a checkpoint's score of a face clip to pixels.

    Sessions that share a checkpoint take turns, so that memory stays that of one.

    Args:
        method: one of `views(checkpoint.model)`.
        steps: of integrated gradients.
        layer: the backbone's stage that Grad-CAM reads; the others ignore it.
        baseline: one of `BASELINES`, of integrated gradients and occlusion.
        precision: "float32" takes about twice as long where the hardware multiplies bfloat16 fast; elsewhere, and of
            saliency, all is float32. What each is worth: `python -m benchmarks.precision`.
        should_stop: asked several times a second on a small clip, every few seconds on a large one.
        device: the best one by default.

    Raises:
        CheckpointError: the crops were cut by another recipe than the checkpoint's, or it has no attention maps.
        Stopped: `should_stop` returned true.
        ValueError: unknown method, layer, baseline or precision, or steps < 1.
    """
    _check(checkpoint, method, steps)
    with read(
        checkpoint,
        face_clip,
        baseline=baseline,
        precision=precision,
        progress=progress,
        should_stop=should_stop,
        device=device,
    ) as reading:
        started = time.perf_counter()  # others' turns are not counted
        found = VIEWS[method](Asked(reading, steps, layer, progress))
        clip = found.clip or reading.judged
        start = reading.view.score_in_parts(reading.baseline_features[None]).item() if found.exact else None
        seconds = time.perf_counter() - started
        progress(1.0, "Attribution done")
    back, score = reading.back, clip.score.item()
    return Attribution(
        method=method,
        maps=found.maps.float().cpu()[back].numpy(),
        times=face_clip.track.times,
        target=found.target,
        baseline=found.baseline,
        layer=found.layer,
        steps=steps,
        precision="float32" if found.float32 or reading.view.float32 else "bfloat16",
        score=score,
        baseline_score=start,
        completeness_error=None if start is None else _relative(found.maps.double().sum().item(), score - start),
        seconds=seconds,
        checkpoint=checkpoint.meta.name,
        features=clip.features.cpu()[back].numpy(),
    )


def _relative(total: float, change: float) -> float:
    return abs(total - change) / max(abs(change), 1e-6)


def views(model: ClipModel) -> tuple[str, ...]:
    """What `explain` can show of a model: `METHODS`, and its attention where it has some."""
    return tuple(VIEWS) if isinstance(model, Attentive) else tuple(METHODS)


def layers(model: ClipModel) -> tuple[str, ...]:
    """The stages of a model's backbone that Grad-CAM can read: those between the stem and the pooling."""
    return tuple(name for name, _ in model.backbone.named_children())[1:-1]


def _check(checkpoint: Checkpoint, method: str, steps: int) -> None:
    if method not in VIEWS:
        raise ValueError(f"unknown method '{method}'; choose one of {', '.join(VIEWS)}")
    if method not in views(checkpoint.model):
        raise CheckpointError(
            f"checkpoint '{checkpoint.meta.name}' has no attention maps; "
            f"choose one of {', '.join(views(checkpoint.model))}"
        )
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
