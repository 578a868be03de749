"""How near a trained detector's maps in bfloat16, which pages and commands show, are to its maps in float32.

    python -m benchmarks.precision CORPUS --checkpoints RUN [RUN ...] [--clips 6]

Of the same test clips, half of them real, of a corpus of the store's home, by each method of a detector, at the steps,
layer and baseline that are usual:

- rank: Spearman's correlation of the strengths of a frame's pixels (1: the same order), mean over frames; of the clips
  the mean, and the least
- moved: how far a frame's strongest pixel lies from where it lay in float32, in pixels; median of all frames, and the
  share of frames in which it moved by more than a tenth of the picture
- p_fake: the largest change of the score itself

There is nothing to compare where the machine has no fast bfloat16: the maps are float32 ones there. There is no limit;
it is what a reader of a map should know.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.attribution import in_float
from dfd import attribution
from dfd.attribution import Attribution
from dfd.attribution.truth import rank_correlation
from dfd.checkpoints import Checkpoint, load
from dfd.data import face_corpus
from dfd.face_only import load_face_clip
from dfd.faces import FaceClip
from dfd.models import fast_bfloat16
from dfd.subsets import subset

FAR = 0.1  # of the picture's side


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


def row(method: str, pairs: Sequence[tuple[Attribution, Attribution]]) -> str:
    """A line of the table, from each clip's maps in bfloat16 and in float32."""
    ranks = [rank_correlation(narrow.maps, wide.maps) for narrow, wide in pairs]
    moved = np.concatenate(
        [np.linalg.norm(strongest(narrow.maps) - strongest(wide.maps), axis=1) for narrow, wide in pairs]
    )
    far = (moved > FAR * pairs[0][0].maps.shape[-1]).mean()
    score = max(abs(expit(narrow.score) - expit(wide.score)) for narrow, wide in pairs)
    cells = f"{np.mean(ranks):.3f} | {min(ranks):.3f} | {np.median(moved):.1f} px | {far:.0%} | {score:.4f}"
    return f"| {method} | {cells} |"


def compare(checkpoint: Checkpoint, clips: Sequence[FaceClip]) -> None:
    """Print a table: a row a method."""
    print(f"\n{checkpoint.meta.name}, run {checkpoint.meta.run_id}, {len(clips)} clips\n")
    print("| method | rank, mean | rank, least | moved, median | moved far | p_fake |")
    print("| --- | --- | --- | --- | --- | --- |")
    cpu = torch.device("cpu")
    for method in attribution.views(checkpoint.model):
        pairs = []
        for clip in clips:
            narrow = attribution.explain(checkpoint, clip, method, device=cpu)
            with in_float("float32"):
                wide = attribution.explain(checkpoint, clip, method, device=cpu)
            pairs.append((narrow, wide))
        print(row(method, pairs), flush=True)


def main() -> int:
    """Measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--checkpoints", nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=6)
    asked = parser.parse_args()
    if not fast_bfloat16(torch.device("cpu")):
        raise SystemExit("this machine multiplies no bfloat16 fast: its maps are float32 ones")
    for ref in asked.checkpoints:
        checkpoint = load(ref)
        compare(checkpoint, scored(asked.corpus, asked.clips, checkpoint))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
