"""A verdict along time: what each frame adds, what is said after each, and whether their order matters.

One pass of the backbone over the clip and one over its baseline serve all of it; where the clip was explained before,
its features are at hand. Every number is of the head on the features of the frames as they are read.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dfd.attribution.baselines import BASELINE
from dfd.attribution.over_time import OVER_TIME, frame_weights
from dfd.attribution.reading import Reading, read
from dfd.attribution.view import StopAsked, View
from dfd.checkpoints import Checkpoint
from dfd.faces import FaceClip
from dfd.models import p_fake
from dfd.progress import Progress, silent

ORDERS = 32  # shuffles of the frames
STEPS = 16  # of integrated gradients: the head is smoother than the backbone


@dataclass(frozen=True, slots=True)
class Timeline:
    """A clip of T frames over time; logits are the difference fake - real."""

    times: NDArray[np.float64]  # (T,) seconds from the clip's start
    weights: NDArray[np.float32]  # (T,) logits, integrated gradients from the baseline's features; positive for fake
    without: NDArray[np.float32]  # (T,) logits, score - score without the frame; NaN where it is the only one
    p_fake_after: NDArray[np.float32]  # (T,) had the clip ended at the frame, frames taken in the order of time
    p_fake: float  # of the clip as it is read
    p_fake_shuffled: NDArray[np.float32]  # (ORDERS,) of the same frames in other orders
    score: float  # logits
    baseline_score: float  # logits; `weights` sum to the score less this, up to integration error
    baseline: str
    seconds: float

    @property
    def over_time(self) -> str:
        """How `weights` were made."""
        return OVER_TIME.format(baseline=self.baseline, steps=STEPS)

    @property
    def order_effect(self) -> float:
        """Largest change of p_fake by another order, 0..1; 0 for a detector that does not look at the order."""
        return float(np.abs(self.p_fake_shuffled - self.p_fake).max())


def timeline(
    checkpoint: Checkpoint,
    face_clip: FaceClip,
    *,
    baseline: str = BASELINE,
    features: NDArray[np.float32] | None = None,
    progress: Progress = silent,
    should_stop: StopAsked | None = None,
    device: torch.device | None = None,
) -> Timeline:
    """A checkpoint's verdict on a face clip along time; sessions that share the checkpoint take turns.

    Args:
        features: `Attribution.features` of the same checkpoint and clip, where it was explained.

    Raises:
        CheckpointError: the crops were cut by another recipe than the checkpoint's.
        ValueError: unknown baseline, or features of another number of frames.
        Stopped: `should_stop` returned true.
    """
    with read(
        checkpoint, face_clip, baseline=baseline, progress=progress, should_stop=should_stop, device=device
    ) as reading:
        started = time.perf_counter()  # others' turns are not counted
        view, back = reading.view, reading.back
        progress(0.0, "Reading the frames")
        known = reading.features if features is None else _as_read(features, reading)
        start = reading.baseline_features
        progress(0.6, "Frames over time")
        weights = frame_weights(view, known, start, STEPS)
        progress(0.8, "Other orders of the frames")
        # Together: each time the head is asked it goes through its weights once a frame, however many clips there are.
        scores = view.score_in_parts(torch.cat([known[None], start[None], _shuffled(known)]))
        score, baseline_score = scores[:2].tolist()
        without = _without_each(view, known, score)
        with torch.no_grad():
            after = p_fake(view.prefix_logits(known[back.to(view.device)][None]))[0]
        seconds = time.perf_counter() - started
        progress(1.0, "Done")
    return Timeline(
        times=face_clip.track.times,
        weights=_array(weights[back]),
        without=_array(without[back]),
        p_fake_after=_array(after),
        p_fake=float(torch.tensor(score).sigmoid()),
        p_fake_shuffled=_array(scores[2:].sigmoid()),
        score=score,
        baseline_score=baseline_score,
        baseline=reading.baseline_name,
        seconds=seconds,
    )


def _as_read(features: NDArray[np.float32], reading: Reading) -> Tensor:
    """(T, F) of the frames in time -> of the frames as they are read."""
    if len(features) != len(reading.order):
        raise ValueError(f"features of {len(features)} frames, of a clip of {len(reading.order)}")
    return torch.from_numpy(features)[reading.order].to(reading.view.device)


def _without_each(view: View, features: Tensor, score: float) -> Tensor:
    """(T, F) -> (T,): score - score of the other T - 1 frames."""
    count = len(features)
    if count == 1:
        return features.new_full((1,), float("nan"))
    others = torch.stack([torch.cat([features[:at], features[at + 1 :]]) for at in range(count)])
    return score - view.score_in_parts(others)


def _shuffled(features: Tensor) -> Tensor:
    """(T, F) -> (ORDERS, T, F), always the same orders."""
    generator = torch.Generator().manual_seed(0)
    orders = torch.stack([torch.randperm(len(features), generator=generator) for _ in range(ORDERS)])
    return features[orders.to(features.device)]


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().float().cpu().numpy()
