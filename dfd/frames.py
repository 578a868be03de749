"""The frames of a clip that are looked at: decoded once and held where they fit, else decoded again for every pass."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dfd.video import Frames, VideoInfo, iter_frames

HELD_BYTES = 256 << 20  # frames up to this in all are kept from detection to cropping; beyond, they are decoded twice
CHUNK_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Reading:
    """How long and how busily a clip is read."""

    timeout: float = 60.0  # seconds to wait for the decoder in each pass
    ahead: bool = True  # let it decode while faces are looked for: sooner done, but on a second core


class Source:
    """The frames of a clip at `indices`, of which those at `keys` are also wanted small, perhaps more than once.

    Args:
        info: The clip.
        indices: (N,) frames, rising.
        keys: (K,) some of them.
        reading: How the clip is read.
        again: Keep the small frames, to be looked at again.
    """

    def __init__(
        self, info: VideoInfo, indices: NDArray[np.int64], keys: NDArray[np.int64], reading: Reading, *, again: bool
    ) -> None:
        size = info.width * info.height * 3
        self.info, self.indices = info, indices
        self.seconds = 0.0  # spent waiting for the decoder
        self.times: dict[int, float] = {}  # seconds from the clip's start of each frame that decoded
        self._keys, self._reading, self._again = keys, reading, again
        self._chunk = int(np.clip(CHUNK_BYTES // size, 1, 32))
        self._hold = size * len(indices) <= HELD_BYTES
        self._held: list[Frames] = []
        self._small: tuple[int, list[tuple[int, NDArray[np.uint8]]]] | None = None

    def parts(self, wanted: NDArray[np.int64]) -> Generator[Frames, None, None]:
        """The frames at `wanted` and, where all are held anyway, those between."""
        if self._held:
            yield from self._held
            return
        asked = (self.indices if self._hold else wanted).tolist()
        read = iter_frames(
            self.info.path, asked, chunk=self._chunk, timeout=self._reading.timeout, ahead=self._reading.ahead
        )
        held: list[Frames] = []
        with closing(read):  # a look that is given up ends its decoder at once
            while True:
                started = time.perf_counter()
                part = next(read, None)
                self.seconds += time.perf_counter() - started
                if part is None:
                    break
                self.times.update(zip(part.indices.tolist(), part.times.tolist(), strict=True))
                if self._hold:
                    held.append(part)
                yield part
        self._held = held

    def shrunk(
        self, wanted: NDArray[np.int64], long_side: int, read: Callable[[int], None]
    ) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
        """Those of the key frames at `wanted` that decode, at most `long_side` px large, with their indices.

        `read` is told the last index whenever more of the clip has been decoded.
        """
        chosen = set(wanted.tolist())
        if self._small is not None and self._small[0] == long_side:
            yield from ((index, frame) for index, frame in self._small[1] if index in chosen)
            return
        kept: list[tuple[int, NDArray[np.uint8]]] = []
        keys = self._keys if self._again else wanted
        with closing(self.parts(keys)) as parts:
            for frames in parts:
                read(int(frames.indices[-1]))
                for at in np.flatnonzero(np.isin(frames.indices, keys)):
                    index, small = int(frames.indices[at]), shrink(frames.pixels[at], long_side)
                    if self._again:
                        kept.append((index, small))
                    if index in chosen:
                        yield index, small
        if self._again:
            self._small = long_side, kept


def shrink(frame: NDArray[np.uint8], long_side: int) -> NDArray[np.uint8]:
    """A frame (H, W, 3) with the longer side at most `long_side` px, antialiased."""
    height, width = frame.shape[:2]
    scale = long_side / max(height, width)
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
