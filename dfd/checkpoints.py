"""Checkpoints: a folder with `model.safetensors` and `checkpoint.json`, all that is needed to judge a clip.

The weights carry no code and are never unpickled. The JSON holds the architecture, the crop recipe, the sequence
length, the threshold, and where all of it came from.
"""

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dfd import tracking
from dfd.errors import CheckpointError
from dfd.models import FrameOrder, build
from dfd.models.contract import ClipModel
from dfd.paths import atomic_dir
from dfd.recipe import CropRecipe

WEIGHTS = "model.safetensors"
META = "checkpoint.json"
Precision = Literal["float32", "bfloat16"]


class CheckpointMeta(BaseModel):
    """Everything about a checkpoint but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    model: dict[str, Any]  # `name` and the hyperparameters of `dfd.models.build`
    recipe: CropRecipe
    sequence_length: int = Field(ge=1)
    frame_order: FrameOrder = "natural"
    seed: int = 0
    threshold: float = Field(ge=0, le=1)  # fake at or above it
    threshold_fpr: float | None = None  # on the validation clips it was chosen on; None if it was not
    temperature: float | None = Field(None, gt=0)  # fitted on validation; the threshold is of p_fake without it
    store_as: Precision = "float32"
    reads: str = ""  # what it really reads, in a sentence, where that is not the whole sequence in order
    weights: str = "none"  # what the backbone started from
    corpus: str = ""  # what the head was trained on
    backbone_corpora: tuple[str, ...] = ()  # what the backbone was trained on
    data_digest: str = ""
    experiment: dict[str, Any] = {}
    git_commit: str = "unknown"
    dirty: bool = False
    run_id: str | None = None
    metrics: dict[str, float] = {}
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A detector with its weights loaded (eval mode, CPU, float32) and all that belongs to it."""

    model: ClipModel
    meta: CheckpointMeta
    ref: str  # what it was asked for by


def save(model: nn.Module, meta: CheckpointMeta, folder: Path) -> None:
    """Write a checkpoint; the folder appears whole or not at all."""
    state = {name: _stored(tensor, meta.store_as) for name, tensor in model.state_dict().items()}
    with atomic_dir(folder) as part:
        save_file(state, part / WEIGHTS)
        (part / META).write_text(meta.model_dump_json(indent=2), encoding="utf-8")


def keep(run: tracking.Run, model: nn.Module, meta: CheckpointMeta) -> None:
    """Store a checkpoint with the run that made it."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, meta, Path(folder) / tracking.CHECKPOINT)
        run.folder(Path(folder) / tracking.CHECKPOINT, tracking.CHECKPOINT)


def load(ref: str | Path) -> Checkpoint:
    """Load a checkpoint by folder, run id or registry name (`models:/dfd-detector@best`).

    Raises:
        CheckpointError: nothing is there, a file is damaged, or the weights do not fit the architecture.
        StoreError: the store does not know the run or model.
    """
    folder = Path(ref) if Path(ref).is_dir() else tracking.checkpoint_folder(str(ref))
    meta = read_meta(folder)
    try:
        hyperparameters = {**meta.model, "weights": "none"}  # the checkpoint's own weights replace any start
        model = build(hyperparameters.pop("name"), **hyperparameters)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{folder / META} describes a model this dfd cannot build: {error}") from None
    try:
        state = load_file(folder / WEIGHTS)
        model.load_state_dict({name: _working(tensor) for name, tensor in state.items()})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} is missing or damaged ({error}); copy the checkpoint again or train it anew"
        ) from None
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit the model that {META} beside it describes ({reason}); "
            "the two files must come from one checkpoint"
        ) from None
    model.weights = meta.weights
    return Checkpoint(model.eval(), meta, str(ref))


def read_meta(folder: Path) -> CheckpointMeta:
    """Read a checkpoint's description without its weights.

    Raises:
        CheckpointError: it is missing, unreadable or of an unknown format.
    """
    path = folder / META
    try:
        return CheckpointMeta.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {META}; name a folder that has one") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); copy the checkpoint again") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{path} does not fit this dfd: '{key}': {first['msg'].lower()}") from None


def round_weights(model: nn.Module, store_as: Precision) -> None:
    """Give a model, in place, the exact values its checkpoint will hold, so that figures are of what is stored."""
    state = model.state_dict()
    model.load_state_dict({name: _working(_stored(tensor, store_as)) for name, tensor in state.items()})


def _stored(tensor: torch.Tensor, store_as: Precision) -> torch.Tensor:
    # One-dimensional tensors (norms, biases, running statistics) are few and sensitive: they keep float32.
    narrow = store_as == "bfloat16" and tensor.is_floating_point() and tensor.dim() > 1
    return tensor.detach().cpu().to(torch.bfloat16 if narrow else tensor.dtype).contiguous()


def _working(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
