"""Attribution against its limits, and against Captum called as its README shows on the same model and clip, in one run.

    python -m benchmarks.attribution [--frames 20] [--steps 32] [--repeats 3] [--threads 2]

Captum's README calls `IntegratedGradients(model).attribute(inputs, baselines, ...)`. Without `internal_batch_size` that
holds the activations of frames x steps at once, some 20 GB for 20 frames, so by default Captum gets the batch size its
documentation offers for that, which bounds its memory about as ours is (`--captum-batch 0 --frames 4` does without).
Times are from crops to maps. The panel over time (each frame's weight, the score without it, the verdict after each
frame, 32 other orders) has no peer; it is timed as the page draws it, after Grad-CAM has left the clip's features, and
alone. A ResNeXt-50 + LSTM of random weights with batch norms fitted; nothing is downloaded.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.timing import timed
from dfd import attribution
from dfd.attribution import Attribution
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


def ours(checkpoint: Checkpoint, clip: FaceClip, method: str, steps: int) -> tuple[float, Attribution]:
    started = time.perf_counter()
    found = attribution.explain(checkpoint, clip, method, steps=steps, device=CPU)
    return time.perf_counter() - started, found


def captums(
    model: ResNeXtLSTM, clip: FaceClip, method: str, steps: int, batch: int
) -> tuple[float, NDArray[np.float32]]:
    """Seconds and maps of the plain call."""

    def difference(clips: torch.Tensor) -> torch.Tensor:
        return model(clips).diff(dim=1)[:, 0]

    started = time.perf_counter()
    inputs = to_input(clip.crops, clip.recipe)
    with autocast(CPU):
        if method == "gradcam":
            coarse = LayerGradCam(difference, model.backbone.layer3).attribute(inputs[None])
            maps = LayerAttribution.interpolate(coarse, (SIZE, SIZE), "bilinear")[:, 0]
        else:
            maps, _ = IntegratedGradients(difference).attribute(
                inputs[None],
                attribution.blurred_face(inputs)[None],
                n_steps=steps,
                internal_batch_size=batch or None,
                return_convergence_delta=True,
            )
            maps = maps[0].sum(dim=1)
    return time.perf_counter() - started, maps.detach().float().numpy()


def row(name: str, seconds: list[float], limit: float | None = None, beside: str = "") -> None:
    """A line of the table: median, least to most, and the limit it has."""
    spread = f"({min(seconds):.2f} to {max(seconds):.2f})"
    median = statistics.median(seconds)
    held = "" if limit is None else f"{'within' if median < limit else 'MISSES'} {limit:g} s"
    print(f"{name:<38}{median:8.2f} s  {spread:<18}{held:<16}{beside}", flush=True)


def compare(method: str, checkpoint: Checkpoint, clip: FaceClip, options: argparse.Namespace) -> None:
    times: dict[str, list[float]] = {"dfd": [], "captum": []}
    for _ in range(options.repeats):  # in turns, so that what else the machine does falls on both
        seconds, found = ours(checkpoint, clip, method, options.steps)
        peer_seconds, peer_maps = captums(checkpoint.model, clip, method, options.steps, options.captum_batch)
        times["dfd"].append(seconds)
        times["captum"].append(peer_seconds)
    ratio = statistics.median(times["captum"]) / statistics.median(times["dfd"])
    apart = np.abs(found.maps - peer_maps).max() / np.abs(peer_maps).max()
    row(f"{method}, dfd", times["dfd"], LIMITS[method], f"{ratio:.2f} times as fast as Captum (limit {TWICE:g})")
    row(f"{method}, Captum", times["captum"], None, f"largest difference {apart:.1e} of the largest value")


def over_time(checkpoint: Checkpoint, clip: FaceClip, repeats: int) -> None:
    features = ours(checkpoint, clip, "gradcam", 1)[1].features
    for name, known in (("over time, after Grad-CAM", features), ("over time, alone", None)):
        asked = partial(timeline, checkpoint, clip, features=known, device=CPU)
        row(name, [timed(asked) for _ in range(repeats)], PANEL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
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
    for method in options.methods:
        compare(method, checkpoint, clip, options)
    over_time(checkpoint, clip, options.repeats)


if __name__ == "__main__":
    main()
