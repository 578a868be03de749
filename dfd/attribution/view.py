"""A private view of a detector, read and differentiated in bounded memory while nothing of the detector is touched."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from dfd import models
from dfd.labels import Label
from dfd.models import autocast
from dfd.models.contract import ClipModel
from dfd.models.frozen import fold, private, split, unrolled
from dfd.progress import Progress

# Pixels of a pass that can be differentiated. A ResNeXt-50's holds 1.5 kB a pixel at its peak: 1.2 GB.
HELD_PIXELS = 64 * 112 * 112
HEAD_FRAMES = 1280  # frames x clips that the head reads at once: about 220 MB at 2048 units

StopAsked = Callable[[], bool]


class Stopped(Exception):
    """An attribution was given up because `should_stop` said so."""


@runtime_checkable
class Attentive(Protocol):
    """A detector with attention maps."""

    attention_layer: str

    def attention_maps(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T, M, h, w), none of it negative."""


class View:
    """A detector's stages and head, to be read and differentiated here without touching the detector.

    A stage takes what the last one gave: a tensor or, in a trunk that branches, a tuple with the stage's own output
    first. Features are here what the head makes of a frame before it looks at another: where it recurs, the backbone's
    features after the recurrent layer's own first step, which is affine, so that a clip made of frames that are known
    costs the recurrence alone.
    """

    def __init__(self, model: ClipModel, device: torch.device, stop: StopAsked, *, float32: bool = False) -> None:
        own = private(model, device)
        self.attentive = own if isinstance(own, Attentive) else None
        self.device = device
        self.float32 = float32 or not models.fast_bfloat16(device)
        fold(own.backbone)
        self.stages: dict[str, nn.Module] = dict(own.backbone.named_children())  # applied one after the other
        self.head = own.head
        self._enter = unrolled(self.head)
        self._stop = stop

    def score(self, features: Tensor) -> Tensor:
        """Features (B, T, F) -> (B,) logit difference. In float32: a recurrence adds up what bfloat16 rounds off."""
        self._check_stop()
        logits = self.head(features)
        return logits[:, Label.FAKE] - logits[:, Label.REAL]

    def prefix_logits(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, 2): the clip's logits, had it ended at each frame."""
        self._check_stop()
        return self.head.prefix_logits(features)

    @torch.no_grad()
    def score_in_parts(self, clips: Tensor) -> Tensor:
        """(B, T, F) -> (B,), so many clips at once that `HEAD_FRAMES` hold."""
        return torch.cat([self.score(some) for some in clips.split(max(1, HEAD_FRAMES // clips.shape[1]))])

    def run(
        self, stages: Callable[[Any], Any], state: tuple[Tensor, ...], held: int, *, float32: bool = False
    ) -> tuple[Tensor, ...]:
        """Frames (N, ...) and what goes beside them through stages, at most `held` at once, with or without gradients.

        All but the last of those are forgotten on the way forward and computed again on the way back. In bfloat16 where
        the hardware multiplies it fast, unless float32 is asked for, here or of the whole view.
        """
        count, parts = -(-len(state[0]) // held), []
        chunks = list(zip(*(tensor.tensor_split(count) for tensor in state), strict=True))
        for number, chunk in enumerate(chunks, start=1):
            self._check_stop()
            given = chunk if len(chunk) > 1 else chunk[0]
            with nullcontext() if float32 or self.float32 else autocast(self.device):
                if number == len(chunks) or not torch.is_grad_enabled():
                    found = stages(given)
                else:
                    found = recomputed(stages, given, use_reentrant=False, preserve_rng_state=False)
            parts.append(found if isinstance(found, tuple) else (found,))
        return tuple(torch.cat(each) for each in zip(*parts, strict=True))

    @torch.no_grad()
    def reach(self, frames: Tensor, until: str) -> tuple[Tensor, ...]:
        """(T, 3, H, W) -> what the stage `until` gives: (T, C, h, w) float32, and in float32 what goes beside it."""
        names = list(self.stages)
        trunk = nn.Sequential(*(self.stages[name] for name in names[: names.index(until) + 1]))
        state = (frames.contiguous(memory_format=torch.channels_last),)
        return tuple(found.float() for found in self.run(trunk, state, held_frames(frames) // 2 or 1))

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """(T, 3, H, W) -> (T, F)."""
        return self.entered(self.reach(frames, list(self.stages)[-1])[0])

    def entered(self, pooled: Tensor) -> Tensor:
        """What the last stage gives (..., C), of 1 x 1 places or flat -> features (..., F) float32."""
        return self._enter(pooled.flatten(1).float())

    def split(self) -> tuple[nn.Module, nn.Module]:
        """The first convolution, and the rest up to what the last stage gives, flat."""
        return split(self.stages)

    def pixel_features(self, *, float32: bool = False) -> Callable[[Tensor], Tensor]:
        """A function from clips (B, T, 3, H, W) to features (B, T, F) that can be differentiated by the pixels."""
        trunk = nn.Sequential(*self.split())

        def features(clips: Tensor) -> Tensor:
            frames = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            found = self.entered(self.run(trunk, (frames,), held_frames(frames), float32=float32)[0])
            return found.unflatten(0, clips.shape[:2])

        return features

    def _check_stop(self) -> None:
        if self._stop():
            raise Stopped


def held_frames(frames: Tensor) -> int:
    """How many frames of this size a pass may hold at once."""
    return max(1, HELD_PIXELS // (frames.shape[-1] * frames.shape[-2]))


_locks: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextmanager
def turn(model: nn.Module, progress: Progress, stop: StopAsked) -> Iterator[None]:
    """Wait until no other thread attributes this model."""
    with _locks_lock:
        lock = _locks.setdefault(model, threading.Lock())
    while not lock.acquire(timeout=0.1):
        progress(0.0, "Waiting for another attribution of this checkpoint")
        if stop():
            raise Stopped
    try:
        yield
    finally:
        lock.release()
