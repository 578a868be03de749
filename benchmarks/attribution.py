"""Attribution against its limits, and against Captum called as its README shows on the same model and clip, in one run.

    python -m benchmarks.attribution [--frames 20] [--steps 32] [--repeats 3] [--threads 2]

Captum's README calls `IntegratedGradients(model).attribute(inputs, baselines, ...)`. Without `internal_batch_size` that
holds the activations of frames x steps at once, some 20 GB for 20 frames, so by default Captum gets the batch size its
documentation offers for that, which bounds its memory about as ours is (`--captum-batch 0 --frames 4` does without).
Times are from crops to maps. dfd computes as its page does, in bfloat16 where this machine multiplies it fast. Captum
is called twice: as its README does, in float32, which is what counts; and within the autocast that dfd uses, which says
what remains of the difference in like precision.

That both compute the same is asked in float64, on fewer frames and steps: to 1e-4 of the largest value. In float32 it
cannot be: gradients jump where a rectifier's input changes sign, and the README's own float32 maps are some 1e-2 from
its float64 ones. How far each is from those, in float32 and as the page shows it, stands beside.

The panel over time (each frame's weight, the score without it, the verdict after each frame, 32 other orders) has no
peer; it is timed as the page draws it, after Grad-CAM has left the clip's features, and alone. A ResNeXt-50 + LSTM of
random weights with batch norms fitted; nothing is downloaded.

Limits: twice as fast as the README's call; equal to 1e-4; Grad-CAM 0.6 s, integrated gradients 15 s, the panel after
Grad-CAM 1.5 s. Exit code 1 if one is missed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.timing import line, ratio, timed
from dfd import attribution
from dfd.attribution import Attribution, Precision
from dfd.attribution.timeline import timeline
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.faces import FaceClip
from dfd.models import autocast, build, fast_bfloat16, to_input
from dfd.models.resnext_lstm import ResNeXtLSTM
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack

SIZE = 112
CPU = torch.device("cpu")
LIMITS = {"gradcam": 0.6, "integrated_gradients": 15.0}  # seconds, 20 frames on two cores
PANEL = 1.5  # seconds
TWICE = 2.0
SAME = 1e-4
FEW = 8  # frames and steps on which the maps are compared


def blotches(frames: int) -> FaceClip:
    """A clip of smooth noise; what it shows does not change the time."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(frames, SIZE, SIZE, 3)), (1, 3, 3, 0))
    crops = (128 + 60 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    boxes, landmarks = np.zeros((frames, 4), np.float32), np.zeros((frames, 5, 2), np.float32)
    track = FaceTrack(boxes, landmarks, np.arange(frames) / 30, np.arange(frames), np.ones(frames, bool))
    return FaceClip(crops, track, CropRecipe(size=SIZE), "blotches")


def detector(clip: FaceClip) -> Checkpoint:
    torch.manual_seed(0)
    model = build("resnext_lstm")
    model.backbone.train()
    with torch.no_grad():
        for _ in range(3):
            model.backbone(to_input(clip.crops[:16], clip.recipe))
    meta = CheckpointMeta(name="random", model={}, recipe=clip.recipe, sequence_length=len(clip.crops), threshold=0.5)
    return Checkpoint(model.eval(), meta, "random")


def ours(
    checkpoint: Checkpoint, clip: FaceClip, method: str, steps: int, precision: Precision = "fast"
) -> tuple[float, Attribution]:
    started = time.perf_counter()
    found = attribution.explain(checkpoint, clip, method, steps=steps, precision=precision, device=CPU)
    return time.perf_counter() - started, found


def captums(
    model: ResNeXtLSTM, clip: FaceClip, method: str, steps: int, batch: int, precision: AbstractContextManager[None]
) -> tuple[float, NDArray[np.float32]]:
    """Seconds and maps of the plain call."""

    def difference(clips: torch.Tensor) -> torch.Tensor:
        return model(clips).diff(dim=1)[:, 0]

    started = time.perf_counter()
    inputs = to_input(clip.crops, clip.recipe)
    baseline = attribution.blurred_face(inputs)  # in float32: a narrow convolution takes minutes in bfloat16 with AMX
    with precision:
        if method == "gradcam":
            coarse = LayerGradCam(difference, model.backbone.layer3).attribute(inputs[None])
            maps = LayerAttribution.interpolate(coarse, (SIZE, SIZE), "bilinear")[:, 0]
        else:
            maps, _ = IntegratedGradients(difference).attribute(
                inputs[None],
                baseline[None],
                n_steps=steps,
                internal_batch_size=batch or None,
                return_convergence_delta=True,
            )
            maps = maps[0].sum(dim=1)
    return time.perf_counter() - started, maps.detach().float().numpy()


def row(name: str, seconds: list[float], limit: float | None = None) -> bool:
    """A line of the table: median, least to most, and the limit it has; returns whether that is held."""
    spread = f"({min(seconds):.2f} to {max(seconds):.2f})"
    median = statistics.median(seconds)
    within = limit is None or median < limit
    held = "" if limit is None else f"{'within' if within else 'MISSES'} {limit:g} s"
    print(f"{name:<44}{median:8.2f} s  {spread:<18}{held}".rstrip(), flush=True)
    return within


def apart(maps: NDArray[np.float32], from_: NDArray[np.float32]) -> float:
    """The largest difference, in largest values."""
    return float(np.abs(maps - from_).max() / np.abs(from_).max())


def alike(method: str, checkpoint: Checkpoint, clip: FaceClip) -> bool:
    """Print how far both are from the README's maps in float64; returns whether ours in float64 are the same."""
    short = clip.at(np.arange(FEW))
    double = replace(checkpoint, model=deepcopy(checkpoint.model).double())
    plain: dict[str, Any] = {"method": method, "steps": FEW, "batch": 2, "precision": nullcontext()}
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):  # also where the code says float32
        truth = captums(double.model, short, **plain)[1]
        exact = apart(ours(double, short, method, FEW, "float32")[1].maps, truth)
    readme = apart(captums(checkpoint.model, short, **plain)[1], truth)
    single = apart(ours(checkpoint, short, method, FEW, "float32")[1].maps, truth)
    shown = apart(ours(checkpoint, short, method, FEW)[1].maps, truth)
    print(
        f"  from the README's maps in float64: dfd in float64 {exact:.1e} (limit {SAME:g}); README in float32", end=" "
    )
    print(f"{readme:.1e}, dfd in float32 {single:.1e}, as its page shows them {shown:.1e}\n", flush=True)
    return exact < SAME


def compare(method: str, checkpoint: Checkpoint, clip: FaceClip, options: argparse.Namespace) -> bool:
    """Print what a method takes, here and there; returns whether every limit is held."""
    model, steps, batch = checkpoint.model, options.steps, options.captum_batch
    precisions: dict[str, Callable[[], AbstractContextManager[None]]] = {"Captum, as its README": nullcontext}
    if fast_bfloat16(CPU):
        precisions["Captum, in bfloat16"] = partial(autocast, CPU)
    own: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in precisions}
    for _ in range(options.repeats):  # in turns, so that what else the machine does falls on all
        own.append(ours(checkpoint, clip, method, steps)[0])
        for name, precision in precisions.items():
            times[name].append(captums(model, clip, method, steps, batch, precision())[0])
    held = [row(f"{method}, dfd", own, LIMITS[method])]
    for name, theirs in times.items():
        row(f"{method}, {name}", theirs)
        ratios = [peer / mine for peer, mine in zip(theirs, own, strict=True)]
        if name.endswith("README"):
            held.append(ratio(f"  {name} / dfd", ratios, TWICE) >= TWICE)
        else:
            print(line(f"  {name} / dfd", ratios, "times"))
    held.append(alike(method, checkpoint, clip))
    return all(held)


def over_time(checkpoint: Checkpoint, clip: FaceClip, repeats: int) -> bool:
    """Print what the panel takes; returns whether its limit is held."""
    features = ours(checkpoint, clip, "gradcam", 1)[1].features
    asked = partial(timeline, checkpoint, clip, device=CPU)
    held = row("over time, after Grad-CAM", [timed(partial(asked, features=features)) for _ in range(repeats)], PANEL)
    row("over time, alone", [timed(asked) for _ in range(repeats)])
    return held


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--captum-batch", type=int, default=2, help="clips Captum reads at once; 0: all, as in its README"
    )
    parser.add_argument("--methods", nargs="+", default=list(LIMITS), choices=list(LIMITS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clip = blotches(options.frames)
    checkpoint = detector(clip)
    precision = "bfloat16" if fast_bfloat16(CPU) else "float32"
    print(
        f"{options.frames} frames of {SIZE} px, {options.steps} steps, {options.threads} threads, {precision}", end=""
    )
    print(f", {options.repeats} repeats: median (least to most)\n")
    held = [compare(method, checkpoint, clip, options) for method in options.methods]
    held.append(over_time(checkpoint, clip, options.repeats))
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
