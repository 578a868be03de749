"""Choosing a clip: an upload, kept in a folder of the session and gone with it, or a test clip of the sample corpus."""

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dfd.errors import DfdError, ManifestError
from dfd.manifest import Clip, read_manifest
from dfd.paths import data_dir
from dfd.video import VideoInfo, probe

TYPES = ["mp4", "mov", "avi", "mkv", "webm", "gif", "mpg", "mpeg", "m4v"]
PLAYABLE = {"h264", "vp8", "vp9", "av1"}  # by every current browser
SAMPLES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Picked:
    """A clip to be judged; `truth` is what the corpus says of it, to be shown after the verdict only."""

    path: Path
    name: str
    sha256: str
    truth: str | None = None


def picker() -> Picked | None:
    """Upload or sample; None until one is chosen."""
    samples = _samples(data_dir() / "sample")
    sources = ["Upload", "Sample clips"] if samples else ["Upload"]
    source = st.segmented_control(
        "Clip", sources, default=sources[0], required=True, key="clip_source", persist_state="session"
    )
    return _upload() if source == "Upload" else _sample(samples)


def preview(clip: Picked) -> None:
    """What the clip is, and a player where browsers can play it.

    Raises:
        VideoError: it is no video, or damaged; the message names it as the user does.
    """
    with named(clip):
        info = _probe(clip.path, clip.sha256)
    if clip.path.suffix.lower() == ".gif":
        st.image(str(clip.path), width="stretch", alt=f"The clip {clip.name}")
    elif info.codec in PLAYABLE:
        st.video(str(clip.path), muted=True, loop=True, alt=f"The clip {clip.name}")
    else:
        st.caption(f"Browsers cannot play {info.codec}; the frames that are scored appear with the verdict.")
    st.caption(
        f"{info.width} × {info.height} px, {info.duration:.1f} s at {info.fps:.0f} frames a second, {info.codec}"
    )


@contextmanager
def named(clip: Picked) -> Iterator[None]:
    """Let complaints about the clip's temporary file speak of the clip by the user's name for it."""
    try:
        yield
    except DfdError as error:
        raise type(error)(str(error).replace(str(clip.path), clip.name)) from None


@st.cache_data(max_entries=20, show_spinner=False)
def _probe(_path: Path, sha256: str) -> VideoInfo:
    return probe(_path)


def _upload() -> Picked | None:
    file = st.file_uploader(
        f"A video of one person's face, up to {st.get_option('server.maxUploadSize')} MB",
        type=TYPES,
        key="upload",
        on_change=_forget,
        help="It stays on this machine, in a temporary folder of this session, and is deleted when the session ends or "
        "you choose another clip.",
    )
    kept: Picked | None = st.session_state.get("uploaded")
    if file is not None and (kept is None or not kept.path.is_file()):
        kept = st.session_state["uploaded"] = _store(file)
    if kept is None or not kept.path.is_file():
        return None
    if file is None:  # the widget forgets its file when the page is left
        st.caption(f"{kept.name} is still here; another upload replaces it.")
    return kept


def _store(file: UploadedFile) -> Picked:
    content = file.getbuffer()
    path = _session_folder() / f"clip{Path(file.name).suffix.lower()}"
    path.write_bytes(content)
    return Picked(path, file.name, hashlib.sha256(content).hexdigest())


def _forget() -> None:
    """Delete the session's upload."""
    st.session_state.pop("uploaded", None)
    for path in _session_folder().iterdir():
        path.unlink()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@st.cache_resource(show_spinner=False)
def _uploads() -> Path:
    """The server's folder for uploads; gone with the server, should a session still be open then."""
    folder = Path(tempfile.mkdtemp(prefix="dfd-uploads-"))
    atexit.register(_remove, folder)
    return folder


@st.cache_resource(scope="session", on_release=_remove, show_spinner=False)
def _session_folder() -> Path:
    return Path(tempfile.mkdtemp(dir=_uploads()))


def _sample(samples: list[Clip]) -> Picked | None:
    place = st.selectbox(
        "A test clip the detectors have not seen",
        range(len(samples)),
        index=None,
        format_func=lambda place: f"Sample {place + 1} of {samples[place].corpus}",
        placeholder="Choose one; what it is, is said after the verdict",
        key="sample_clip",
        persist_state="session",
    )
    if place is None:
        return None
    _forget()
    clip = samples[place]
    digest = hashlib.sha256(clip.path.read_bytes()).hexdigest()
    truth = f"{clip.label.word} ({clip.method})" if clip.method != "original" else clip.label.word
    return Picked(clip.path, f"Sample {place + 1} of {clip.corpus}", digest, truth)


@st.cache_data(ttl=30, max_entries=1, show_spinner=False)
def _samples(folder: Path) -> list[Clip]:
    """A few test clips of each sample corpus, in an order that does not give their labels away."""
    found: list[Clip] = []
    for path in sorted(folder.glob("*/manifest.csv")):
        try:
            clips = [clip for clip in read_manifest(path).split("test") if clip.path.is_file()]
        except ManifestError:  # it is being written, or is no corpus of ours: there is nothing to offer from it
            continue
        clips.sort(key=lambda clip: hashlib.sha256(clip.clip_id.encode()).hexdigest())
        found += clips[: SAMPLES_SHOWN // 2]
    return found
