"""What is drawn for a clip's pseudo-fake, frame by frame: how far the mask reaches, what is done to the face.

Lengths are in units of the distance between the eyes, so that a fake looks alike at any resolution. At strength 1 the
ranges are about those of the published code of self-blended images; those marked * grow with `strength`:

    region       whole 0.35 to 1 (0 eyes to mouth, 1 the whole face), outline moved by about 0.1 of that
    mask         feather 0.08 to 0.5; blending ratio 0.25 to 1, half of the fakes 1
    colour *     a shift of 6 to 20 levels of 255 in some direction; contrast and saturation within 10 and 15 %
    frequency *  from blurred away (-1) to sharpened by 0.6, at a width of 0.02 to 0.07
    place *      moved by 0.03 to 0.09 across or 0.015 to 0.045 down; zoomed within 5 %, turned within 2 degrees
    elastic *    moved by about 0.012, each of 5 x 5 points another way
    resolution * of `warp`: 64 to 120 px across 3 units, of which a face takes about 2

Random numbers are Gaussian walks with unit variance at every frame: a first-order autoregression with coefficient
`coherence`. 1 holds the first draw, 0 draws anew each frame, and the spread over clips is the same in any case.
"""

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr

from dfd.pseudo_fakes.settings import PseudoFakes

Floats = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114])
GRID = 5  # points a side of the elastic displacement
WAVES = 4  # random numbers of the outline: two waves around the face, sine and cosine
SMALLEST, LARGEST = 16, 128  # px of a warped face, whatever the strength


@dataclass(frozen=True, slots=True)
class Draws:
    """What was drawn for T frames."""

    whole: Floats  # (T,) in [0.35, 1]
    outline: Floats  # (T, WAVES) standard normal
    feather: Floats  # (T,) in [0.08, 0.5]
    ratio: Floats  # (T,) in [0.25, 1]
    mixing: Floats  # (T, 3, 3) colours out of colours
    shift: Floats  # (T, 3) levels of 255
    sharpness: Floats  # (T,) -1 is blurred, 0 as it was
    width: Floats  # (T,) of the blur: a Gaussian's standard deviation
    turn: Floats  # (T, 2, 2) and `move`: where the copy is taken from
    move: Floats  # (T, 2)
    elastic: Floats  # (T, GRID, GRID, 2)
    size: NDArray[np.int64]  # (T,) px

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, frames: slice) -> "Draws":
        return Draws(*(getattr(self, column.name)[frames] for column in fields(self)))


def draw(settings: PseudoFakes, frames: int, clip_id: str) -> Draws:
    """Draw for a clip; both methods of one clip get the same region.

    Args:
        settings: seed, coherence and strengths.
        frames: T.
        clip_id: with the seed it decides everything.
    """
    digest = hashlib.sha256(f"{settings.seed}\x1f{clip_id}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
    strength, colour = settings.strength, settings.strength * settings.colour

    def normal(*shape: int) -> Floats:
        return walk(rng, frames, int(np.prod(shape)), settings.coherence).reshape(frames, *shape)

    def between(low: float, high: float) -> Floats:
        return low + (high - low) * ndtr(normal(1)[:, 0])

    def arrow(dimensions: int, low: float, high: float) -> Floats:
        """(T, dimensions): any direction, and a length that is never too small to see."""
        towards = normal(dimensions)
        length = np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
        return towards / length * between(low, high)[:, None]

    pixels = np.exp(between(np.log(64), np.log(120))) / strength
    return Draws(
        whole=between(0.35, 1),
        outline=normal(WAVES),
        feather=between(0.08, 0.5),
        ratio=np.minimum(between(0.25, 1.75), 1),
        mixing=_mixing(1 + between(-0.1, 0.1) * colour, 1 + between(-0.15, 0.15) * colour),
        shift=arrow(3, 6, 20) * colour,
        sharpness=between(-1, 0.6) * min(strength, 1),
        width=between(0.02, 0.07) * strength,
        turn=_turn(np.radians(between(-2, 2)) * strength, 1 + between(-0.05, 0.05) * strength),
        move=arrow(2, 0.3, 1) * np.array([0.09, 0.045]) * strength,
        elastic=0.012 * normal(GRID, GRID, 2) * strength,
        size=pixels.round().astype(np.int64).clip(SMALLEST, LARGEST),
    )


def walk(rng: np.random.Generator, frames: int, width: int, coherence: float) -> Floats:
    """(frames, width) standard normal numbers, each column an autoregression z_t = c z_{t-1} + sqrt(1 - c^2) e_t."""
    fresh = rng.standard_normal((frames, width))
    fresh[1:] *= np.sqrt(1 - coherence**2)
    return np.asarray(lfilter([1.0], [1.0, -coherence], fresh, axis=0), np.float64)


def _mixing(contrast: Floats, saturation: Floats) -> Floats:
    """(T, 3, 3): grey stays grey, and what is not grey becomes more or less so."""
    grey = np.broadcast_to(LUMA, (3, 3))
    return contrast[:, None, None] * (grey + saturation[:, None, None] * (np.eye(3) - grey))


def _turn(angle: Floats, zoom: Floats) -> Floats:
    """(T, 2, 2) rotation and scale."""
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    return np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
