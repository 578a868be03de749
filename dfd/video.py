"""Clips on disk: probe, decode, encode.

decord decodes in a process of its own (`_decode_child.py`), which is killed when it passes a wall-clock limit. One idle
decoder is kept between calls, since starting one costs about half a second; it ends with this process.
"""

import atexit
import json
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from numpy.typing import NDArray

from dfd.errors import VideoError
from dfd.paths import atomic_file

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("_decode_child.py")
REFUSALS = {
    "not_video": "{path} is not a video dfd can read; give an MP4, MOV, MKV, WebM, AVI or MPEG file",
    "cut": "{path} is cut off: the index that an MP4 ends with is missing; download or copy the whole file again",
    "audio_only": "{path} has sound but no picture; give a video file",
    "no_codec": "the picture of {path} is in a format FFmpeg does not know; re-encode it, for example as H.264 in MP4",
    "nothing_decodes": "{path} is damaged: not one of its frames decodes; download or export it again",
    "too_slow": "decoding {path} took longer than {limit:g} s and was stopped; shorten or re-encode the clip",
    "crash": "the decoder crashed on {path}; re-encode the clip, for example as H.264 in MP4",
}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a clip is, before it is decoded."""

    path: Path
    frames: int  # that are shown; a damaged clip may decode to fewer
    fps: float  # mean, frames per second
    width: int  # px, upright
    height: int  # px, upright
    duration: float  # seconds
    rotation: int  # degrees anticlockwise that the stored picture is turned by to stand upright: 0, 90, 180 or 270
    codec: str


@dataclass(frozen=True, slots=True)
class Frames:
    """Some frames of a clip, in the order they are shown."""

    pixels: NDArray[np.uint8]  # (N, H, W, 3) RGB, upright
    indices: NDArray[np.int64]  # (N,) position in the clip
    times: NDArray[np.float64]  # (N,) seconds from the clip's first frame, by the container's time stamps

    def __len__(self) -> int:
        return len(self.indices)


def probe(path: Path, *, timeout: float = 60.0) -> VideoInfo:
    """Read what a clip is; only its first frame is decoded.

    Raises:
        VideoError: the file is missing, empty, no video, cut off, without a picture, or `timeout` seconds are up.
    """
    _check_file(path)
    try:
        with _borrowed() as decoder:
            info = decoder.open(path, None, "auto", _Budget(timeout))
            decoder.ask({"do": "close"}, _Budget(timeout))
    except _Failed as failed:
        raise VideoError(REFUSALS[failed.code].format(path=path, limit=timeout)) from None
    return info


def read_frames(path: Path, indices: Iterable[int], *, long_side: int | None = None, timeout: float = 60.0) -> Frames:
    """Decode the frames at `indices`, each once and in rising order; those that do not decode are left out.

    Args:
        path: A video file.
        indices: Positions from 0; those past the end are left out.
        long_side: Shrink to this many px on the longer side while decoding (bicubic). None: full size.
        timeout: Seconds of wall-clock time, after which the decoder is killed.

    Raises:
        VideoError: as `probe`, or none of the frames decodes.
    """
    parts = list(iter_frames(path, indices, long_side=long_side, timeout=timeout))
    if len(parts) == 1:
        return parts[0]
    return Frames(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.times for part in parts]),
    )


def iter_frames(
    path: Path,
    indices: Iterable[int],
    *,
    chunk: int = 32,
    long_side: int | None = None,
    timeout: float = 60.0,
    ahead: bool = True,
) -> Generator[Frames, None, None]:
    """As `read_frames`, `chunk` frames at a time, so that memory does not grow with the clip.

    `timeout` covers all chunks together; the caller's own work between them is not counted. When decord crashes or
    takes half of it, PyAV reads the rest, and the log says so. With `ahead` the next chunk decodes while the caller
    works on this one: that is sooner done, but on a second core.
    """
    _check_file(path)
    wanted = sorted({int(index) for index in indices})
    chunks = [wanted[start : start + chunk] for start in range(0, len(wanted), chunk)]
    budget, done, empty = _Budget(timeout), 0, True
    for reader in ("auto", "pyav"):
        try:
            left = budget.half() if reader == "auto" else budget
            for frames in _chunks(path, chunks[done:], long_side, reader, left, ahead=ahead):
                done += 1
                if len(frames):
                    empty = False
                    yield frames
            break
        except _Failed as failed:
            if reader == "pyav" or failed.code not in ("too_slow", "crash"):
                raise VideoError(REFUSALS[failed.code].format(path=path, limit=timeout)) from None
            log.warning(
                "%s: decord %s; PyAV reads on", path, "crashed" if failed.code == "crash" else "hung, was killed"
            )
    if empty:
        raise VideoError(REFUSALS["nothing_decodes"].format(path=path))


def write_video(
    path: Path,
    frames: NDArray[np.uint8],
    fps: float,
    *,
    crf: int = 18,
    pixel_format: str = "yuv420p",
    preset: str = "veryfast",
    tune: str | None = None,
    gop: int | None = None,
) -> None:
    """Encode as H.264, in place only when it is whole. The same frames give the same bytes.

    Args:
        path: `.mp4`, or another suffix FFmpeg can put H.264 in.
        frames: (T, H, W, 3) uint8 RGB, T >= 1. In `yuv420p` an odd side is made even by repeating its last line.
        fps: Frames per second.
        crf: x264's constant rate factor, 0 (lossless) to 51.
        pixel_format: `yuv420p`, which everything plays, or `yuv444p`, which keeps colour at full resolution.
        preset: x264's speed preset.
        tune: x264's tuning, such as `psnr`.
        gop: Frames from one key frame to the next at most; x264's 250 if None.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 (T, H, W, 3) with T >= 1, not {frames.dtype} {frames.shape}")
    if pixel_format == "yuv420p":
        frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    # Left to itself x264 takes what each CPU does fastest, and its look-ahead comes to other bytes from call to call.
    asked = {"crf": crf, "preset": preset, "tune": tune, "g": gop, "x264-params": "cpu-independent=1"}
    options = {name: str(value) for name, value in asked.items() if value is not None}
    with atomic_file(path) as part, av.open(part, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.thread_count = 1  # more would change the bytes from one machine to the next
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())


class _Failed(Exception):
    """A decoder's refusal or end; `code` is a key of REFUSALS."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Budget:
    """Seconds left to wait for a decoder."""

    def __init__(self, seconds: float, parent: "_Budget | None" = None) -> None:
        self.seconds, self.parent = seconds, parent

    def half(self) -> "_Budget":
        return _Budget(self.seconds / 2, self)

    def spend(self, seconds: float) -> None:
        self.seconds -= seconds
        if self.parent:
            self.parent.spend(seconds)


class _Decoder:
    """One decoding process and the two pipes to it."""

    def __init__(self) -> None:
        # By path and with -P, so that it starts from any folder and never sees dfd's modules as top-level ones.
        command = [sys.executable, "-P", str(CHILD)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pipesize=1 << 20
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._replies = cast(BinaryIO, self._process.stdout)
        self._expired = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def open(self, path: Path, long_side: int | None, reader: str, budget: _Budget) -> VideoInfo:
        request = {"do": "open", "path": str(path.resolve()), "long_side": long_side, "reader": reader}
        return VideoInfo(path=path, **self.ask(request, budget)[0])

    def ask(self, request: dict[str, Any], budget: _Budget) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        self.send(request, budget)
        return self.receive(budget)

    def send(self, request: dict[str, Any], budget: _Budget) -> None:
        body = json.dumps(request | {"limit": max(budget.seconds, 0.0) + 5.0}).encode()
        try:
            self._requests.write(struct.pack("<I", len(body)) + body)
            self._requests.flush()
        except OSError:
            raise _Failed("crash") from None

    def receive(self, budget: _Budget) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """The next reply and its pixels (none: an empty array); kills the process when the budget is spent.

        Raises:
            _Failed: the process refuses the file, is too slow, or ended.
        """
        started = time.monotonic()
        timer = threading.Timer(max(budget.seconds, 0.0), self._expire)
        timer.daemon = True
        timer.start()
        try:
            reply = json.loads(self._read(struct.unpack("<I", self._read(4))[0]))
            pixels = np.empty(reply.get("shape", 0), np.uint8)
            self._fill(pixels)
        finally:
            timer.cancel()
            budget.spend(time.monotonic() - started)
        if reply.get("error") == "bug":
            raise RuntimeError(f"the decoding process failed:\n{reply['detail']}")
        if "error" in reply:
            log.info("decoder: %s (%s)", reply["error"], reply["detail"])
            raise _Failed(reply["error"])
        return reply, pixels

    def _read(self, size: int) -> bytes:
        data = np.empty(size, np.uint8)
        self._fill(data)
        return data.tobytes()

    def _fill(self, array: NDArray[np.uint8]) -> None:
        view = array.reshape(-1).data
        while len(view):
            count = self._replies.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise _Failed("too_slow" if self._expired else "crash")
            view = view[count:]

    def _expire(self) -> None:
        self._expired = True
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._replies.close()
        with suppress(OSError):  # what was still to be written has nobody to read it
            self._requests.close()


_idle: list[_Decoder] = []
_idle_lock = threading.Lock()


@contextmanager
def _borrowed() -> Iterator[_Decoder]:
    """A decoder for the caller alone: the idle one, or a new one. It is ended after any exception but a refusal."""
    with _idle_lock:
        decoder = _idle.pop() if _idle else None
    if decoder is not None and not decoder.alive:
        decoder.end()
        decoder = None
    decoder = decoder or _Decoder()
    keep = False
    try:
        yield decoder
        keep = True
    except _Failed as failed:
        keep = failed.code not in ("too_slow", "crash")
        raise
    finally:
        with _idle_lock:
            if keep and not _idle:
                _idle.append(decoder)
                decoder = None
        if decoder is not None:
            decoder.end()


def _end_idle() -> None:
    with _idle_lock:
        while _idle:
            _idle.pop().end()


atexit.register(_end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a forked process must not talk to its parent's decoder


def _chunks(
    path: Path, chunks: Sequence[list[int]], long_side: int | None, reader: str, budget: _Budget, *, ahead: bool
) -> Iterator[Frames]:
    """One `Frames` a chunk; with `ahead`, the next one is asked for before this one is given out."""
    with _borrowed() as decoder:
        decoder.open(path, long_side, reader, budget)
        note = ""
        requests = [{"do": "read", "indices": indices} for indices in chunks] + [{"do": "close"}]
        decoder.send(requests[0], budget)
        for request in requests[1:]:
            reply, pixels = decoder.receive(budget)
            if ahead:
                decoder.send(request, budget)
            if reply["note"] != note:
                note = reply["note"]
                log.warning("%s is read by PyAV: %s", path, note)
            yield Frames(pixels, np.array(reply["indices"], np.int64), np.array(reply["times"], np.float64))
            if not ahead:
                decoder.send(request, budget)
        decoder.receive(budget)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise VideoError(f"there is no file {path}; check the name")
    if not path.stat().st_size:
        raise VideoError(f"{path} is empty (0 bytes); copy or upload it again")
