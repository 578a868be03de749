"""How near a trained detector's maps, as pages and commands show them, are to its maps in float32, and to true ones.

    python -m benchmarks.precision CORPUS --checkpoints RUN [RUN ...] [--clips 6] [--longer 8]

Saliency is shown in float32 in any case, all else in bfloat16 where the machine multiplies it fast, unless float32 is
asked for (`dfd explain --precision float32`, "Precision" on the Attribution page).

Of the same test clips, half of them real, of a corpus of the store's home, by each method of a detector, at the steps,
layer and baseline that are usual:

- rank: Spearman's correlation of the strengths of a frame's pixels (1: the same order), mean over frames; of the clips
  the mean, and the least
- moved: how far a frame's strongest pixel lies from where it lay in float32, in pixels; median of all frames, and the
  share of frames in which it moved by more than a tenth of the picture
- p_fake: the largest change of the score itself

Three methods are means of many gradients, whose number is a matter of patience: the steps of integrated gradients, the
draws of SmoothGrad and GradientSHAP. Of these a second table takes the float32 map of `--longer` times the usual number
for the true one, and tells how near to it bfloat16 and float32 come with the usual number, and bfloat16 with twice
that, which takes about as long as float32 with the usual.

There is nothing to compare where the machine has no fast bfloat16: the maps are float32 ones there. There is no limit;
it is what a reader of a map should know.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from dfd import attribution
from dfd.attribution import LAYER, STEPS, VIEWS, Precision, read
from dfd.attribution.asked import SAMPLES, Asked
from dfd.attribution.truth import rank_correlation
from dfd.checkpoints import Checkpoint, load
from dfd.data import face_corpus
from dfd.face_only import load_face_clip
from dfd.faces import FaceClip
from dfd.models import fast_bfloat16
from dfd.subsets import subset

FAR = 0.1  # of the picture's side
WAYS: tuple[tuple[str, Precision, int], ...] = (
    ("bfloat16", "fast", 1),
    ("float32", "float32", 1),
    ("bfloat16, twice as many", "fast", 2),
)
MEANS = ("integrated_gradients", "smoothgrad", "gradient_shap")


def scored(corpus: str, count: int, checkpoint: Checkpoint) -> list[FaceClip]:
    """The frames that a checkpoint reads of some test clips."""
    chosen = subset(face_corpus(corpus).of_both_classes().split("test"), count, None, seed=0)
    meta = checkpoint.meta
    wholes = [load_face_clip(clip.path) for clip in chosen]
    return [whole.at(meta.recipe.positions(len(whole.crops), meta.sequence_length)) for whole in wholes]


def strongest(maps: NDArray[np.float32]) -> NDArray[np.int64]:
    """(T, 2) row and column of each frame's largest value."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)


@dataclass(frozen=True, slots=True)
class Told:
    """A clip's maps (T, H, W) and its score, by one way of asking."""

    maps: NDArray[np.float32]
    score: float


def ask(checkpoint: Checkpoint, clip: FaceClip, method: str, precision: Precision, times: int = 1) -> Told:
    """What a method finds with so many times its usual steps and draws."""
    with read(checkpoint, clip, precision=precision, device=torch.device("cpu")) as reading:
        found = VIEWS[method](Asked(reading, STEPS * times, LAYER, samples=SAMPLES * times))
        return Told(found.maps.float().numpy(), (found.clip or reading.judged).score.item())


def figures(pairs: Sequence[tuple[Told, Told]]) -> list[str]:
    """The cells of a line, from each clip's maps and those that they are compared with."""
    ranks = [rank_correlation(narrow.maps, wide.maps) for narrow, wide in pairs]
    moved = np.concatenate(
        [np.linalg.norm(strongest(narrow.maps) - strongest(wide.maps), axis=1) for narrow, wide in pairs]
    )
    far = (moved > FAR * pairs[0][0].maps.shape[-1]).mean()
    return [f"{np.mean(ranks):.3f}", f"{min(ranks):.3f}", f"{np.median(moved):.1f} px", f"{far:.0%}"]


def write(cells: Sequence[str]) -> None:
    """A line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def compare(checkpoint: Checkpoint, clips: Sequence[FaceClip]) -> None:
    """Print the first table: a row a method."""
    print(f"\n{checkpoint.meta.name}, run {checkpoint.meta.run_id}, {len(clips)} clips\n")
    write(["as shown, beside float32", "rank, mean", "rank, least", "moved, median", "moved far", "p_fake"])
    write(["---"] * 6)
    for method in attribution.views(checkpoint.model):
        pairs = [(ask(checkpoint, clip, method, "fast"), ask(checkpoint, clip, method, "float32")) for clip in clips]
        score = max(abs(expit(narrow.score) - expit(wide.score)) for narrow, wide in pairs)
        write([method, *figures(pairs), f"{score:.4f}"])


def compare_with_longer(checkpoint: Checkpoint, clips: Sequence[FaceClip], longer: int) -> None:
    """Print the second table: of the methods that are means, each in three ways."""
    print(f"\nbeside float32 with {longer} times the steps and draws\n")
    write(["method", "seconds a clip", "rank, mean", "rank, least", "moved, median", "moved far"])
    write(["---"] * 6)
    for method in MEANS:
        true = [ask(checkpoint, clip, method, "float32", longer) for clip in clips]
        for called, precision, times in WAYS:
            started = time.perf_counter()
            found = [ask(checkpoint, clip, method, precision, times) for clip in clips]
            seconds = (time.perf_counter() - started) / len(clips)
            write([f"{method}, {called}", f"{seconds:.1f}", *figures(list(zip(found, true, strict=True)))])


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--checkpoints", nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--longer", type=int, default=8, help="0: without the second table")
    asked = parser.parse_args()
    if not fast_bfloat16(torch.device("cpu")):
        raise SystemExit("this machine multiplies no bfloat16 fast: its maps are float32 ones")
    for ref in asked.checkpoints:
        checkpoint = load(ref)
        clips = scored(asked.corpus, asked.clips, checkpoint)
        compare(checkpoint, clips)
        if asked.longer:
            compare_with_longer(checkpoint, clips, asked.longer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
