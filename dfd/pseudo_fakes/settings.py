"""What is asked of pseudo-fakes: `data.pseudo_fakes` of an experiment, and the options of `dfd pseudo-fakes`."""

import hashlib
import re
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["self_blend", "warp"]
METHODS: tuple[Method, ...] = get_args(Method)
SUFFIX = "+pseudo"  # of the name of a corpus in which pseudo-fakes stand in place of fakes
VERSION = 1  # of the generator: a change of its pixels makes other fakes


class PseudoFakes(BaseModel):
    """How fakes are made from real clips: one fake a clip, the methods dealt out evenly over each split.

    `coherence` is the coefficient of the first-order autoregression that every draw follows from frame to frame, so
    that a frame by itself looks alike at any coherence, and only their order tells them apart. The ranges of the draws
    are those of `dfd.pseudo_fakes.draws`, at strength 1 about the published ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[Method, ...] = Field(METHODS, min_length=1, description="of the fakes, dealt out evenly")
    share: float = Field(1.0, gt=0, le=1, description="of each split's real clips that get a fake")
    coherence: float = Field(
        1.0, ge=0, le=1, description="1: drawn once a clip .. 0: drawn anew each frame, flickering"
    )
    strength: float = Field(1.0, ge=0.1, le=2, description="0.1 nearly invisible .. 1 as published .. 2 plain to see")
    colour: float = Field(1.0, ge=0, le=2, description="of the colour shifts, on top of strength; 0: none")
    seed: int = Field(0, ge=0, le=2**31, description="same seed and clip id, same fake")
    ignore_fakes: bool = Field(False, description="leave out the fakes that the corpora have; else they are refused")

    def key(self) -> str:
        """Short digest of everything that changes the pixels of a clip's fake of one method."""
        pixels = self.model_dump_json(include={"coherence", "strength", "colour", "seed"})
        return hashlib.sha256(f"{VERSION} {pixels}".encode()).hexdigest()[:8]


def corpora_in(name: str) -> list[str]:
    """The corpora of a merged name, `first+second`; the suffix of pseudo-fakes stays with its corpus."""
    return [one for one in re.split(rf"\+(?!{SUFFIX[1:]}(?:\+|$))", name) if one]


def pseudo(corpus: str) -> str:
    """The name of a corpus with pseudo-fakes in place of its fakes."""
    return corpus + SUFFIX
