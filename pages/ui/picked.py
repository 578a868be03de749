"""A clip that was chosen: what it is, how it is named to people, and a look at it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dfd.errors import DfdError
from dfd.turns import Turns
from dfd.video import VideoInfo, probe

PLAYABLE = {"h264", "vp8", "vp9", "av1"}  # by every current browser
PROBES = Turns(2)  # sessions that look what a clip is at a time: each needs a decoding process
SENT = 200 * 2**20  # bytes of a clip that a browser is sent, since it is sent whole


@dataclass(frozen=True, slots=True)
class Picked:
    """A clip to be judged; `truth` is what the corpus says of it, to be shown after the verdict only."""

    path: Path
    name: str
    sha256: str
    truth: str | None = None
    ref: str = ""  # CORPUS:CLIP_ID of a corpus's clip, for links


def preview(clip: Picked) -> None:
    """What the clip is, and a player where browsers can play it.

    Raises:
        VideoError: it is no video, or damaged; the message names it as the user does.
    """
    with named(clip):
        info = _probe(clip.path, clip.sha256)
    if clip.path.suffix.lower() == ".gif":
        st.image(str(clip.path), width="stretch", alt=f"The clip {clip.name}")
    elif clip.path.stat().st_size > SENT:
        st.caption(f"It is larger than {SENT >> 20} MB, too large to be shown here; it is judged where it lies.")
    elif info.codec in PLAYABLE:
        st.video(str(clip.path), muted=True, loop=True, alt=f"The clip {clip.name}")
    else:
        st.caption(f"Browsers cannot play {info.codec}; the frames that are scored appear with the verdict.")
    st.caption(about(info))


def about(info: VideoInfo) -> str:
    """A video's size, length and codec in a line."""
    return f"{info.width} × {info.height} px, {info.duration:.1f} s at {info.fps:.0f} frames a second, {info.codec}"


@contextmanager
def named(clip: Picked) -> Iterator[None]:
    """Let complaints about the clip's temporary file speak of the clip by the user's name for it."""
    try:
        yield
    except DfdError as error:
        raise type(error)(str(error).replace(str(clip.path), clip.name)) from None


@st.cache_data(max_entries=20, show_spinner=False)
def _probe(_path: Path, sha256: str) -> VideoInfo:
    with PROBES.turn(lambda ahead: None):
        return probe(_path)


def digest(path: Path) -> str:
    """sha256 of a file, as hex digits; read again only when its size or time changes."""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns)


@st.cache_data(max_entries=200, show_spinner="Reading the clip")
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
