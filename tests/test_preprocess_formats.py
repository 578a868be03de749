"""Odd clips through preprocessing: what can be read is cut as any other, what cannot is named, the rest is done."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd.cutter import Cutter
from dfd.face_only import load_face_clip
from dfd.faces import FaceClip
from dfd.jobs import Job
from dfd.labels import Label
from dfd.manifest import Clip, Manifest, read_manifest
from dfd.preprocess import PreprocessReport, preprocess
from dfd.recipe import CropRecipe
from tests import videos

RECIPE = CropRecipe(max_frames=8)
FACE = videos.face_frames(8, 120, 160, size=90)
TIMES = [0.0, 0.02, 0.3, 0.31, 0.5, 1.5, 1.52, 2.0]
LARGE = videos.face_frames(4, 135, 240, size=100).repeat(16, axis=1).repeat(16, axis=2)


def lying(rotation: int) -> videos.Pixels:
    """The pictures as a phone that is held upright stores them."""
    return np.rot90(FACE, k=-rotation // 90, axes=(1, 2))


READABLE: dict[str, Callable[[Path], object]] = {
    "plain.mp4": lambda path: videos.encode(path, FACE),
    "quarter turn.mp4": lambda path: videos.encode(path, lying(90), rotation=90),
    "half turn.mov": lambda path: videos.encode(path, lying(180), rotation=180),
    "three quarters.mp4": lambda path: videos.encode(path, lying(270), rotation=270),
    "uneven times.mp4": lambda path: videos.encode(path, FACE, times=TIMES),
    "one frame.mp4": lambda path: videos.encode(path, FACE[:1]),
    "4K.mp4": lambda path: videos.encode(path, LARGE, options={"preset": "ultrafast"}),
    "10 bit.mp4": lambda path: videos.encode(path, FACE, pixel_format="yuv420p10le"),
    "hevc.mp4": lambda path: videos.encode(path, FACE, codec="libx265", options={"x265-params": "log-level=none"}),
    "hevc 10 bit.mkv": lambda path: videos.encode(
        path, FACE, codec="libx265", pixel_format="yuv420p10le", options={"x265-params": "log-level=none"}
    ),
    "picture.gif": lambda path: videos.encode(path, FACE, codec="gif"),
    "vp8.webm": lambda path: videos.encode(path, FACE, codec="libvpx"),
    "vp9.webm": lambda path: videos.encode(path, FACE, codec="libvpx-vp9"),
    "lossless.mkv": lambda path: videos.encode(path, FACE[:, :119, :159], codec="ffv1"),
    "naïve ビデオ 🎬.mp4": lambda path: videos.encode(path, FACE[:5]),
    'it\'s "quoted", $HOME;%d*.mp4': lambda path: shutil.copy(path.with_name("naïve ビデオ 🎬.mp4"), path),
    f"{'long ' * 49}.mp4": lambda path: shutil.copy(path.with_name("naïve ビデオ 🎬.mp4"), path),
    "same name.mp4": lambda path: videos.encode(path, FACE[:3]),
    "Same Name.mp4": lambda path: videos.encode(path, FACE[:4]),
    "link.mp4": lambda path: path.symlink_to(path.with_name("plain.mp4")),
    "copy.mp4": lambda path: shutil.copy(path.with_name("plain.mp4"), path),
    "other disk/there.mp4": lambda path: videos.encode(_on_another_disk(path), FACE[:6]),
}
UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.mp4": (lambda path: path.write_text("hello\n" * 500), "not a video"),
    "cut off.mp4": (lambda path: videos.cut(videos.encode(path, FACE), 0.6), "cut off"),
    "zeros.mp4": (lambda path: path.write_bytes(bytes(5000)), "not a video"),
    "empty.mp4": (lambda path: path.touch(), "empty"),
    "wall.mp4": (lambda path: videos.encode(path, videos.wall(8, 120, 160)), "no face was found in the 8 frames"),
    "stamp.mp4": (lambda path: videos.encode(path, FACE[:, :8, :8]), "no face was found in the 8 frames"),
    "strip.mp4": (lambda path: videos.encode(path, FACE[:, 60:76]), "no face was found in the 8 frames"),
    "sound.mp4": (videos.sound, "sound but no picture"),
    "new codec.mp4": (lambda path: _rename(videos.encode(path, FACE), b"avc1", b"zzz9"), "FFmpeg does not know"),
    "folder.mp4": (lambda path: path.mkdir(), "folder of face crops"),
    "pipe.mp4": (os.mkfifo, "no file"),
    "missing.mp4": (lambda path: None, "no file"),
    "other disk/gone/a.mp4": (lambda path: None, "no file"),
    "broken link.mp4": (lambda path: path.symlink_to("nowhere.mp4"), "no file"),
    "round.mp4": (lambda path: path.symlink_to(path), "no file"),
    f"{'too long ' * 40}.mp4": (lambda path: None, "File name too long"),
}


def _rename(path: Path, before: bytes, after: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(before, after))


def _on_another_disk(path: Path) -> Path:
    """A folder of the corpus that is a link to one elsewhere."""
    elsewhere = path.parents[2] / "elsewhere"
    elsewhere.mkdir()
    path.parent.symlink_to(elsewhere)
    return path


def corpus_of(root: Path, names: list[str]) -> Manifest:
    clips = [
        Clip("odd", name, root / name, Label.REAL, "original", "", f"p{at}", "", "train", False)
        for at, name in enumerate(names)
    ]
    return Manifest("odd", tuple(clips)).check()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreprocessReport]:
    """Where all of the clips went, and what was said of them."""
    root = tmp_path_factory.mktemp("disk") / "corpus"
    root.mkdir()
    for name, make in READABLE.items():
        make(root / name)
    for name, (make, _) in UNREADABLE.items():
        make(root / name)
    corpus_of(root, [*READABLE, *UNREADABLE]).write(root / "manifest.csv")
    out = root.parent / "faces"
    return out, preprocess(read_manifest(root / "manifest.csv"), out, RECIPE, workers=1)


def cut_from(out: Path, name: str) -> FaceClip:
    clip = next(clip for clip in read_manifest(out / "manifest.csv") if clip.clip_id == name)
    assert clip.path.is_relative_to(out), dict(json.loads((out / "report.json").read_text())["failures"])[name]
    return load_face_clip(clip.path)


@pytest.mark.parametrize("name", READABLE)
def test_what_can_be_read_gives_the_crops_of_a_plain_clip(odd: tuple[Path, PreprocessReport], name: str) -> None:
    """Upright ones: the eyes lie above the mouth, and the picture is the plain clip's."""
    plain, found = cut_from(odd[0], "plain.mp4"), cut_from(odd[0], name)
    left_eye, right_eye, _, left_mouth, right_mouth = found.track.landmarks[0]
    assert left_eye[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < min(left_mouth[1], right_mouth[1])
    alike = np.corrcoef(found.crops[0].mean(axis=2).ravel(), plain.crops[0].mean(axis=2).ravel())[0, 1]
    # Boxes of other encodings differ by some pixels; a picture that lies or stands on its head gives 0.15.
    assert alike > 0.8


def test_every_frame_is_cut_and_names_that_differ_by_case_stay_apart(odd: tuple[Path, PreprocessReport]) -> None:
    names = ("plain.mp4", "picture.gif", "one frame.mp4", "same name.mp4", "Same Name.mp4", "4K.mp4")
    assert [len(cut_from(odd[0], name).crops) for name in names] == [8, 8, 1, 3, 4, 4]


def test_uneven_times_are_kept(odd: tuple[Path, PreprocessReport]) -> None:
    np.testing.assert_allclose(cut_from(odd[0], "uneven times.mp4").track.times, TIMES, atol=0.001)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named_with_the_reason(odd: tuple[Path, PreprocessReport], name: str) -> None:
    reasons = dict(json.loads((odd[0] / "report.json").read_text())["failures"])
    assert UNREADABLE[name][1] in reasons[name]
    assert Path(name).name in reasons[name]
    assert "\n" not in reasons[name]


def test_every_clip_is_done_or_named(odd: tuple[Path, PreprocessReport]) -> None:
    out, report = odd
    assert [name for name, _ in report.failures] == list(UNREADABLE)
    assert (report.done, report.skipped) == (len(READABLE), 0)
    assert {clip.clip_id: clip.frames for clip in read_manifest(out / "manifest.csv") if not clip.frames} == (
        dict.fromkeys(UNREADABLE, 0)
    )
    assert len(list(out.glob("clips/*.mp4"))) == len(list(out.glob("clips/*.json"))) == len(READABLE)


def test_clips_with_the_same_bytes_are_told(odd: tuple[Path, PreprocessReport]) -> None:
    same = ["plain.mp4", "link.mp4", "copy.mp4"]
    others = [name for name in READABLE if re.match("naïve|it's|long", name)]
    assert odd[1].copies == json.loads((odd[0] / "report.json").read_text())["copies"] == [same, others]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_clip_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    videos.encode(tmp_path / "secret.mp4", FACE).chmod(0)
    report = preprocess(corpus_of(tmp_path, ["secret.mp4"]), tmp_path / "out", RECIPE)
    assert "cannot be read (Permission denied)" in report.failures[0][1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    names = {"a.mp4": "libx264", "a.mkv": "libx264", "a.avi": "mpeg4", "a.webm": "libvpx", "a.gif": "gif"}
    made = {name: videos.encode(folder / name, FACE[:4], codec=codec) for name, codec in names.items()}
    return {name: path.read_bytes() for name, path in made.items()}


@pytest.fixture(scope="module")
def cutter() -> Cutter:
    return Cutter(RECIPE)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["a.mp4", "a.mkv", "a.avi", "a.webm", "a.gif"]),
    wrong=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=30),
    gap=st.none() | st.tuples(st.floats(0, 1), st.integers(1, 2000)),
)
def test_any_damage_gives_a_video_or_a_reason(
    cutter: Cutter,
    whole: dict[str, bytes],
    name: str,
    wrong: list[tuple[float, int]],
    gap: tuple[float, int] | None,
) -> None:
    data = bytearray(whole[name])
    for place, value in wrong:
        data[int(place * len(data))] = value
    if gap is not None:
        start = int(gap[0] * len(data))
        del data[start : start + gap[1]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        outcome = cutter(Job(0, "odd", name, str(path), folder))
        assert bool(outcome.reason) != (Path(folder) / outcome.file).is_file()
        assert "dfd itself failed" not in outcome.reason
