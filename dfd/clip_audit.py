"""One clip's part in the question whether heat maps are true: every method's maps, and two that know nothing.

What the methods share is worked out once: the clip's features and its baseline's, and what the score loses by each of
infidelity's squares. What is left costs passes of the network, and an `Effort` says how many.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, enable_grad

from dfd.attribution import LAYER, VIEWS, Reading, read
from dfd.attribution.asked import SAMPLES, STRIDE, Asked
from dfd.attribution.truth import (
    Squares,
    against_mask,
    curves,
    edge_map,
    infidelity_of,
    random_map,
    rank_correlation,
    sensitivity_of,
    squares,
)
from dfd.checkpoints import Checkpoint
from dfd.face_only import load_face_clip
from dfd.glossary import METHODS
from dfd.manifest import Clip
from dfd.progress import Progress
from dfd.truth_masks import mask_of

PROTOCOL = 2  # raise it when the same maps would come to other figures
CONTROLS = ("random map", "edge map")
FIGURES = (
    "pointing", "energy", "iou", "deletion", "insertion", "infidelity", "max_sensitivity", "after_random_weights",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on a clip. A method of fewer draws or steps is a rougher version of itself."""

    steps: int  # of integrated gradients
    samples: int  # of SmoothGrad and GradientSHAP
    stride: float  # of occlusion's window / side of the crop
    curve_steps: int  # of deletion and insertion
    squares: int  # of infidelity
    neighbours: int  # of max-sensitivity
    checked: int | None  # clips that each method explains again, for max-sensitivity and random weights; None: all

    @property
    def text(self) -> str:
        """What the figures rest on, for people."""
        return (
            f"integrated gradients of {self.steps} steps; SmoothGrad and GradientSHAP of {self.samples} draws; "
            f"occlusion every {self.stride:g} of the side; deletion and insertion in {self.curve_steps} parts; "
            f"{self.squares} squares of infidelity; max-sensitivity of {self.neighbours} neighbours and random weights "
            f"on {'all' if self.checked is None else self.checked} clips"
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """As a run records it."""
        each = {f"truth.{name}": "all" if value is None else value for name, value in asdict(self).items()}
        return {**each, "truth.effort": self.text, "truth.protocol": PROTOCOL}


QUICK = Effort(steps=4, samples=4, stride=0.25, curve_steps=3, squares=8, neighbours=1, checked=4)
THOROUGH = Effort(steps=32, samples=SAMPLES, stride=STRIDE, curve_steps=10, squares=24, neighbours=4, checked=None)


def clip_rows(
    checkpoint: Checkpoint,
    forgotten: Checkpoint | None,
    clip: Clip,
    methods: Sequence[str],
    effort: Effort,
    progress: Progress,
) -> list[Row]:
    """A row a method and control: whose clip it is, `way`, and FIGURES, NaN where there is none.

    Args:
        forgotten: the checkpoint with random weights; None: the methods explain this clip only once, and the two
            figures that need more have no value.
    """
    whole = load_face_clip(clip.path)
    meta = checkpoint.meta
    chosen = meta.recipe.positions(len(whole.crops), meta.sequence_length)
    face = whole.at(chosen)
    known = mask_of(clip)
    rows: list[Row] = []
    maps: dict[str, NDArray[np.float32]] = {}
    with read(checkpoint, face) as reading:
        order = reading.order.numpy()
        mask = None if known is None else known[chosen][order] >= 0.5
        progress(0.0, f"{clip.clip_id}: squares")
        lost = squares(reading, effort.squares)
        ways: dict[str, Callable[[], NDArray[np.float32]]] = {
            # Of every clip its own: one map for all would point at one place, right or wrong by luck.
            "random map": partial(random_map, face.crops.shape[:3], zlib.crc32(clip.clip_id.encode())),
            "edge map": partial(edge_map, face.crops[order]),
        }
        ways |= {name: partial(_maps, reading, name, effort) for name in methods}
        for number, (way, make) in enumerate(ways.items()):
            progress(number / len(ways), f"{clip.clip_id}: {way}")
            maps[way] = make()
            signed = way not in CONTROLS and METHODS[way].signed
            figures = _figures(reading, maps[way], mask, lost, effort, signed=signed)
            if forgotten is not None and way not in CONTROLS:
                again = partial(_explained, reading, way, effort)
                figures["max_sensitivity"] = sensitivity_of(again, reading.inputs, maps[way], effort.neighbours)
            rows.append({**facts_of_clip(clip), "way": way, **dict.fromkeys(FIGURES, float("nan")), **figures})
    if forgotten is not None:
        with read(forgotten, face) as blank:
            for row in rows[len(CONTROLS) :]:
                progress(1.0, f"{clip.clip_id}: {row['way']}, random weights")
                row["after_random_weights"] = rank_correlation(maps[row["way"]], _maps(blank, row["way"], effort))
    return rows


def facts_of_clip(clip: Clip) -> Row:
    """Whose clip it is, as its rows say."""
    return {
        "clip_id": clip.clip_id,
        "label": int(clip.label),
        "target_identity": clip.target_identity,
        "source_identity": clip.source_identity,
    }


def _figures(
    reading: Reading,
    maps: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    lost: Squares,
    effort: Effort,
    *,
    signed: bool,
) -> Row:
    found = curves(reading, maps, effort.curve_steps, signed=signed)
    row: Row = {
        "deletion": found.deletion_area,
        "insertion": found.insertion_area,
        "infidelity": infidelity_of(maps, lost),
    }
    if mask is not None:
        against = against_mask(maps, mask)
        row |= {"pointing": against.pointing, "energy": against.energy, "iou": against.iou}
    return row


def _explained(reading: Reading, method: str, effort: Effort, inputs: Tensor) -> Tensor:
    asked = replace(reading, inputs=inputs) if inputs is not reading.inputs else reading
    with enable_grad():  # Captum's metrics call without
        found = VIEWS[method](Asked(asked, effort.steps, LAYER, samples=effort.samples, stride=effort.stride))
    return found.maps.detach().float()


def _maps(reading: Reading, method: str, effort: Effort) -> NDArray[np.float32]:
    return _explained(reading, method, effort, reading.inputs).cpu().numpy()
