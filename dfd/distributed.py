"""Several processes that train one model together: each reads its part of every batch, the first alone writes.

`torchrun` starts them, on one machine or on several that share dfd's home; without it there is one process, which does
all of it and waits for nobody. Gradients are averaged by DistributedDataParallel, over NCCL where each process has a
GPU and over gloo on CPUs. An experiment's batch is that of all processes together, so that it comes to the same with
any number of them. Three things differ with their number: batch norms see a process's own part of a batch on CPUs (on
GPUs they are synchronised); dropout and augmentation are drawn by each process for its part; and the running centres of
the multi-attentional network's regional loss follow the first process's part.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from dfd.errors import DfdError

PATIENCE = timedelta(days=7)  # others wait while the first reads corpora and evaluates; torchrun sees who has died

Result = TypeVar("Result")


@contextmanager
def joined() -> Iterator[None]:
    """Within the block, this process is one of those that torchrun started, if it started several.

    They part when the block ends well. One that fails leaves at once, and torchrun ends the others.

    Raises:
        DfdError: there are more processes on this machine than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    gpus, place = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if 0 < gpus <= place:
        raise DfdError(f"this machine has fewer GPUs ({gpus}) than processes; start torchrun --nproc-per-node={gpus}")
    if gpus:
        torch.cuda.set_device(place)
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=PATIENCE)
    yield
    dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def by_first(work: Callable[[], Result]) -> Result:
    """What some work of the first process comes to, told to all; what it raises ends all.

    Raises:
        DfdError: on the others, if the work failed; on the first itself, whatever the work raised.
    """
    if size() == 1:
        return work()
    told: list[Any] = [None, None]  # what it came to, and how it failed
    error: Exception | None = None
    if is_first():
        try:
            told[0] = work()
        except Exception as raised:  # of any kind: it is raised again as soon as the others, who wait, know of it
            error, told[1] = raised, str(raised) or type(raised).__name__
    dist.broadcast_object_list(told, src=0)
    if error is not None:
        raise error
    if told[1] is not None:
        raise DfdError(f"the first process ended: {told[1]}")
    found: Result = told[0]
    return found


def in_turn(work: Callable[[], Result]) -> Result:
    """What some work comes to that leaves a file behind: the first makes it, then the others find it made."""
    if size() == 1:
        return work()
    made: list[Result] = []
    by_first(lambda: made.append(work()))
    return made[0] if made else work()


@dataclass(frozen=True, slots=True)
class Part:
    """What this process takes of one micro-batch."""

    places: NDArray[np.int64]  # (n,) in the step, n >= 1
    share: float  # of the step's clips; 0 if there are too few, and one is taken only to keep step with the others


def parts(count: int, batch: int) -> list[Part]:
    """What this process takes of a step of `count` clips, in micro-batches of at most `batch`."""
    found = []
    for start in range(0, count, batch):
        everybody = np.arange(start, min(start + batch, count))
        mine = np.array_split(everybody, size())[rank()]
        found.append(Part(mine if len(mine) else everybody[:1], len(mine) / count))
    return found


def mine(count: int, batch: int) -> NDArray[np.int64]:
    """The places, in a step of `count` clips, of all that this process takes of it; all of them where it is alone."""
    return np.concatenate([part.places for part in parts(count, batch)])


def own_generator(generator: torch.Generator) -> torch.Generator:
    """Random numbers for this process's part; where there are several, drawn from what they draw alike."""
    if size() == 1:
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.Generator().manual_seed(seed + rank())


def diverge() -> None:
    """Give every process but the first global random numbers of its own: two clips shall not share their dropout."""
    if rank() > 0:
        torch.manual_seed(torch.initial_seed() + rank())


def wrapped(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with gradients averaged over all processes, and batch norms over all GPUs."""
    if size() == 1:
        return module
    if device.type != "cuda":
        return DistributedDataParallel(module)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return DistributedDataParallel(synchronised, device_ids=[torch.cuda.current_device()])


def accumulating(module: nn.Module) -> AbstractContextManager[None]:
    """Within the block, gradients of a wrapped module are summed here and not yet averaged."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def summed(values: list[float]) -> list[float]:
    """Numbers that each process has a part of, summed over all."""
    if size() == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total)
    return total.tolist()


def gathered(tensor: Tensor) -> list[Tensor]:
    """A CPU tensor of every process, all of one shape."""
    if size() == 1:
        return [tensor]
    everybodys = [torch.empty_like(tensor) for _ in range(size())]
    dist.all_gather(everybodys, tensor)
    return everybodys


def level(module: nn.Module) -> None:
    """Give every process the first one's weights and statistics, in place."""
    if size() == 1:
        return
    for tensor in module.state_dict().values():
        whole = tensor.contiguous()  # gloo reads memory as it lies, whatever the strides
        dist.broadcast(whole, src=0)
        tensor.copy_(whole)
