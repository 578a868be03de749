"""How the sample corpus moves: a take is a clip's head motion, blinks, speech, gaze, camera and light, drawn at once.

Every frame is one dense map from pixels of the frame to pixels of the face texture. It is a weighted sum of fixed
maps (roll, yaw, pitch, shifts, scale), so a whole take of maps is one matrix product.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from dfd.corpora.sample_people import Person, Points
from dfd.corpora.sample_portrait import SIDE

F = torch.nn.functional
Series = NDArray[np.float32]
GAP = (0.08, 2.3)  # least and widest gap between the lips, as a share of the portrait's


@dataclass(frozen=True, slots=True)
class Expression:
    """What eyes and mouth do in each of T frames; each (T,) float32."""

    blink: Series  # 0 open to 1 shut
    gaze: Series  # px in the texture
    mouth: Series  # gap between the lips, as a share of the portrait's

    def towards(self, other: "Expression", share: float) -> "Expression":
        """This expression, `share` of the way to another one."""
        pairs = (self.blink, other.blink), (self.gaze, other.gaze), (self.mouth, other.mouth)
        return Expression(*((a + share * (b - a)).astype(np.float32) for a, b in pairs))


@dataclass(frozen=True, slots=True)
class Take:
    """One recording of one person; a fake is made from the take of its target."""

    expression: Expression
    maps: torch.Tensor  # (K, H * W * 2) fixed maps; the first is the rest position
    weights: torch.Tensor  # (T, K)
    light: torch.Tensor  # (T, 3) level, slope along x, slope along y
    drift: torch.Tensor  # (T,) px of the room along a diagonal
    size: int


def smooth(rng: np.random.Generator, frames: int, fps: float, seconds: float) -> Series:
    """A smooth random line of about unit spread that changes over `seconds`."""
    sigma = max(seconds * fps, 0.5)
    pad = int(4 * sigma) + 1
    line = gaussian_filter1d(rng.standard_normal(frames + 2 * pad), sigma, mode="wrap")[pad : pad + frames]
    return (line * np.sqrt(2 * np.sqrt(np.pi) * sigma)).astype(np.float32)


def express(rng: np.random.Generator, person: Person, frames: int, fps: float) -> Expression:
    """Blinks every few seconds, glances, and speech in phrases."""
    time = np.arange(frames) / fps
    blink = np.zeros(frames, np.float32)
    at = rng.uniform(0.2, 2.5)
    while at < frames / fps:
        length = rng.uniform(0.10, 0.16)
        blink = np.maximum(blink, np.exp(-(((time - at) / length) ** 4)))
        at += rng.uniform(1.2, 4.0)
    gaze = np.round(smooth(rng, frames, fps, 0.35) * 0.9) * 0.8
    phrase = np.clip(0.6 + smooth(rng, frames, fps, 0.5), 0, 1) * rng.uniform(0.4, 1.0)
    syllables = np.clip(smooth(rng, frames, fps, 0.055) + 0.35, 0, 2.2)
    mouth = (person.smile + phrase * syllables * 0.75).clip(*GAP)
    return Expression(*(series.astype(np.float32) for series in (blink, gaussian_filter1d(gaze, 0.8), mouth)))


def record(rng: np.random.Generator, person: Person, frames: int, size: int, fps: float) -> Take:
    """Draw a take."""

    def line(seconds: float, spread: float) -> Series:
        return smooth(rng, frames, fps, seconds) * np.float32(spread)

    yaw = rng.uniform(-0.14, 0.14) + line(0.45, 0.10)
    pitch = rng.uniform(-0.08, 0.08) + line(0.35, 0.06)
    roll = rng.uniform(-0.06, 0.06) + line(0.5, 0.04)
    # A hand-held sway that never rests: an encoder repeats a frame in which nothing moves.
    turn = rng.uniform(0, 2 * np.pi) + np.arange(frames) / fps * 2 * np.pi * rng.uniform(0.45, 0.7)
    sway = rng.uniform(1.6, 2.6) * np.stack([np.cos(turn), np.sin(turn)]).astype(np.float32)
    weights = np.stack(
        [
            np.ones(frames, np.float32),
            np.sin(yaw),
            1 - np.cos(yaw),
            np.sin(pitch),
            roll,
            line(0.45, 2.2) + sway[0],
            line(0.35, 1.8) + sway[1],
            line(0.7, 0.014),
            line(0.9, 1.6) + sway[0],
            line(0.9, 1.0) + sway[1],
        ],
        1,
    ).astype(np.float32)
    centre = np.array([128 + rng.uniform(-9, 9), 128 + rng.uniform(-4, 10)])
    maps = _maps(size, centre, rng.uniform(0.86, 1.10), person.flip)
    level, across = rng.uniform(0.92, 1.10) + line(1.0, 0.03), rng.uniform(-0.12, 0.12) + line(1.2, 0.04)
    light = np.stack([level, across, line(1.2, 0.03)], 1)
    drift = np.cumsum(line(0.8, 0.10)) + line(0.12, 0.12) + 0.7 * sway[0]
    return Take(
        express(rng, person, frames, fps),
        torch.from_numpy(maps),
        torch.from_numpy(weights),
        torch.from_numpy(light.astype(np.float32)),
        torch.from_numpy((drift - drift.mean()).clip(-20, 20).astype(np.float32)),
        size,
    )


def frame_maps(take: Take, chunk: slice) -> torch.Tensor:
    """Maps (t, size, size, 2) from the frame into the texture, in -1 to 1, for a run of frames."""
    return (take.weights[chunk] @ take.maps).view(-1, take.size, take.size, 2)


def _maps(size: int, centre: NDArray[np.float64], scale: float, flip: bool) -> NDArray[np.float32]:
    """The fixed maps (K, size * size * 2) that a frame's map is made of, in units of the texture's -1 to 1.

    Depth is an ellipsoid with a nose on it, turned about an axis behind the ears: enough for the parallax of a turn
    of ten degrees. The body below the neck follows the head less and less.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32) * (SIDE / size)
    x, y = (x - centre[0]) / scale + 134, (y - centre[1]) / scale + 128
    if flip:
        x = 2 * 134 - x
    head = 1 - _step(y, 158, 226)
    dx, dy = x - 136, y - 185
    round_ = np.clip(1 - ((x - 136) / 84) ** 2 - ((y - 104) / 100) ** 2, 0, None)
    depth = 62 * np.sqrt(round_ + 0.02) - 22 + 13 * np.exp(-(((x - 134) / 12) ** 2) - ((y - 122) / 16) ** 2)
    zero = np.zeros_like(x)
    maps = [
        (x, y),
        (-depth * head, zero),
        (dx * head, zero),
        (zero, -depth * head),
        (dy * head, -dx * head),
        (head, zero),
        (zero, head),
        (-(x - 134), -(y - 128)),
        (1 - head, zero),
        (zero, 1 - head),
    ]
    stack = np.stack([np.stack(pair, -1) for pair in maps]) * (2 / (SIDE - 1))
    stack[0] -= 1
    return stack.reshape(len(maps), -1).astype(np.float32)


class Rig:
    """Moves the eyes and the mouth of a face texture."""

    def __init__(self, texture: NDArray[np.float32], points: Points) -> None:
        self.texture = torch.from_numpy(np.ascontiguousarray(texture))
        self.eyes = [_Eye(points, side) for side in "lr"]
        self.mouth = _Mouth(points)

    def pose(self, expression: Expression, chunk: slice) -> torch.Tensor:
        """Textures (t, C, H, W) for a run of frames."""
        blink, gaze, gap = (
            torch.from_numpy(series[chunk])[:, None, None]
            for series in (expression.blink, expression.gaze, expression.mouth)
        )
        out = self.texture.repeat(len(blink), 1, 1, 1)
        for eye in self.eyes:
            out[..., eye.rows, eye.cols] = _pull(self.texture, *eye.source(blink, gaze))
        x, y, shade = self.mouth.source(gap)
        patch = _pull(self.texture, x, y)
        patch[:, :3] *= shade[:, None]
        out[..., self.mouth.rows, self.mouth.cols] = patch
        return out


class _Eye:
    """An eye's opening between two parabolas; shutting draws the skin above the upper lid down over it."""

    def __init__(self, points: Points, side: str) -> None:
        outer, top, inner, bottom = (points[f"eye_{side}_{part}"] for part in ("outer", "top", "inner", "bottom"))
        middle, half = (outer[0] + inner[0]) / 2, abs(outer[0] - inner[0]) / 2 + 1.5
        self.cols = slice(int(middle - half) - 2, int(middle + half) + 4)
        self.rows = slice(int(top[1]) - 13, int(bottom[1]) + 5)
        self.y, self.x = _mesh(self.rows, self.cols)
        along = ((self.x - middle) / half).clamp(-1, 1)
        arch = 1 - along**2
        corners = inner[1] + (outer[1] - inner[1]) * ((self.x - inner[0]) / (outer[0] - inner[0])).clamp(0, 1)
        self.upper = corners + (top[1] - 1.0 - (outer[1] + inner[1]) / 2) * arch
        self.lower = corners + (bottom[1] - (outer[1] + inner[1]) / 2) * arch
        self.above = self.upper - 7
        self.arch = arch

    def source(self, blink: torch.Tensor, gaze: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        lid = self.upper + blink * (self.lower - self.upper)
        stretch = (self.upper - self.above) / (lid - self.above)
        skin = (self.y > self.above) & (self.y <= lid)
        y = torch.where(skin, self.above + (self.y - self.above) * stretch, self.y)
        opening = (self.y > lid) & (self.y < self.lower)
        return torch.where(opening, self.x - gaze * self.arch, self.x), y


class _Mouth:
    """The gap between the lips between two parabolas; a wider gap moves lower lip and chin down and darkens."""

    def __init__(self, points: Points) -> None:
        left, right, chin = points["mouth_l"], points["mouth_r"], points["chin"]
        top, bottom = points["gap_top"], points["gap_bottom"]
        middle, half = (left[0] + right[0]) / 2, (right[0] - left[0]) / 2
        self.cols = slice(int(left[0]) - 16, int(right[0]) + 17)
        self.rows = slice(int(top[1]) - 4, int(chin[1]) + 14)
        self.y, self.x = _mesh(self.rows, self.cols)
        along = (self.x - middle) / half
        arch = (1 - along**2).clamp(min=0)
        corners = left[1] + (right[1] - left[1]) * ((self.x - left[0]) / (right[0] - left[0])).clamp(0, 1)
        self.top = corners + (top[1] - (left[1] + right[1]) / 2) * arch
        self.height = float(bottom[1] - top[1])
        self.gap = self.height * arch
        self.spill = self.height * (torch.exp(-((along / 1.25) ** 4)) - arch)
        self.down = self.y - self.top
        reach = self.rows.stop - 1 - self.top
        self.fade = 1 - _smoothstep((self.down - 0.45 * reach) / (0.55 * reach))

    def source(self, opening: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        gap = self.gap * opening
        inside = (self.down >= 0) & (self.down < gap)
        shift = (gap - self.gap) + (opening - 1) * self.spill * _smoothstep((self.down - gap) / 9)
        below = self.down - shift * self.fade
        v = torch.where(inside, self.down / opening, torch.where(self.down < 0, self.down, below))
        depth = (self.down / gap.clamp(min=0.5)).clamp(0, 1)
        shade = (1 - 0.75 * (opening - 1).clamp(0, 1) * depth) * (0.42 + 0.58 * _smoothstep((opening - 0.1) / 0.5))
        return self.x.expand_as(v), self.top + v, torch.where(inside, shade, torch.ones_like(shade))


def _pull(texture: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sample (C, H, W) at pixel positions (t, h, w) to (t, C, h, w)."""
    height, width = texture.shape[1:]
    grid = torch.stack([x.expand_as(y) * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1], -1)
    source = texture.expand(len(grid), -1, -1, -1)
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _mesh(rows: slice, cols: slice) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(
        torch.arange(rows.start, rows.stop, dtype=torch.float32),
        torch.arange(cols.start, cols.stop, dtype=torch.float32),
        indexing="ij",
    )
    return y, x


def _smoothstep(u: torch.Tensor) -> torch.Tensor:
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


def _step(value: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    u = np.clip((value - low) / (high - low), 0, 1)
    return (u * u * (3 - 2 * u)).astype(np.float32)
