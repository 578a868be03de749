"""Choosing a clip: an upload, kept in a folder of the session and gone with it, a test clip, or one of `DFD_CLIPS`."""

import atexit
import hashlib
import shutil
import tempfile
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dfd.clip_folder import clip_folder, listed, within
from dfd.corpora import registry
from dfd.errors import ManifestError
from dfd.manifest import Clip, read_manifest
from dfd.paths import data_dir
from pages.ui.picked import Picked, digest

TYPES = ["mp4", "mov", "avi", "mkv", "webm", "gif", "mpg", "mpeg", "m4v"]
FORMATS = "MP4, MOV, AVI, MKV, WebM, GIF or MPEG"
SAMPLES_SHOWN = 12
SAMPLES, FOLDER = "Sample clips", "On this server"


def picker(frames: int | None = None) -> Picked | None:
    """Upload, sample or a clip of the server's folder; None until one is chosen.

    Args:
        frames: Of a clip that are looked at, at most, to be said before an upload; None: not said.

    Raises:
        VideoError: the server's folder is not there.
    """
    samples, folder = _samples(data_dir() / "sample"), clip_folder()
    sources = ["Upload", *([SAMPLES] if samples else []), *([FOLDER] if folder else [])]
    source = st.segmented_control(
        "Clip", sources, default=sources[0], required=True, key="clip_source", persist_state="session"
    )
    if source == SAMPLES:
        return _sample(samples)
    return _of_folder(folder) if source == FOLDER and folder else _upload(frames)


def of_corpus(ref: str) -> Picked:
    """A clip of a registered corpus by CORPUS:CLIP_ID, as links name it.

    Raises:
        ManifestError: there is no such corpus or clip, or its file is gone.
    """
    corpus, _, clip_id = ref.partition(":")
    clip = next((clip for clip in registry.get(corpus).manifest() if clip.clip_id == clip_id), None)
    if clip is None:
        raise ManifestError(f"corpus '{corpus}' has no clip '{clip_id}'; the link may be of another store")
    if not clip.path.is_file():
        raise ManifestError(f"{clip.path} is gone; `dfd corpora check {corpus}` says what else is")
    return _picked(clip, f"{clip_id} of {corpus}")


def _upload(frames: int | None) -> Picked | None:
    of_it = f", of any length; its first {frames} frames are looked at" if frames else ""
    file = st.file_uploader(
        f"A video with a face: {FORMATS}, up to {st.get_option('server.maxUploadSize')} MB{of_it}",
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
    return _picked(clip, f"Sample {place + 1} of {clip.corpus}")


def _of_folder(folder: Path) -> Picked | None:
    names = _listed(folder)
    name = st.selectbox(
        "A clip of the folder that this server offers",
        names,
        index=None,
        placeholder="Choose one" if names else f"There is no {FORMATS} file in it",
        key="folder_clip",
        persist_state="session",
        help="The environment variable DFD_CLIPS of the server names the folder; nothing outside it can be chosen.",
    )
    if name is None:
        return None
    _forget()
    path = within(folder, name)
    return Picked(path, name, digest(path))


@st.cache_data(ttl=10, max_entries=2, show_spinner=False)
def _listed(folder: Path) -> list[str]:
    return listed(folder, {f".{ending}" for ending in TYPES})


def _picked(clip: Clip, name: str) -> Picked:
    truth = f"{clip.label.word} ({clip.method})" if clip.method != "original" else clip.label.word
    return Picked(clip.path, name, digest(clip.path), truth, f"{clip.corpus}:{clip.clip_id}")


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
