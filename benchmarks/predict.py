"""What a verdict costs beside the least it could cost: decoding the frames it reads, and the network on them.

    python -m benchmarks.predict [CLIP] [--frames 20] [--repeats 7] [--sampling consecutive|even]

Both are timed in turn in one process, with the model loaded and the clip in the file cache:

- floor: decord opens the clip and decodes the frames in this very process; the network reads their crops
- verdict: `Detector.judge`, from the path to the decision

The limit is a ratio of 4. The first verdict of a process is shown too: it also starts the decoding process. Without
CLIP a 512 px, 10 s clip of scikit-image's portrait is made. Exit code 1 if the median ratio is above the limit.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import decord
import numpy as np
import torch
from skimage.data import astronaut

from benchmarks.timing import timed
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.inference import Detector
from dfd.models import autocast, build, p_fake, to_input
from dfd.recipe import CropRecipe
from dfd.video import probe, write_video

LIMIT = 4.0


def make_clip(path: Path, *, size: int = 512, frames: int = 300) -> None:
    """A talking head's worth of motion: the portrait drifts over its own picture, under sensor noise."""
    generator = np.random.default_rng(0)
    portrait = np.pad(astronaut(), ((64, 64), (64, 64), (0, 0)), mode="reflect")
    noise = generator.normal(0, 3, (8, size, size, 1))
    pixels = np.empty((frames, size, size, 3), np.uint8)
    for at in range(frames):
        y, x = 64 + round(30 * np.sin(at / 20)), 64 + round(40 * np.sin(at / 31))
        pixels[at] = (portrait[y : y + size, x : x + size] + noise[at % 8]).clip(0, 255)
    write_video(path, pixels, 30, crf=23)


def main() -> int:
    """Measure, print a table and a JSON line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sampling", choices=("consecutive", "even"), default="consecutive")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = asked.clip or Path(folder) / "portrait.mp4"
        if asked.clip is None:
            make_clip(clip)
        return measure(clip, asked.frames, asked.repeats, CropRecipe(sampling=asked.sampling))


def measure(clip: Path, frames: int, repeats: int, recipe: CropRecipe) -> int:
    """Time floor and verdict in turn."""
    torch.manual_seed(0)
    meta = CheckpointMeta(
        name="untrained", model={"name": "resnext_lstm"}, recipe=recipe, sequence_length=frames, threshold=0.5
    )
    detector = Detector(Checkpoint(build("resnext_lstm").eval(), meta, "untrained"))
    device = next(detector._model.parameters()).device
    first = timed(lambda: detector.judge(clip))
    verdict = detector.judge(clip)
    if verdict.face_clip is None or verdict.p_fake is None:
        print(f"{clip} gives no verdict: {verdict.message}", file=sys.stderr)
        return 1
    crops, indices = verdict.face_clip.crops, verdict.face_clip.track.indices

    def decode() -> None:
        decord.VideoReader(str(clip)).get_batch(indices).asnumpy()

    def network() -> None:
        with torch.inference_mode(), autocast(device):
            p_fake(detector._model(to_input(crops, recipe)[None].to(device))).cpu()

    for work in (decode, network):
        work()
    rows = []
    for _ in range(repeats):
        floor = timed(decode), timed(network)
        whole = timed(lambda: detector.judge(clip))
        rows.append((*floor, whole, whole / sum(floor)))
    return report(clip, np.array(rows), first, verdict.stages, detector.device_name, len(crops))


def report(clip: Path, rows: np.ndarray, first: float, stages: dict[str, float], device: str, frames: int) -> int:
    """Print medians and ranges of (R, 4) seconds and ratio; returns the exit code."""
    info = probe(clip)
    print(f"{info.width}x{info.height}, {info.duration:.1f} s, {frames} frames read, on {device}")
    for name, column in zip(("decode only", "network", "verdict", "ratio"), rows.T, strict=True):
        print(f"  {name:<12} median {np.median(column):6.3f}   range {column.min():.3f} to {column.max():.3f}")
    print(f"  a verdict's stages: {', '.join(f'{name} {seconds:.3f}' for name, seconds in stages.items())}")
    ratio = float(np.median(rows[:, 3]))
    print(f"  first verdict {first:.3f} ({first / float(np.median(rows[:, :2].sum(axis=1))):.2f} times the floor)")
    print(json.dumps({"ratio": round(ratio, 3), "limit": LIMIT, "low": rows[:, 3].min(), "high": rows[:, 3].max()}))
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
