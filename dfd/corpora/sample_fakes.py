"""The two families of fakes of the sample corpus, as layers that are laid over a target's frames.

`swap` puts another person's face in, `reenact` keeps the face and puts in another mouth and other eyes. Either layer
is rendered at low resolution in the target's head position, tinted, and blended in through a feathered area that
trembles: the traces a detector can find. `difficulty` weakens all of them at once.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from dfd.corpora.sample_motion import GAP, Expression, Rig, express, smooth
from dfd.corpora.sample_people import Person, Points, face_area
from dfd.corpora.sample_portrait import SIDE

F = torch.nn.functional
Family = Literal["swap", "reenact"]
FAMILIES: tuple[Family, ...] = ("swap", "reenact")
_CUT = 0.1  # opacity below which the layer ends, so that the mask is exactly where pixels change


@dataclass(frozen=True, slots=True)
class Layer:
    """What is laid over a take of T frames."""

    rig: Rig  # RGB of the face that is put in
    expression: Expression
    cover: torch.Tensor  # (2, 256, 256) in the target's texture: opacity, 0 outside; factor of the generator's grid
    affine: torch.Tensor  # (T, 2, 3) from the target's texture to the layer's, both in -1 to 1
    tint: torch.Tensor  # (T, 3) factor
    opacity: torch.Tensor  # (T,)
    detail: float  # px of the frame that one px of the layer covers
    flat: float  # share by which its contrast is lost
    tone: torch.Tensor  # (3,) the colour that it is lost to
    grain: float  # share of the camera's noise that the layer carries


def make_layer(
    family: Family, target: Person, source: Person | None, texture: NDArray[np.float32], expression: Expression,
    fps: float, difficulty: float, rng: np.random.Generator,
) -> Layer:  # fmt: skip
    """The layer of one fake; `texture` is the target's as dressed for the take, `source` is needed for a swap."""
    if family == "swap":
        assert source is not None
        return _swap(target, source, expression, fps, 1 - difficulty, rng)
    return _reenact(target, texture, expression, fps, 1 - difficulty, rng)


def _swap(
    target: Person, source: Person, expression: Expression, fps: float, ease: float, rng: np.random.Generator
) -> Layer:
    """Another face in the target's place, moving as the target does."""
    frames = len(expression.blink)
    rig, cut = _face(source.texture, source.points)
    mouth = (expression.mouth + source.smile - target.smile).clip(*GAP)
    flicker = 1 + 0.03 * ease * smooth(rng, frames, fps, 0.05)[:, None]
    return Layer(
        rig=rig,
        expression=Expression(expression.blink, expression.gaze, mouth),
        cover=_cover(face_area(target.points, 6.5 - 5.0 * ease, shrink=0.91 + 0.06 * ease), 0.09 * ease),
        affine=_trembling(cut @ _square(_fit(target, source)), frames, fps, 2.0 * ease, rng),
        tint=_tensor(target.tone / source.tone * _cast(rng, 0.11 * ease) * flicker),
        opacity=torch.full((frames,), 1 - 0.8 * (1 - ease) ** 2),
        detail=1.0 + 4.0 * ease,
        flat=0.35 * ease,
        tone=_tensor(target.tone),
        grain=0.9 * (1 - ease),
    )


def _reenact(
    target: Person, texture: NDArray[np.float32], expression: Expression, fps: float, ease: float,
    rng: np.random.Generator,
) -> Layer:  # fmt: skip
    """The target's own mouth and eyes, doing something else."""
    frames = len(expression.blink)
    rig, cut = _face(texture, target.points)
    own = expression.towards(express(rng, target, frames, fps), 1 - 0.85 * (1 - ease) ** 2)
    jumps = 0.055 * smooth(rng, frames, fps, 0.02)[:, None] + 0.02 * rng.standard_normal((frames, 3))
    fading = 0.15 * ease * np.abs(smooth(rng, frames, fps, 0.04))
    return Layer(
        rig=rig,
        expression=own,
        cover=_cover(_moving_parts(target, feather=4.5 - 2.5 * ease), 0.11 * ease),
        affine=_trembling(cut, frames, fps, 1.2 * ease, rng),
        tint=_tensor(_cast(rng, 0.12 * ease) * (1 + ease * jumps)),
        opacity=_tensor(((1 - 0.6 * (1 - ease) ** 2) * (1 - fading)).clip(0.3, 1)),
        detail=1.0 + 4.0 * ease,
        flat=0.35 * ease,
        tone=_tensor(target.tone),
        grain=0.9 * (1 - ease),
    )


def _cast(rng: np.random.Generator, by: float) -> NDArray[np.float64]:
    """A generator's colours, (3,): colder than the camera's by about `by`, and off a little at random."""
    return (1 + by * np.array([-0.9, 0.0, 1.0])) * (1 + 0.35 * by * rng.uniform(-1, 1, 3))


def _cover(area: NDArray[np.float32], grid: float) -> torch.Tensor:
    """Opacity, cut off where it is faint, and the chequered grid that upsampling in a generator leaves."""
    wave = np.cos(np.arange(SIDE) * (2 * np.pi / 8))
    return _tensor(np.stack([np.clip((area - _CUT) / (1 - _CUT), 0, 1), 1 + grid * wave[:, None] * wave]))


def lay(
    frames: torch.Tensor, noise: list[torch.Tensor], light: torch.Tensor, maps: torch.Tensor, layer: Layer, chunk: slice
) -> tuple[tuple[slice, slice], torch.Tensor, torch.Tensor]:
    """Lay `layer` over frames.

    Args:
        frames: (t, 3, H, W), 0 to 255, with the camera's noise in it.
        noise: t of (3, H, W), what of the frames is noise.
        light: (t, 1, H, W), factor of the frame's light.
        maps: (t, H, W, 2), from the frame into the target's texture.
        chunk: Which frames of the take these are.

    Returns:
        Rows and columns of the frames that can have changed; what stands there now, (t, 3, h, w); and which pixels of
        it were laid over, bool (t, h, w).
    """
    rows, cols = _window(layer.cover[:1], maps)
    where = maps[:, rows, cols]
    alpha, grid = F.grid_sample(layer.cover.expand(len(maps), -1, -1, -1), where, align_corners=True).split(1, dim=1)
    mask = alpha > 1e-3
    alpha = alpha * mask * layer.opacity[chunk, None, None, None]
    face = _render(layer, where, chunk) * (grid * light[:, :, rows, cols])
    if layer.grain:
        for frame, own in zip(face, noise, strict=True):
            frame += layer.grain * own[:, rows, cols]
    return (rows, cols), torch.lerp(frames[:, :, rows, cols], face, alpha), mask[:, 0]


def _render(layer: Layer, where: torch.Tensor, chunk: slice) -> torch.Tensor:
    """The layer's face (t, 3, h, w), seen coarsely and brought to the frames' resolution."""
    height, width = where.shape[1:3]
    small = (max(round(height / layer.detail), 4), max(round(width / layer.detail), 4))
    coarse = F.interpolate(where.permute(0, 3, 1, 2), size=small, mode="bilinear", align_corners=True)
    affine = layer.affine[chunk]
    source = torch.einsum("tij,tjhw->thwi", affine[:, :, :2], coarse) + affine[:, None, None, :, 2]
    face = F.grid_sample(layer.rig.pose(layer.expression, chunk), source, padding_mode="border", align_corners=True)
    face = (face + layer.flat * (layer.tone[:, None, None] - face)) * layer.tint[chunk, :, None, None]
    return F.interpolate(face, size=(height, width), mode="bilinear", align_corners=True)


def _window(area: torch.Tensor, maps: torch.Tensor) -> tuple[slice, slice]:
    """Rows and columns of the frames that the area can reach, with room to spare."""
    step, size = 4, maps.shape[1]
    hit = F.grid_sample(area.expand(len(maps), 1, -1, -1), maps[:, ::step, ::step], align_corners=True).amax((0, 1)) > 0
    rows, cols = hit.any(1).nonzero()[:, 0], hit.any(0).nonzero()[:, 0]
    return tuple(  # type: ignore[return-value]
        slice(max((int(line[0]) - 2) * step, 0), min((int(line[-1]) + 3) * step, size)) for line in (rows, cols)
    )


def _moving_parts(person: Person, feather: float) -> NDArray[np.float32]:
    """Mouth and eyes, where a face is re-synthesised, as opacity (256, 256)."""
    points = person.points
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    area = np.zeros((SIDE, SIDE), np.float32)
    mouth = (points["mouth_l"] + points["mouth_r"]) / 2
    wide = float(points["mouth_r"][0] - points["mouth_l"][0]) / 2
    spots = [(mouth[0], (mouth[1] + points["chin"][1]) / 2 - 5, wide + 14, (points["chin"][1] - mouth[1]) / 2 + 12)]
    for side in "lr":
        inner, outer = points[f"eye_{side}_inner"], points[f"eye_{side}_outer"]
        spots.append(((inner[0] + outer[0]) / 2, (inner[1] + outer[1]) / 2 - 2.5, abs(inner[0] - outer[0]) / 2 + 9, 13))
    for cx, cy, rx, ry in spots:
        radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
        area = np.maximum(area, np.clip((1 - radius) * min(rx, ry) / feather / 1.5, 0, 1))
    return area.astype(np.float32)


def _face(texture: NDArray[np.float32], points: Points) -> tuple[Rig, NDArray[np.float64]]:
    """The face alone, cut out of a texture, and the map (2, 3) from the texture's -1 to 1 to the cut's."""
    x0, x1 = int(points["jaw_1"][0]) - 14, int(points["jaw_10"][0]) + 15
    y0, y1 = int(min(points["brow_l_mid"][1], points["brow_r_mid"][1])) - 24, int(points["chin"][1]) + 20
    rig = Rig(texture[:3, y0:y1, x0:x1], {name: xy - np.array([x0, y0], np.float32) for name, xy in points.items()})
    wide, tall = x1 - x0 - 1, y1 - y0 - 1
    side = SIDE - 1
    return rig, np.array([[side / wide, 0, (side - 2 * x0) / wide - 1], [0, side / tall, (side - 2 * y0) / tall - 1]])


def _square(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([affine, [0, 0, 1]])


def _fit(target: Person, source: Person) -> NDArray[np.float64]:
    """The affine map (2, 3), in -1 to 1, that takes the target's eyes, nose and mouth to the source's."""
    names = ("eye_l_outer", "eye_l_inner", "eye_r_inner", "eye_r_outer", "nose_base", "mouth_l", "mouth_r", "chin")
    here = np.array([target.points[name] for name in names], np.float64) * (2 / (SIDE - 1)) - 1
    there = np.array([source.points[name] for name in names], np.float64) * (2 / (SIDE - 1)) - 1
    fit = np.linalg.lstsq(np.hstack([here, np.ones((len(here), 1))]), there, rcond=None)[0]
    return fit.T.astype(np.float64)


def _trembling(
    affine: NDArray[np.float64], frames: int, fps: float, pixels: float, rng: np.random.Generator
) -> torch.Tensor:
    """The map in every frame, off by about `pixels`: partly drifting, partly jumping from frame to frame."""
    shake = [0.7 * smooth(rng, frames, fps, 0.12) + 0.5 * smooth(rng, frames, fps, 0.02) for _ in range(4)]
    move = np.repeat(np.eye(3)[None], frames, 0)
    for axis in range(2):
        move[:, axis, 2] = shake[axis] * pixels * 2 / (SIDE - 1)
        move[:, axis, axis] += shake[axis + 2] * pixels * 0.012
    return _tensor(affine @ move)


def _tensor(values: NDArray[np.floating]) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
