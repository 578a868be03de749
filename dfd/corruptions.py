"""What a clip may go through before a detector sees it: compression, blur, noise, scaling, each at five levels.

The face crops are corrupted as a detector reads them, not the full clip before faces are found in it. So curves over
these levels measure the detector alone, on faces cut where the untouched clip had them; a codec sees a square of face
without its surroundings. Level 0 is the untouched clip, and levels 1 to 5 grow worse, as in Hendrycks and Dietterich
2019; values are of the crop's own pixels, whatever its size. CRF 23 and 40 are those of FaceForensics++' c23 and c40.
What training may do to a clip (`dfd.augment`) is done here by the same functions.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from dfd.augment import add_noise, blur, downscale, jpeg
from dfd.face_only import load_crops
from dfd.manifest import Clip
from dfd.video import write_video

RATE = 25.0  # frames a second that x264 is told; the crops do not say
PRESET = "medium"  # FFmpeg's default, by which others compressed their corpora


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of one kind of change: level n is `values[n - 1]`, level 0 changes nothing."""

    label: str  # of the kind
    scale: str  # what the values are, with their unit
    written: str  # how one of them is said
    values: tuple[float, ...]  # from mild to strong

    def value(self, level: int) -> float:
        """The value of a level.

        Raises:
            ValueError: there is no such level, or it is 0, which has none.
        """
        if not 1 <= level <= len(self.values):
            raise ValueError(f"{self.label} has levels 1 to {len(self.values)}, not {level}")
        return self.values[level - 1]

    def setting(self, level: int) -> str:
        """A level's value in words: `quality 90`."""
        return self.written.format(self.value(level))


LEVELS: dict[str, Levels] = {
    "h264": Levels("H.264", "constant rate factor", "CRF {:g}", (23, 28, 34, 40, 46)),
    "jpeg": Levels("JPEG", "quality", "quality {:g}", (90, 70, 50, 30, 10)),
    "blur": Levels("Blur", "sigma (px of the crop)", "sigma {:g} px", (0.5, 1, 1.5, 2, 3)),
    "noise": Levels("Noise", "sigma (levels of 255)", "sigma {:g}/255", (2, 5, 10, 15, 25)),
    "downscale": Levels("Down-scale", "factor, and up again", "factor {:g}", (1.5, 2, 3, 4, 6)),
}


def corrupt(clip: Tensor, kind: str, level: int, generator: Generator) -> Tensor:
    """A face clip at a level of one kind; the same generator state gives the same pixels.

    Args:
        clip: uint8 (T, H, W, 3) RGB on the CPU; left as it is.
        kind: a key of `LEVELS`.
        level: 0 (the clip itself) to 5.
        generator: see `generator_of`; only noise draws from it.

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: there is no such kind or level.
    """
    if kind not in LEVELS:
        raise ValueError(f"unknown corruption '{kind}'; choose one of {', '.join(LEVELS)}")
    return clip if level == 0 else _CORRUPTIONS[kind](clip, LEVELS[kind].value(level), generator)


def generator_of(clip: Clip, kind: str) -> Generator:
    """The random numbers of a clip and kind: the same at each level, so that levels differ in strength alone."""
    digest = hashlib.sha256(f"{kind}\x1f{clip.corpus}\x1f{clip.clip_id}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8]))


def h264(clip: Tensor, crf: int) -> Tensor:
    """A clip encoded as one video at this constant rate factor, in 4:2:0 as what is uploaded, and decoded again."""
    height, width = clip.shape[1:3]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, clip.numpy(), RATE, crf=crf, preset=PRESET)
        return torch.from_numpy(load_crops(path))[:, :height, :width]


_CORRUPTIONS: dict[str, Callable[[Tensor, float, Generator], Tensor]] = {
    "h264": lambda clip, crf, generator: h264(clip, int(crf)),
    "jpeg": lambda clip, quality, generator: jpeg(clip, int(quality)),
    "blur": lambda clip, sigma, generator: blur(clip, sigma),
    "noise": add_noise,
    "downscale": lambda clip, factor, generator: downscale(clip, 1 / factor),
}
