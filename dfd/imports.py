"""Published detectors, as the files people already have, made into checkpoints that do what those files do.

Known are the .pt files of the public ResNeXt-LSTM code (a state dict, read without running anything in it) and the .h5
files of MesoNet (Keras 2 weights). Their logits are those of the code they came from, on the same crops; the crops are
dfd's own: MTCNN's box, made square, in the size, colour order and normalisation of the original. Nothing was chosen on
validation clips: the threshold is 0.5, as there, and no test figures come with them. An import is a run of kind
"imported", so that checkpoints are found in one place and yet no chart takes it for a measurement.
"""

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch._weights_only_unpickler import UnpicklingError

from dfd import checkpoints, provenance, tracking
from dfd.checkpoints import CheckpointMeta
from dfd.errors import CheckpointError
from dfd.models import build
from dfd.models.contract import ClipModel
from dfd.models.meso import GRID
from dfd.recipe import CropRecipe

Legacy = Literal["legacy_last", "legacy_mean"]

RESNEXT_RECIPE = CropRecipe(size=112, margin=1.0, colour="bgr", sampling="consecutive")
MESO_RECIPE = CropRecipe(size=256, margin=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), sampling="even")
MESO_FRAMES = 16
THRESHOLD = 0.5
READS: dict[str, str] = {
    "legacy_last": "It reads one frame, the last: the published code's LSTM recurs over the batch axis, so that no "
    "frame is read with those before it, and its web app serves the last one.",
    "legacy_mean": "It reads each frame alone and takes the mean: the published code's LSTM recurs over the batch "
    "axis, so that no frame is read with those before it.",
    "meso": "It reads each frame alone and takes the mean of their p_fake.",
}
_KIND = "imported"
_PROTOCOL = 1  # part of every key: raise it when the same file would come to another checkpoint
# Of the published state dict: torchvision's ResNeXt without its last layer, as a sequence, then the head.
_RESNEXT_PARTS = {
    "model.0.": "backbone.stem.0.",
    "model.1.": "backbone.stem.1.",
    "model.4.": "backbone.layer1.",
    "model.5.": "backbone.layer2.",
    "model.6.": "backbone.layer3.",
    "model.7.": "backbone.layer4.",
    "lstm.": "head.lstm.",
    "linear1.": "head.linear.",
}
_MESO_BY_CONVOLUTIONS = {4: "meso4", 16: "mesoinception4"}
_KERAS_LAYER = re.compile(r"(conv2d|batch_normalization|dense)(?:_(\d+))?")

KerasLayers = dict[str, list[dict[str, h5py.Dataset]]]
"""Layers that have weights, by kind and in the order they were made: each layer's arrays by name."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a published file holds, in dfd's words."""

    model: ClipModel
    described: dict[str, Any]  # name and hyperparameters of `dfd.models.build`
    recipe: CropRecipe
    sequence_length: int
    reads: str


def import_file(path: Path, temporal: Legacy | None = None, sequence_length: int | None = None) -> str:
    """Make a published file a checkpoint of the store; returns its run id. The same import is not made twice.

    Args:
        path: .pt (or .pth) or .h5.
        temporal: of a .pt file: the web app's last frame, by default, or the mean over frames.
        sequence_length: frames it is given; by default what a .pt file's name says, and 16 for Meso.

    Raises:
        CheckpointError: the file is none of these, or is not whole.
    """
    key = _key(path, temporal, sequence_length)
    done = tracking.finished(key)
    if done is not None:
        return done
    published = read_published(path, temporal, sequence_length)
    weights = f"published file {path.name}"
    with tracking.start_run(path.stem, tags={"dfd.kind": _KIND, "dfd.key": key, "dfd.weights": weights}) as run:
        described = {"model.sequence_length": published.sequence_length}
        run.params(described | {f"model.{name}": value for name, value in published.described.items()})
        code = provenance.commit()
        meta = CheckpointMeta(
            name=path.stem,
            model=published.described,
            recipe=published.recipe,
            sequence_length=published.sequence_length,
            threshold=THRESHOLD,
            reads=published.reads,
            weights=weights,
            git_commit=code.hash,
            dirty=code.dirty,
            run_id=run.run_id,
        )
        checkpoints.keep(run, published.model, meta)
        run.tags({"dfd.threshold": THRESHOLD})  # last: it marks a run whose checkpoint is whole
    run.register()
    return run.run_id


def read_published(path: Path, temporal: Legacy | None = None, sequence_length: int | None = None) -> Published:
    """Read a published file; see `import_file`.

    Raises:
        CheckpointError: the file is none that is known, or is not whole.
    """
    most = RESNEXT_RECIPE.max_frames
    if sequence_length is not None and not 1 <= sequence_length <= most:
        raise CheckpointError(f"the sequence length of {path} must be from 1 to {most}, not {sequence_length}")
    if path.suffix.lower() in (".pt", ".pth"):
        return _read_resnext(path, temporal or "legacy_last", sequence_length)
    if path.suffix.lower() in (".h5", ".hdf5"):
        if temporal is not None:
            raise CheckpointError(
                f"{path} is a MesoNet file, which has no choice of '{temporal}'; leave --temporal out"
            )
        return _read_meso(path, sequence_length or MESO_FRAMES)
    raise CheckpointError(f"{path} is no file that can be imported; give a .pt of the ResNeXt-LSTM or a .h5 of MesoNet")


def _key(path: Path, temporal: Legacy | None, sequence_length: int | None) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}); name the published file") from None
    digest.update(f"import {_PROTOCOL} {path.name} {temporal or 'legacy_last'} {sequence_length}".encode())
    return digest.hexdigest()[:20]


def _read_resnext(path: Path, temporal: Legacy, sequence_length: int | None) -> Published:
    told = re.search(r"_(\d+)_frames", path.stem)
    length = sequence_length or (int(told[1]) if told else 0)
    if not 1 <= length <= RESNEXT_RECIPE.max_frames:
        raise CheckpointError(
            f"the name of {path} does not say how many frames it reads, as in model_97_acc_60_frames_FF_data.pt; "
            "add --sequence-length"
        )
    state = _read_state(path)
    recurrent = state.get("lstm.weight_hh_l0")
    if recurrent is None or recurrent.dim() != 2:
        raise CheckpointError(f"{path} has no whole 'lstm.weight_hh_l0', which every ResNeXt-LSTM has; {_ANOTHER}")
    hyperparameters = {"hidden": recurrent.shape[1], "pooling": temporal.removeprefix("legacy_")}
    model = build("resnext_published", **hyperparameters)
    names = {_published_name(name): name for name in model.state_dict()}
    _fits(path, state, {theirs: model.state_dict()[ours] for theirs, ours in names.items()})
    for name in ("linear1.weight", "linear1.bias"):
        state[name] = state[name].flip(0)  # there 0 is fake
    model.load_state_dict({names[name]: tensor for name, tensor in state.items()})
    described = {"name": "resnext_published", **hyperparameters}
    return Published(model.eval(), described, RESNEXT_RECIPE, length, READS[temporal])


_ANOTHER = "give a file of the public ResNeXt-LSTM code"
# What torch.load was seen to raise over bytes of a file that had been cut or changed, and h5py over such a file.
_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    struct.error,
)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise CheckpointError(
            f"{path} is not a file of tensors alone, and dfd runs no code that a file brings; "
            "save the model's state_dict() where it was made, and import that"
        ) from None
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is missing, damaged or no torch file ({reason}); copy it again") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path} is not a state dict, names with their tensors; {_ANOTHER}")
    return {str(name): value for name, value in state.items()}


def _published_name(name: str) -> str:
    return next(theirs + name.removeprefix(ours) for theirs, ours in _RESNEXT_PARTS.items() if name.startswith(ours))


def _fits(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in state:
            raise CheckpointError(f"{path} lacks '{name}', which the published ResNeXt-LSTM has; {_ANOTHER}")
        if state[name].shape != tensor.shape:
            shapes = f"{tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            raise CheckpointError(f"'{name}' of {path} has the shape {shapes}; {_ANOTHER}")
    unknown = sorted(set(state) - set(expected))
    if unknown:
        raise CheckpointError(f"{path} has '{unknown[0]}', which the published ResNeXt-LSTM has not; {_ANOTHER}")


def _read_meso(path: Path, sequence_length: int) -> Published:
    try:
        with h5py.File(path, "r") as file:
            layers = _keras_layers(file)
            name = _MESO_BY_CONVOLUTIONS.get(len(layers["conv2d"]))
            if name is None:
                raise CheckpointError(
                    f"{path} has {len(layers['conv2d'])} convolutions, where Meso-4 has 4 and MesoInception-4 has 16; "
                    "give a file of MesoNet"
                )
            model = build(name)
            _fill(path, model, layers)
    except _DAMAGE as error:
        raise CheckpointError(f"{path} is missing, damaged or no HDF5 file ({error}); copy it again") from None
    return Published(model.eval(), {"name": name}, MESO_RECIPE, sequence_length, READS["meso"])


def _keras_layers(file: h5py.File) -> KerasLayers:
    """By the numbers in their names, which count up as a program makes layers; files list them in another order."""
    found: dict[tuple[str, int], dict[str, h5py.Dataset]] = {}

    def collect(place: str, entry: h5py.Dataset | h5py.Group) -> None:
        layer, _, rest = place.removeprefix("model_weights/").partition("/")
        named = _KERAS_LAYER.fullmatch(layer)
        if named and isinstance(entry, h5py.Dataset):
            arrays = found.setdefault((named[1], int(named[2] or 0)), {})
            arrays[rest.rpartition("/")[2].partition(":")[0]] = entry

    file.visititems(collect)  # follows no link out of the file
    layers: KerasLayers = {"conv2d": [], "batch_normalization": [], "dense": []}
    for (kind, _), arrays in sorted(found.items()):
        layers[kind].append(arrays)
    return layers


@torch.no_grad()
def _fill(path: Path, model: ClipModel, layers: KerasLayers) -> None:
    places = _keras_places(model)
    for kind, slots in places.items():
        if len(layers[kind]) != len(slots):
            raise CheckpointError(
                f"{path} has {len(layers[kind])} layers of kind {kind}, where MesoNet has {len(slots)}; "
                "give a whole file of MesoNet"
            )
        for number, (slot, arrays) in enumerate(zip(slots, layers[kind], strict=True), start=1):
            for name, place in slot.items():
                flat = (place[..., 0].numel(), place.shape[-1]) if kind == "dense" and place.dim() > 1 else place.shape
                array = arrays.get(name)
                if array is None or array.shape != tuple(flat) or array.dtype.kind != "f":
                    what = "missing" if array is None else f"{array.dtype} {array.shape}, not numbers {tuple(flat)}"
                    raise CheckpointError(f"'{name}' of {kind} layer {number} in {path} is {what}; copy the file again")
                place.copy_(torch.from_numpy(np.asarray(array, np.float32)).view(place.shape))


def _keras_places(model: ClipModel) -> dict[str, list[dict[str, Tensor]]]:
    """A Meso network's tensors by kind of layer and Keras's names, each seen in Keras's layout: channels last."""
    places: dict[str, list[dict[str, Tensor]]] = {"conv2d": [], "batch_normalization": [], "dense": []}
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            places["conv2d"].append({"kernel": layer.weight.permute(2, 3, 1, 0), "bias": layer.bias})
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            statistics = {"moving_mean": layer.running_mean, "moving_variance": layer.running_var}
            places["batch_normalization"].append({"gamma": layer.weight, "beta": layer.bias, **statistics})
        elif isinstance(layer, nn.Linear):
            kernel = layer.weight.t()
            if not places["dense"]:  # the first reads a map, flattened there with its channels last
                kernel = layer.weight.unflatten(1, (-1, GRID, GRID)).permute(2, 3, 1, 0)
            places["dense"].append({"kernel": kernel, "bias": layer.bias})
    return places
