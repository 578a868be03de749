"""The clips that configuration offers: those of one folder, and never a file outside it."""

from pathlib import Path

import pytest

from dfd.clip_folder import clip_folder, listed, within
from dfd.errors import VideoError

SUFFIXES = {".mp4", ".gif"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "clips"
    (root / "day 1" / ".cache").mkdir(parents=True)
    for name in ("b.MP4", "a.gif", "notes.txt", "day 1/c.mp4", ".hidden.mp4", "day 1/.cache/d.mp4"):
        (root / name).write_bytes(b"x")
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (tmp_path / "clips of others").mkdir()
    (tmp_path / "clips of others" / "theirs.mp4").write_bytes(b"x")
    (root / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "others").symlink_to(tmp_path / "clips of others")
    (root / "gone.mp4").symlink_to(tmp_path / "nothing.mp4")
    (root / "same.mp4").symlink_to(root / "b.MP4")
    return root


def test_its_clips_are_listed_and_nothing_that_leads_out(folder: Path) -> None:
    assert listed(folder, SUFFIXES) == ["a.gif", "b.MP4", "same.mp4", "day 1/c.mp4"]
    assert within(folder, "day 1/c.mp4") == folder / "day 1" / "c.mp4"
    assert within(folder, "same.mp4") == folder / "b.MP4"


@pytest.mark.parametrize(
    "name", ["../secret.mp4", "out.mp4", "others/theirs.mp4", "gone.mp4", "day 1", "day 1/../../secret.mp4", "none.mp4"]
)
def test_a_name_that_leads_out_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(VideoError, match="is no clip of the folder"):
        within(folder, name)
    with pytest.raises(VideoError, match="is no clip of the folder"):
        within(folder, str(folder.parent / "secret.mp4"))


def test_the_folder_is_named_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DFD_CLIPS", raising=False)
    assert clip_folder() is None
    monkeypatch.setenv("DFD_CLIPS", str(folder))
    assert clip_folder() == folder
    monkeypatch.setenv("DFD_CLIPS", str(folder / "nowhere"))
    with pytest.raises(VideoError, match="DFD_CLIPS is .*nowhere, which is no folder"):
        clip_folder()
