"""Heat maps against Captum called as its README shows, on the same ResNeXt-50 + LSTM and clip, in one run.

    python -m benchmarks.attribution [--frames 20] [--steps 32] [--repeats 3] [--threads 2]

Captum's README calls `IntegratedGradients(model).attribute(inputs, baselines, ...)`. Without `internal_batch_size` that
holds the activations of frames x steps at once, some 20 GB for 20 frames, so by default Captum gets the batch size its
documentation offers for that, which bounds its memory about as ours is (`--captum-batch 0 --frames 4` does without).
Times are from crops to maps; the frames' weights over time, which Captum's call does not give, are timed apart. Nothing
is downloaded: the weights are random, with batch norms fitted.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dfd import attribution
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.faces import FaceClip
from dfd.models import autocast, build, fast_bfloat16, to_input
from dfd.models.resnext_lstm import ResNeXtLSTM
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack

SIZE = 112
CPU = torch.device("cpu")
Timed = tuple[float, NDArray[np.float32]]


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


class Laps:
    """Seconds between the messages of a progress."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = ("", time.perf_counter())

    def __call__(self, fraction: float, message: str) -> None:
        name, since = self.last
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0) + now - since
        self.last = (message.split(",")[0], now)


def ours(checkpoint: Checkpoint, clip: FaceClip, method: str, steps: int) -> tuple[Timed, float]:
    """((seconds, maps), seconds of the weights over time)."""
    laps = Laps()
    started = time.perf_counter()
    found = attribution.explain(checkpoint, clip, method, steps=steps, progress=laps, device=CPU)
    total = time.perf_counter() - started
    over_time = laps.laps["Frames over time"]
    return (total - over_time, found.maps), over_time


def captums(model: ResNeXtLSTM, clip: FaceClip, method: str, steps: int, batch: int) -> Timed:
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
                attribution._blurred(inputs)[None],
                n_steps=steps,
                internal_batch_size=batch or None,
                return_convergence_delta=True,
            )
            maps = maps[0].sum(dim=1)
    return time.perf_counter() - started, maps.detach().float().numpy()


def line(name: str, seconds: list[float]) -> str:
    return f"{name:<24}{statistics.median(seconds):7.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"


def compare(method: str, checkpoint: Checkpoint, clip: FaceClip, options: argparse.Namespace) -> None:
    times: dict[str, list[float]] = {"dfd": [], "captum": [], "over time": []}
    for _ in range(options.repeats):  # in turns, so that what else the machine does falls on both
        (seconds, maps), over_time = ours(checkpoint, clip, method, options.steps)
        peer_seconds, peer_maps = captums(checkpoint.model, clip, method, options.steps, options.captum_batch)
        times["dfd"].append(seconds)
        times["over time"].append(over_time)
        times["captum"].append(peer_seconds)
    ratio = statistics.median(times["captum"]) / statistics.median(times["dfd"])
    apart = np.abs(maps - peer_maps).max() / np.abs(peer_maps).max()
    print(f"\n{method}")
    print(line("  dfd", times["dfd"]))
    print(line("  captum", times["captum"]))
    print(f"  captum / dfd            {ratio:7.2f}")
    print(f"  largest difference      {apart:.1e} of the largest value")
    print(line("  dfd, frames over time", times["over time"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--captum-batch", type=int, default=2, help="clips Captum reads at once; 0: all, as in its README"
    )
    parser.add_argument("--methods", nargs="+", default=list(attribution.METHODS), choices=list(attribution.METHODS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clip = blotches(options.frames)
    checkpoint = detector(clip)
    precision = "bfloat16" if fast_bfloat16(CPU) else "float32"
    print(
        f"{options.frames} frames of {SIZE} px, {options.steps} steps, {options.threads} threads, {precision}", end=""
    )
    print(f", {options.repeats} repeats: median (least to most)")
    for method in options.methods:
        compare(method, checkpoint, clip, options)


if __name__ == "__main__":
    main()
