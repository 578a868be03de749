"""What a run that was interrupted goes on from: all that its next epoch depends on, in one file.

The file lies in `data/training` of dfd's home under the run's key, as safetensors with JSON in its header. After an
epoch it is written whole or not at all, if a minute or ten times what writing takes has passed since the last time: so
much work is the most that a kill can cost, or an epoch, where that takes longer. It is removed once the run is
finished; deleting it costs only that the run starts anew. Beside it lies, while a process trains the run, who that is.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dfd import distributed, provenance
from dfd.errors import ExperimentError
from dfd.paths import atomic_file, data_dir

log = logging.getLogger(__name__)

FORMAT = 1
EVERY = 60.0  # seconds between two writes
SHARE = 10  # times what the last write took


@dataclass(frozen=True, slots=True)
class State:
    """Where a fit is after an epoch."""

    tensors: Mapping[str, Tensor]  # named part.name
    facts: Mapping[str, Any]  # JSON types, infinity and NaN among them

    @classmethod
    def of(cls, parts: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> "State":
        """Put together from its parts."""
        return cls({f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}, facts)

    def part(self, part: str) -> dict[str, Tensor]:
        """The tensors of one part, empty where there is none of it."""
        start = f"{part}."
        return {name.removeprefix(start): value for name, value in self.tensors.items() if name.startswith(start)}


@dataclass(slots=True)
class Keeper:
    """Keeps the state of one run."""

    path: Path
    _free: float = field(default_factory=lambda: time.monotonic())  # when the last write was done
    _took: float = 0.0  # seconds, the last write

    def due(self) -> bool:
        """Whether the state of the present epoch is worth its writing."""
        return time.monotonic() - self._free >= max(EVERY, SHARE * self._took)

    def save(self, state: State) -> None:
        """Write a state in the place of the one before."""
        started = time.monotonic()
        packed = {name: _packed(tensor) for name, tensor in state.tensors.items()}
        turned = [name for name, tensor in state.tensors.items() if _is_turned(tensor)]
        header = {"format": FORMAT, "turned": turned, "facts": dict(state.facts)}
        with atomic_file(self.path) as part:
            save_file(packed, part, {"training": json.dumps(header)})
        self._free = time.monotonic()
        self._took = self._free - started

    def load(self) -> State | None:
        """The state that was written last, None where there is none; a damaged one is told, and is none."""
        try:
            with safe_open(self.path, framework="pt") as file:
                header = json.loads((file.metadata() or {})["training"])
                if header["format"] != FORMAT:
                    raise KeyError(f"format {header['format']}")
                turned = frozenset(header["turned"])
                tensors = {name: _unpacked(file.get_tensor(name), name in turned) for name in file.keys()}  # noqa: SIM118
                return State(tensors, header["facts"])
        except FileNotFoundError:
            return None
        except (SafetensorError, ValueError, KeyError) as error:
            log.warning("%s is damaged or of another dfd (%s); the run starts anew", self.path, error)
            self.remove()
            return None

    def remove(self) -> None:
        """Forget the run."""
        self.path.unlink(missing_ok=True)


def keeper_of(key: str) -> Keeper:
    """The keeper of a run's state, for who has claimed the run or knows that it is finished."""
    return Keeper(data_dir() / "training" / f"{key}.safetensors")


@contextmanager
def claimed(key: str) -> Iterator[Keeper]:
    """The keeper of a run's state; within the block no other process trains that run.

    Raises:
        ExperimentError: another one does.
    """
    keeper = keeper_of(key)
    holder = keeper.path.with_suffix(".process")
    distributed.by_first(lambda: _claim(holder))
    try:
        yield keeper
    finally:
        if distributed.is_first():
            holder.unlink(missing_ok=True)


def _claim(holder: Path) -> None:
    holder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(holder.parent / ".lock"):  # for the moment between asking and claiming
        process = holder.read_text(encoding="utf-8") if holder.is_file() else ""
        if process and not provenance.is_gone(process):
            raise ExperimentError(
                f"another process trains this run already ({process}: host, process, start); wait for it, or delete "
                f"{holder} if that host is down"
            )
        with atomic_file(holder) as part:
            part.write_text(provenance.this_process(), encoding="utf-8")
    for part in holder.parent.glob(f".{holder.stem}.*.part*"):  # a killed process may have been writing
        part.unlink()


def random_tensors(device: torch.device, generator: torch.Generator | None) -> dict[str, Tensor]:
    """The states of torch's random numbers: every process's own, and those that all draw alike from `generator`."""
    states = {f"torch.{rank}": state for rank, state in enumerate(distributed.gathered(torch.get_rng_state()))}
    if device.type == "cuda":
        everybodys = distributed.gathered(torch.cuda.get_rng_state(device))
        states |= {f"cuda.{rank}": state for rank, state in enumerate(everybodys)}
    return states if generator is None else {**states, "drawn": generator.get_state()}


def restore_random(states: Mapping[str, Tensor], device: torch.device, generator: torch.Generator | None) -> None:
    """Go on with this process's random numbers; a process that was not there before has begun its own."""
    mine = distributed.rank()
    if f"torch.{mine}" in states:
        torch.set_rng_state(states[f"torch.{mine}"])
    if f"cuda.{mine}" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states[f"cuda.{mine}"], device)
    if generator is not None:
        generator.set_state(states["drawn"])


def numpy_random() -> dict[str, Any]:
    """The state of numpy's global random numbers, in JSON types."""
    state = np.random.get_state(legacy=False)
    return {**state, "state": {**state["state"], "key": state["state"]["key"].tolist()}}


def restore_numpy_random(state: dict[str, Any]) -> None:
    """Go on with numpy's global random numbers."""
    np.random.set_state({**state, "state": {**state["state"], "key": np.array(state["state"]["key"], np.uint32)}})


def _is_turned(tensor: Tensor) -> bool:
    """Whether it lies in memory with its channels last, as convolutions do: it is written so, not copied first."""
    return tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _packed(tensor: Tensor) -> Tensor:
    kept = tensor.detach()
    return (kept.permute(0, 2, 3, 1) if _is_turned(tensor) else kept).cpu().contiguous()


def _unpacked(tensor: Tensor, turned: bool) -> Tensor:
    return tensor.permute(0, 3, 1, 2) if turned else tensor
