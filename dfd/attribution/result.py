"""What an attribution comes to over space, and its files; over time it is `dfd.attribution.timeline`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfd import overlays as pictures
from dfd.faces import FaceClip

TARGET = "logit(fake) - logit(real)"
UNSIGNED = f"{TARGET}, by how much, not which way"
NO_TARGET = "none: attention is where the network looks, whatever it concludes"


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the score of a face clip rests on. The score is the logit difference fake - real."""

    method: str  # a key of VIEWS
    # (T, H, W) signed, positive for fake; logits if integrated gradients, else no unit. Attention has no sign.
    maps: NDArray[np.float32]
    times: NDArray[np.float64]  # (T,) seconds from the clip's start
    target: str  # of the maps
    baseline: str | None  # of the maps; None for a method without one
    layer: str | None
    steps: int
    precision: str  # that the maps were computed in: float32 or bfloat16
    score: float
    baseline_score: float | None  # of a method whose maps are to sum to score - baseline_score
    completeness_error: float | None  # |sum of maps - (score - baseline_score)| / |score - baseline_score|
    seconds: float
    checkpoint: str
    features: NDArray[np.float32]  # (T, F) of the clip, as `timeline` takes them


def overlays(
    attribution: Attribution,
    crops: NDArray[np.uint8],
    *,
    opacity: float = 0.7,
    palette: str = pictures.PALETTE,
    side: pictures.Side = "both",
) -> NDArray[np.uint8]:
    """The maps over the crops they explain, on one scale: (T, S, S, 3) uint8 RGB in and out; see `dfd.overlays`."""
    return pictures.blend(attribution.maps, crops, opacity=opacity, palette=palette, side=side)


def facts_of(attribution: Attribution, face_clip: FaceClip) -> dict[str, Any]:
    """What an attribution is, but for its maps, as JSON types."""
    return {
        "clip": face_clip.source,
        "checkpoint": attribution.checkpoint,
        "method": attribution.method,
        "target": attribution.target,
        "baseline": attribution.baseline,
        "layer": attribution.layer,
        "steps": attribution.steps,
        "precision": attribution.precision,
        "size": list(attribution.maps.shape),
        "scale": pictures.scale_of(attribution.maps),
        "score": attribution.score,
        "baseline_score": attribution.baseline_score,
        "completeness_error": attribution.completeness_error,
        "times": attribution.times.tolist(),
        "seconds": attribution.seconds,
    }


def write(
    attribution: Attribution, face_clip: FaceClip, out: Path, facts: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write one heat map a frame (`frame_000.png`, over its crop) and `attribution.json`; return their paths.

    Args:
        facts: what the JSON says; `facts_of` by default.

    Raises:
        DfdError: `out` is a file, or has files of these names that are not an earlier attribution's.
    """
    told = facts_of(attribution, face_clip) if facts is None else facts
    return pictures.write_folder(overlays(attribution, face_clip.crops), told, out)
