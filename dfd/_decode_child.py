"""The decoding process: `dfd.video` starts this file by its path, and it imports nothing else of dfd.

decord lives here, apart from torch (imported before torch with CUDA it can crash the process) and where it can be
killed: on a frame count that promises more than decodes it may loop for ever inside C, deaf to signals.

Protocol, over pipes: a message is 4 bytes of length and UTF-8 JSON; a reply to `read` is followed by the pixels.
Descriptor 1 is moved away before any decoder is imported, since decord and FFmpeg print what they dislike, file
contents included.

Where decord's answers cannot be trusted, PyAV reads instead, to the same pixels bit for bit, and the reply says why:
edit lists (frames cut off by a phone's trim tool come back as repeats of a neighbour), containers without an index
(MPEG program streams: seeking lands beside the key frame), codecs its FFmpeg 4.1 lacks (AV1), damaged packets.

Nor is decord given a clip that is large when decoded: while it waits for a frame it queues all packets it can read, and
its thread goes on to decode them, to the end of the clip, into memory (dmlc/decord#157: 1 GB a second at 720p).
"""

import bisect
import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# What may be opened: no playlists, which name other files, and no text, which FFmpeg would paint. Sound, to say so.
FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,gif,asf,ogg,h264,hevc,mp3,wav,flac,aac"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
INDEXED = {"mov", "mp4", "matroska", "webm", "avi", "flv"}  # where decord's seeks are exact

MOST_AHEAD = 128 << 20  # bytes of all frames of a clip that decord may read

Pixels = NDArray[np.uint8]


class Refusal(Exception):
    """Why a file cannot be read: a short code for `dfd.video`, and the decoder's own words."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Distrust(Exception):
    """decord cannot be trusted with this file; PyAV reads it instead."""


class Clip:
    """One open file: its frames in display order, by PyAV's demuxer, and a reader that moves forward through them."""

    def __init__(self, path: str, long_side: int | None, reader: str) -> None:
        self.path = path
        self.note = ""
        self._probe()
        self.size = _shrunk(self.width, self.height, long_side)
        self._reader: DecordReader | PyavReader | None = None
        self._checked = False
        if reader == "pyav":
            self.note = "decord hung or crashed on it"

    def _probe(self) -> None:
        import av

        try:
            with av.open(self.path, options=OPTIONS) as container:
                self._describe(container)
        except (av.error.FFmpegError, ValueError) as error:
            raise Refusal("cut" if self._starts_as_mp4() else "not_video", str(error)) from None

    def _starts_as_mp4(self) -> bool:
        with open(self.path, "rb") as file:
            return file.read(8)[4:] == b"ftyp"

    def _describe(self, container: Any) -> None:
        pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not pictures:
            raise Refusal("audio_only" if container.streams.audio else "not_video", "no picture stream")
        stream = pictures[0]
        if stream.codec_context is None:
            raise Refusal("no_codec", f"codec of stream {stream.index}")
        self.stream_index = stream.index
        self.formats = set(container.format.name.split(","))
        self.codec = stream.codec_context.codec.canonical_name
        first, shown, self.trimmed = None, [], False
        for packet in _packets(container, stream):
            if packet.size:
                self.trimmed |= packet.is_discard
                shown += [] if packet.is_discard else [packet.pts]
            if first is None:
                first = next(_decoded(packet), None)
        if first is None or not shown:
            raise Refusal("nothing_decodes")
        self._clock(stream, shown)
        # Size and rotation are what the first frame says, since headers can be wrong.
        self.rotation = first.rotation % 360  # anticlockwise turn that brings the picture upright
        turned = self.rotation in (90, 270)
        self.width, self.height = (first.height, first.width) if turned else (first.width, first.height)

    def _clock(self, stream: Any, shown: list[int | None]) -> None:
        """When each frame is shown: `times` in seconds from the first, and the time stamps that name frames."""
        self.fps = float(stream.average_rate or stream.guessed_rate or 25)
        if self.fps > 240 and stream.guessed_rate:  # some AVIs give the tick rate
            self.fps = float(stream.guessed_rate)
        stamps = sorted({stamp for stamp in shown if stamp is not None})
        self.pts = stamps if len(stamps) == len(shown) else None
        if self.pts is None:
            self.times = np.arange(len(shown)) / self.fps
        else:
            self.times = (np.array(stamps, np.float64) - stamps[0]) * float(stream.time_base)

    def info(self) -> dict[str, Any]:
        frames = len(self.times)
        duration = float(self.times[-1] + 1 / self.fps) if frames else 0.0
        names = ("fps", "width", "height", "rotation", "codec")
        return {"frames": frames, "duration": duration, **{name: getattr(self, name) for name in names}}

    def read(self, indices: list[int]) -> tuple[Pixels, list[int]]:
        """The frames asked for, in rising order; those that do not decode are left out."""
        indices = [index for index in indices if 0 <= index < len(self.times)]
        if not self.note and self._is_small():
            try:
                if not isinstance(self._reader, DecordReader):
                    self._reader = DecordReader(self)
                pixels = self._reader.read(indices)
                if not (self._reader.suspect and self._differs(pixels, indices)):
                    return pixels, indices
                raise Distrust("decord puts a neighbour in the place of frames that fail")
            except Distrust as distrust:
                self.note = str(distrust)
        if not isinstance(self._reader, PyavReader):
            self._reader = PyavReader(self)
        return self._reader.read(indices)

    def _is_small(self) -> bool:
        width, height = self.size
        return 3 * width * height * len(self.times) <= MOST_AHEAD

    def _differs(self, pixels: Pixels, indices: list[int]) -> bool:
        """Whether PyAV gives other frames. Asked once a clip, where still scenes and stand-ins look the same."""
        if self._checked:
            return False
        self._checked = True
        truth, kept = PyavReader(self).read(indices)
        return kept != indices or not np.array_equal(truth, pixels)


class DecordReader:
    """Frames by decord, refused at the first sign that they may not be the clip's own."""

    def __init__(self, clip: Clip) -> None:
        if not clip.formats & INDEXED:
            raise Distrust(f"decord's seeks miss in the container {'/'.join(sorted(clip.formats))}")
        if clip.trimmed:
            raise Distrust("an edit list cuts frames off, for which decord repeats their neighbours")
        if clip.pts is None:
            raise Distrust("the container gives no time stamps")
        import decord

        width, height = clip.size  # upright: decord turns the picture by itself, then scales it
        self.shape = (height, width, 3)
        try:
            self.reader = decord.VideoReader(clip.path, width=width, height=height, num_threads=1, fault_tol=1)
            self.reader.get_frame_timestamp([0])
        except (decord.DECORDError, RuntimeError, AssertionError, IndexError) as error:
            raise Distrust(f"decord cannot open it ({_first_line(error)})") from None
        if len(self.reader) < len(clip.times):
            raise Distrust(f"decord sees {len(self.reader)} of its {len(clip.times)} frames")
        self.last: Pixels | None = None
        self.suspect = False

    def read(self, indices: list[int]) -> Pixels:
        import decord

        if not indices:
            return np.empty((0, *self.shape), np.uint8)
        try:
            pixels: Pixels = self.reader.get_batch(indices).asnumpy()
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, IndexError) as error:
            raise Distrust(f"decord cannot decode it ({_first_line(error)})") from None
        if pixels.shape[1:] != self.shape:
            raise Distrust(f"decord gives {pixels.shape[1:]} where the clip is {self.shape}")
        before = [self.last, *pixels[:-1]] if self.last is not None else [pixels[-1], *pixels[:-1]]
        # A frame that equals its neighbour to the bit belongs to a still scene, or stands in for one that failed.
        self.suspect = any(_equal(one, other) for one, other in zip(before, pixels, strict=True) if one is not other)
        self.last = pixels[-1]
        return pixels


class PyavReader:
    """Frames by PyAV, matched to their index by time stamp; frames that do not decode cleanly are left out."""

    def __init__(self, clip: Clip) -> None:
        import av

        self.clip = clip
        self.scaler = av.video.reformatter.VideoReformatter()  # kept: setting one up costs more than using it
        self.container = av.open(clip.path, options=OPTIONS)
        self.stream = self.container.streams[clip.stream_index]
        self.frames = _frames(self.container, self.stream)
        self.count = 0

    def read(self, indices: list[int]) -> tuple[Pixels, list[int]]:
        wanted, kept, pixels = set(indices), [], []
        for frame in self.frames if wanted else ():
            index = self._index(frame)
            if index in wanted and not frame.is_corrupt:
                pixels.append(self._upright(frame))
                kept.append(index)
            if index >= indices[-1]:
                break
        width, height = self.clip.size
        return np.stack(pixels) if pixels else np.empty((0, height, width, 3), np.uint8), kept

    def _index(self, frame: Any) -> int:
        self.count += 1
        if self.clip.pts is None or frame.pts is None:
            return self.count - 1
        return bisect.bisect_left(self.clip.pts, frame.pts)

    def _upright(self, frame: Any) -> Pixels:
        width, height = self.clip.size
        if self.clip.rotation in (90, 270):
            width, height = height, width
        rgb = self.scaler.reformat(frame, width=width, height=height, format="rgb24", interpolation="BICUBIC")
        return np.rot90(rgb.to_ndarray(), k=self.clip.rotation // 90)


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Every frame that decodes; packets that do not are passed over."""
    for packet in _packets(container, stream):
        yield from _decoded(packet)


def _decoded(packet: Any) -> Iterator[Any]:
    import av

    try:
        yield from packet.decode()
    except av.error.FFmpegError:
        return


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Every packet up to the end of the file, or to where it is cut off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.FFmpegError):
            return


def _is_cover(stream: Any) -> bool:
    """The cover art of a sound file is a picture stream too."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _shrunk(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    if long_side is None or max(width, height) <= long_side:
        return width, height
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _equal(one: Pixels, other: Pixels) -> bool:
    middle = one.shape[0] // 2  # one row tells nearly all frames apart
    return np.array_equal(one[middle], other[middle]) and np.array_equal(one, other)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].split("Check failed: ")[-1][:120]


def _read_message(pipe: BinaryIO) -> dict[str, Any] | None:
    head = pipe.read(4)
    if len(head) < 4:
        return None
    message: dict[str, Any] = json.loads(pipe.read(struct.unpack("<I", head)[0]))
    return message


def _write_message(pipe: BinaryIO, message: dict[str, Any], pixels: Pixels | None = None) -> None:
    body = json.dumps(message).encode()
    pipe.write(struct.pack("<I", len(body)) + body)
    if pixels is not None:
        pipe.write(np.ascontiguousarray(pixels).reshape(-1).data)
    pipe.flush()


def _answer(request: dict[str, Any], clip: Clip | None) -> tuple[Clip | None, dict[str, Any], Pixels | None]:
    match request["do"]:
        case "open":
            clip = Clip(request["path"], request["long_side"], request["reader"])
            return clip, clip.info(), None
        case "read" if clip is not None:
            pixels, indices = clip.read(request["indices"])
            times = [float(clip.times[index]) for index in indices]
            return clip, {"shape": pixels.shape, "indices": indices, "times": times, "note": clip.note}, pixels
        case "close":
            return None, {}, None
    raise ValueError(f"no such request: {request}")


def _limit(seconds: float) -> None:
    """Let the system end this process after `seconds` (0: never), in C code or not, should the parent be gone."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes of the protocol, with fds 0 to 2 pointed at nothing."""
    pipes = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in pipes:
            msvcrt.setmode(descriptor, os.O_BINARY)
    return os.fdopen(pipes[0], "rb"), os.fdopen(pipes[1], "wb")


def main() -> None:
    """Answer requests until the parent closes its pipe."""
    requests, replies = _private_pipes()
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it closes the pipe
    clip: Clip | None = None
    while (request := _read_message(requests)) is not None:
        _limit(request["limit"])
        try:
            clip, reply, pixels = _answer(request, clip)
        except Refusal as refusal:
            reply, pixels = {"error": refusal.code, "detail": refusal.detail}, None
        except Exception:  # not ours to judge: the parent raises it, traceback and all
            reply, pixels = {"error": "bug", "detail": traceback.format_exc()}, None
        _limit(0)
        _write_message(replies, reply, pixels)


if __name__ == "__main__":
    main()
