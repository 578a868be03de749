"""What is done to a clip's pixels in training: the settings of an experiment, and the pixels they come to.

Whatever is done to a clip is drawn once and done to all of its frames alike, so that nothing flickers that did not.
Noise alone differs from frame to frame, as a sensor's does, and its strength does not. The steps follow a clip's own
way: it is framed, lit, made smaller on a server, blurred, noisy, and compressed at last. What shrinks, blurs and
compresses is off by default; the field uses JPEG of quality 40 to 100 and a blur, each in half of the pictures
(DeepfakeBench, `xception.yaml`).
"""

import io
import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur


def _within(least: float, most: float) -> AfterValidator:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not least <= bounds[0] <= bounds[1] <= most:
            raise ValueError(f"say the least and the most, both from {least:g} to {most:g}")
        return bounds

    return AfterValidator(check)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Sometimes(_Part):
    probability: float = Field(0.5, ge=0, le=1, description="share of the clips that it happens to")


class Tone(_Part):
    """Brightness and contrast of a clip, up or down."""

    probability: float = Field(1.0, ge=0, le=1, description="share of the clips that it happens to")
    brightness: float = Field(0.15, ge=0, lt=1, description="largest change, as a share of the clip's mean")
    contrast: float = Field(0.15, ge=0, lt=1, description="largest change, as a share of the distance from the mean")


class Downscale(_Sometimes):
    """A clip made smaller, and as large as it was again."""

    factor: Annotated[tuple[float, float], _within(0.05, 1)] = Field((0.25, 1.0), description="of the side")


class Blur(_Sometimes):
    """A clip out of focus."""

    sigma: Annotated[tuple[float, float], _within(0.1, 10)] = Field((0.5, 2.0), description="px of the Gaussian")


class Noise(_Sometimes):
    """A noisy sensor: new noise in every frame, of one strength."""

    sigma: Annotated[tuple[float, float], _within(0, 128)] = Field((1.0, 8.0), description="levels of 255")


class Jpeg(_Sometimes):
    """A clip stored as JPEG pictures."""

    quality: Annotated[tuple[int, int], _within(1, 100)] = Field((40, 100), description="as libjpeg counts")


class Augment(_Part):
    """Settings of `augment`; by default a mirror image in half of the clips, small crops and shifts of tone."""

    flip: float = Field(0.5, ge=0, le=1, description="share of the clips that are mirrored")
    crop: float = Field(6 / 7, gt=0, le=1, description="share of the side that a random crop keeps; 1: no crop")
    tone: Tone = Tone()
    downscale: Downscale | None = None
    blur: Blur | None = None
    noise: Noise | None = None
    jpeg: Jpeg | None = None

    @classmethod
    def of(cls, asked: "Augment | bool") -> "Augment":
        """Settings as they are; True is the usual ones and False is nothing at all."""
        return asked if isinstance(asked, Augment) else USUAL if asked else NOTHING

    def written(self) -> dict[str, Any] | bool:
        """As an experiment file says it, in JSON types: True or False where that says it all."""
        if self in (USUAL, NOTHING):
            return self == USUAL
        return self.model_dump(mode="json", exclude_none=True)


USUAL = Augment()
NOTHING = Augment(flip=0, crop=1, tone=Tone(probability=0))


def augment(crops: Tensor, generator: torch.Generator, asked: Augment | bool = True) -> Tensor:
    """Change clips as the settings say, each clip by its own draws.

    Crops are not scaled back, since scaling would blur the traces that are sought; the backbone pools whatever size it
    gets. Nothing is drawn for what is off, so that a new kind of change leaves the numbers of old experiments alone.

    Args:
        crops: uint8 (B, T, S, S, 3) on the CPU; left as they are.
        generator: where every draw comes from; the same state gives the same pixels.

    Returns:
        uint8 (B, T, S', S', 3), S' = the whole pixels in `crop` times S, at least 1.
    """
    settings = Augment.of(asked)
    clips = crops if settings.crop == 1 else _framed(crops, settings.crop, generator)
    clips = _mirrored(clips, settings.flip, generator)
    clips = _toned(clips, settings.tone, generator)
    if (smaller := settings.downscale) is not None:
        clips = _changed(clips, smaller.probability, smaller.factor, downscale, generator)
    if (soft := settings.blur) is not None:
        clips = _changed(clips, soft.probability, soft.sigma, blur, generator)
    if (noisy := settings.noise) is not None:
        clips = _changed(clips, noisy.probability, noisy.sigma, partial(add_noise, generator=generator), generator)
    if (stored := settings.jpeg) is not None:
        clips = _changed(clips, stored.probability, stored.quality, lambda clip, at: jpeg(clip, round(at)), generator)
    return clips


def downscale(clip: Tensor, factor: float) -> Tensor:
    """A clip shrunk with antialiasing to `factor` of its side, in (0, 1], and enlarged again, both bilinear.

    Args:
        clip: uint8 (T, H, W, 3), as in the functions below; what comes back is like it.
    """
    height, width = clip.shape[1:3]
    size = max(1, round(height * factor)), max(1, round(width * factor))
    small = interpolate(clip.movedim(-1, 1), size, mode="bilinear", antialias=True)
    return interpolate(small, (height, width), mode="bilinear").movedim(1, -1)


def blur(clip: Tensor, sigma: float) -> Tensor:
    """A clip under a Gaussian of `sigma` px, above 0, cut off at three sigma; beyond its edges it is mirrored."""
    reach = min(math.ceil(3 * sigma), *(side - 1 for side in clip.shape[1:3]))
    return gaussian_blur(clip.movedim(-1, 1), [2 * reach + 1] * 2, [sigma] * 2).movedim(1, -1)


def add_noise(clip: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """A clip with Gaussian noise of `sigma` levels, independent for each frame, pixel and colour."""
    return (clip + sigma * torch.randn(clip.shape, generator=generator)).round().clamp(0, 255).to(torch.uint8)


def jpeg(clip: Tensor, quality: int) -> Tensor:
    """A clip whose every frame was a JPEG file of this quality, 1 to 100, with colour at half the resolution.

    Through Pillow: torchvision's codec gives the same pixels sooner, but is deprecated and warns at every call.
    """
    return torch.from_numpy(np.stack([_stored(frame, quality) for frame in clip.numpy()]))


def _stored(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))


def _chosen(probability: float, batch: int, generator: torch.Generator) -> Tensor:
    """(B,) bool, True with this probability; where there is no choice, nothing is drawn."""
    if probability in (0, 1):
        return torch.full((batch,), probability == 1)
    return torch.rand(batch, generator=generator) < probability


def _framed(clips: Tensor, share: float, generator: torch.Generator) -> Tensor:
    batch, _, side = clips.shape[:3]
    kept = max(1, math.floor(side * share + 1e-6))  # 6/7 of 112 is 96, which a float may miss by a hair
    corners = torch.randint(0, side - kept + 1, (batch, 2), generator=generator).tolist()
    return torch.stack([clip[:, y : y + kept, x : x + kept] for clip, (y, x) in zip(clips, corners, strict=True)])


def _mirrored(clips: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    chosen = _chosen(probability, len(clips), generator)
    return torch.where(chosen[:, None, None, None, None], clips.flip(3), clips) if chosen.any() else clips


def _toned(clips: Tensor, tone: Tone, generator: torch.Generator) -> Tensor:
    chosen = _chosen(tone.probability, len(clips), generator)
    if not chosen.any():
        return clips
    gain, shift = torch.rand(2, len(clips), 1, 1, 1, 1, generator=generator) * 2 - 1
    pixels = clips.float()
    mean = pixels.mean(dim=(1, 2, 3, 4), keepdim=True)
    changed = (pixels - mean) * (1 + gain * tone.contrast) + mean * (1 + shift * tone.brightness)
    return torch.where(chosen[:, None, None, None, None], changed.clamp_(0, 255).to(torch.uint8), clips)


def _changed(
    clips: Tensor,
    probability: float,
    bounds: tuple[float, float],
    change: Callable[[Tensor, float], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Change the chosen clips, each by a strength that is drawn evenly within the bounds."""
    chosen = _chosen(probability, len(clips), generator).tolist()
    low, high = bounds
    strengths = (low + (high - low) * torch.rand(len(clips), generator=generator)).tolist()
    return torch.stack(
        [change(clip, at) if now else clip for clip, now, at in zip(clips, chosen, strengths, strict=True)]
    )
