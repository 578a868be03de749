"""Where the face is in every frame, from five landmarks, and how pixels get from the frame to the face and back.

Face space has its unit between the eyes and its origin in their middle, x to the right and y down; the template is
that of ArcFace's alignment (Deng et al. 2019). Pixels are worked on in a window around the face, cut at whole pixels,
so that what is not touched stays as it was to the bit.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F = torch.nn.functional
Floats = NDArray[np.float64]

TEMPLATE = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.57], [-0.41, 1.15], [0.41, 1.15]])  # eyes, nose, mouth corners
CENTRE = (0.0, 0.42)  # of the aligned square
REACH = 1.5  # half its side: it holds the face from forehead to chin, and some of what is around
SIDE = 128  # px of the aligned square
RIDGE = 0.2  # pulls the fit from an affine map, which five points decide badly, to a similarity
FLATTEST = 0.3  # of a similarity's area: a flatter face is a mistaken landmark


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the face is in T frames: frame = matrix @ face + offset, in pixels from the first pixel's centre."""

    matrix: Floats  # (T, 2, 2)
    offset: Floats  # (T, 2)
    corner: NDArray[np.int64]  # (T, 2) x y of the window's first pixel
    height: int  # px of the window, which lies within the frame
    width: int

    def __len__(self) -> int:
        return len(self.corner)

    def __getitem__(self, frames: slice) -> "Placement":
        return Placement(self.matrix[frames], self.offset[frames], self.corner[frames], self.height, self.width)


def place(landmarks: NDArray[np.floating], height: int, width: int) -> Placement:
    """Find the face.

    Args:
        landmarks: (T, 5, 2) eyes, nose, mouth corners, x y in pixels.
        height: of the frames.
        width: of the frames.

    Raises:
        ValueError: landmarks of another shape, or not all finite.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != TEMPLATE.shape or not len(landmarks):
        raise ValueError(f"landmarks must be (T, 5, 2) with T >= 1, not {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise ValueError("landmarks must be finite in every frame")
    matrix, offset = fit(landmarks.astype(np.float64))
    middle = matrix @ np.array(CENTRE) + offset
    reach = float(np.linalg.norm(matrix, ord=2, axis=(1, 2)).max()) * REACH
    size = np.array([min(2 * reach + 2, side) for side in (width, height)]).astype(np.int64)
    corner = np.clip(np.rint(middle - size / 2), 0, [width - size[0], height - size[1]]).astype(np.int64)
    return Placement(matrix, offset, corner, int(size[1]), int(size[0]))


def fit(landmarks: Floats) -> tuple[Floats, Floats]:
    """The affine map (T, 2, 2), (T, 2) from face space to the frame: a similarity by least squares, and what is left of
    a turned head by ridge regression."""
    here, there = TEMPLATE - TEMPLATE.mean(0), landmarks - landmarks.mean(1, keepdims=True)
    flat, points = here @ [1, 1j], there @ np.array([1, 1j])
    factor = points @ flat.conj() / (np.abs(flat) ** 2).sum()
    size = np.abs(factor)
    factor = np.where(size < 1, np.exp(1j * np.angle(factor)), factor)  # a face of less than a pixel is none
    alike = np.stack([np.stack([factor.real, -factor.imag], 1), np.stack([factor.imag, factor.real], 1)], 1)
    left = there - here @ alike.transpose(0, 2, 1)
    bent = left.transpose(0, 2, 1) @ here @ np.linalg.inv(here.T @ here + RIDGE * np.eye(2))
    sound = np.linalg.det(alike + bent) > FLATTEST * np.abs(factor) ** 2
    matrix = alike + np.where(sound[:, None, None], bent, 0)
    return matrix, landmarks.mean(1) - matrix @ TEMPLATE.mean(0)


def face_points(placement: Placement) -> Tensor:
    """(T, h, w, 2) where in face space the window's pixels lie."""
    rows, columns = np.mgrid[: placement.height, : placement.width]
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    inverse = np.linalg.inv(placement.matrix)
    origin = (inverse @ (placement.corner - placement.offset)[:, :, None])[:, None, :, 0]
    found = pixels @ inverse.transpose(0, 2, 1) + origin
    return as_tensor(found).reshape(len(placement), placement.height, placement.width, 2)


def in_window(points: Tensor, placement: Placement) -> Tensor:
    """Points of face space (T, h, w, 2) as places in the window, for `sample`."""
    matrix, offset = as_tensor(placement.matrix), as_tensor(placement.offset - placement.corner)
    pixels = torch.einsum("tij,thwj->thwi", matrix, points) + offset[:, None, None]
    return (2 * pixels + 1) / torch.tensor([placement.width, placement.height]) - 1


def in_square(points: Tensor) -> Tensor:
    """Points of face space as places in the aligned square, for `sample`."""
    return (points - torch.tensor(CENTRE)) / REACH


def square_points(side: int) -> Tensor:
    """(side, side, 2) where in face space the pixels of an aligned square lie."""
    line = ((2 * torch.arange(side) + 1) / side - 1) * REACH
    return torch.stack([line.expand(side, side), line[:, None].expand(side, side)], dim=-1) + torch.tensor(CENTRE)


def sample(images: Tensor, places: Tensor) -> Tensor:
    """(T, C, ...) of images at places of -1 to 1 from edge to edge, bilinear; beyond the edge as at the edge."""
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def aligned(window: Tensor, placement: Placement) -> Tensor:
    """The face as an aligned square (T, 3, SIDE, SIDE), averaged over pixels where the window has more of them."""
    denser = float(np.sqrt(np.abs(np.linalg.det(placement.matrix))).max()) * 2 * REACH / SIDE
    if denser >= 2:
        size = [max(1, round(side / denser)) for side in (placement.height, placement.width)]
        window = F.interpolate(window, size=size, mode="area")
    points = square_points(SIDE).expand(len(placement), -1, -1, -1)
    return sample(window, in_window(points, placement))


def smoothed(squares: Tensor, widths: Floats) -> Tensor:
    """Squares (T, 3, S, S) under a Gaussian of `widths` (T,) px, each its own: matrix products, since a convolution has
    one kernel for all."""
    count, channels, side = squares.shape[:3]
    line = np.arange(side)
    bell = np.exp(-(((line[:, None] - line) / widths[:, None, None]) ** 2) / 2)
    weights = as_tensor(bell / bell.sum(axis=2, keepdims=True))
    down = weights @ squares.transpose(1, 2).reshape(count, side, channels * side)
    across = down.reshape(count, side * channels, side) @ weights.transpose(1, 2)
    return across.reshape(count, side, channels, side).transpose(1, 2)


def as_tensor(values: Floats) -> Tensor:
    """The same numbers in float32."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
