"""How frames become crops. The recipe travels inside every checkpoint, so that serving cannot differ from training."""

import hashlib
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class CropRecipe(BaseModel):
    """From a clip's frames to face crops, and from crops to the network's input.

    Detection looks at frames shrunk to `detect_long_side` px, at every `detect_every`-th frame of a consecutive run,
    and boxes in between are interpolated. A crop is a square of `margin` times the box's longer side (1.3 as in
    FaceForensics++), cut from the full-size frame and resized to `size` px. With the detector "given" nothing is looked
    for: the clips are crops that others cut, and every frame is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: Literal["mtcnn", "given"] = "mtcnn"
    detect_long_side: int = Field(360, ge=64, description="px of the longer side at which faces are looked for")
    detect_every: int = Field(5, ge=1, description="frames from one detection to the next")
    min_probability: float = Field(0.9, ge=0, le=1, description="MTCNN's own face probability")
    link_iou: float = Field(0.3, gt=0, lt=1, description="overlap at which two boxes are one person")
    margin: float = Field(1.3, ge=1, description="side of the crop / longer side of the box")
    size: int = Field(112, ge=32, description="px of a crop's side")
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[_Finite, _Finite, _Finite] = IMAGENET_MEAN
    std: tuple[_Spread, _Spread, _Spread] = IMAGENET_STD
    max_frames: int = Field(150, ge=1, description="frames of a clip that are looked at, from its start")
    sampling: Literal["consecutive", "even"] = "consecutive"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.detector == "given" and self.margin != 1:
            raise ValueError(f"crops that are given are taken whole: set margin to 1, not {self.margin:g}")
        return self

    def key(self) -> str:
        """Short digest of everything that changes the pixels or boxes of a face-only video.

        Colour order, normalisation and sampling act when a face-only video is read, so they are left out.
        """
        pixels = self.model_dump_json(exclude={"colour", "mean", "std", "sampling"})
        return hashlib.sha256(pixels.encode()).hexdigest()[:12]

    def positions(self, available: int, count: int) -> NDArray[np.int64]:
        """Which of a clip's `available` frames are read when `count` are asked for: (min(count, available),) int64.

        The first ones ("consecutive", as published), or evenly spread from the first to the last ("even"); never
        beyond `max_frames`, so that training on face-only videos and serving from the full clip read the same frames.
        """
        within = min(available, self.max_frames)
        if self.sampling == "consecutive" or count >= within:
            return np.arange(min(count, within))
        return np.linspace(0, within - 1, count).round().astype(np.int64)


GIVEN = CropRecipe(detector="given", margin=1)
