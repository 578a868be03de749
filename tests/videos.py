"""Clips that tests make: a public-domain portrait that moves, and files that are broken in known ways."""

import struct
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

Pixels = NDArray[np.uint8]


@cache
def head(size: int) -> Image.Image:
    """The head of scikit-image's portrait (NASA, public domain), `size` px square."""
    return Image.fromarray(astronaut()).crop((124, 0, 324, 200)).resize((size, size), Image.Resampling.LANCZOS)


def wall(frames: int, height: int, width: int, *, seed: int = 0) -> Pixels:
    """A background with texture and a little noise, (T, H, W, 3): no two frames are alike, none has a face."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 100 + 25 * np.sin(x / 17) + 25 * np.cos(y / 23)
    noise = generator.normal(0, 2, (frames, height, width, 1))
    return np.repeat((base[None, :, :, None] + noise).clip(0, 255), 3, axis=3).astype(np.uint8)


def put(frames: Pixels, at: int, size: float, centre: tuple[float, float], *, flip: bool = False) -> None:
    """Paint the head into frame `at`, `size` px wide around `centre` (x, y), cut at the frame's edge."""
    picture = head(round(size))
    pixels = np.asarray(picture)[:, ::-1] if flip else np.asarray(picture)
    left, top = round(centre[0] - size / 2), round(centre[1] - size / 2)
    height, width = frames.shape[1:3]
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + len(pixels), height), min(left + len(pixels), width)
    if y1 > y0 and x1 > x0:
        frames[at, y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]


def face_frames(frames: int = 20, height: int = 180, width: int = 240, *, size: float = 120) -> Pixels:
    """One head that sways by a tenth of its width, (T, H, W, 3)."""
    pixels = wall(frames, height, width)
    for at in range(frames):
        put(pixels, at, size, (width / 2 + 0.1 * size * np.sin(at / 5), height / 2))
    return pixels


def numbered(frames: int, height: int = 64, width: int = 96) -> Pixels:
    """Frames that carry their number as 8 black or white squares along the bottom, and a white one top left."""
    pixels = wall(frames, height, width) // 2
    for at in range(frames):
        pixels[at, :12, :12] = 255
        for bit in range(8):
            pixels[at, -12:, 12 * bit : 12 * bit + 12] = 255 * (at >> bit & 1)
    return pixels


def numbers(pixels: Pixels) -> list[int]:
    """The numbers that `numbered` put into upright frames."""
    squares = pixels[:, -6, 6:96:12].mean(axis=-1) > 128
    return (squares @ (1 << np.arange(8))).tolist()


def encode(
    path: Path,
    pixels: Pixels,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: list[float] | None = None,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write frames with what `dfd.video.write_video` has no need of: other codecs, uneven times, a display matrix."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "rgb8" if codec == "gif" else pixel_format
        tick = Fraction(1, 30 if times is None else 3000)
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for at, frame in enumerate(pixels):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = at if times is None else round(times[at] / tick)
            picture.time_base = tick
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    """A second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        for at in range(44):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 44100, 1024 * at
            container.mux(stream.encode(samples))
        container.mux(stream.encode())
    return path


def trim_by_edit_list(path: Path, *, seconds: float) -> Path:
    """Do as a phone's trim tool does: leave all frames in the file, and say that only the first ones are shown."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">I", data, data.index(b"elst") + 12, round(seconds * scale))
    path.write_bytes(data)
    return path


def promise_frames(path: Path, frames: int) -> Path:
    """Let the index of an MP4 promise more frames than there are."""
    data = bytearray(path.read_bytes())
    struct.pack_into(">I", data, data.index(b"stts") + 12, frames)
    path.write_bytes(data)
    return path


def damage(path: Path, *, share: float = 0.5, size: int = 400) -> Path:
    """Overwrite `size` bytes of the pictures with noise."""
    data = bytearray(path.read_bytes())
    start = (
        data.index(b"mdat") + round(share * (len(data) - data.index(b"mdat"))) if b"mdat" in data else len(data) // 2
    )
    data[start : start + size] = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first `share` of a file's bytes."""
    path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)])
    return path
