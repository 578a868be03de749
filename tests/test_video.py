"""Decoding: the right frames at the right times, upright, from whole and from damaged files, and never a hang."""

import json
import logging
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from dfd import video
from dfd.errors import VideoError
from dfd.video import iter_frames, probe, read_frames, write_video
from tests import videos


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """60 numbered frames, a key frame each 12."""
    return videos.encode(tmp_path / "clip.mp4", videos.numbered(60), options={"g": "12"})


@pytest.fixture
def fresh_decoder() -> Iterator[None]:
    """No decoder of before a test that changes how they start, and none of that test after it."""
    video._end_idle()
    yield
    video._end_idle()


@pytest.fixture
def sleeping_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_decoder: None) -> None:
    """A decoder that hangs as decord's `get_batch` can: for ever, deaf to SIGTERM."""
    script = tmp_path / "sleeper.py"
    script.write_text("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n")
    monkeypatch.setattr(video, "CHILD", script)


def test_probe_tells_what_the_clip_is(clip: Path) -> None:
    info = probe(clip)
    assert (info.frames, info.width, info.height, info.rotation, info.codec) == (60, 96, 64, 0, "h264")
    assert info.fps == pytest.approx(30)
    assert info.duration == pytest.approx(2)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx"),
        ("a.mpg", "mpeg1video"),
        ("a.ts", "libx264"),
        ("a.gif", "gif"),
    ],
)
def test_every_container_gives_the_frames_asked_for(tmp_path: Path, name: str, codec: str) -> None:
    path = videos.encode(tmp_path / name, videos.numbered(40), codec=codec)
    frames = read_frames(path, [39, 3, 17, 4, 39, 1000])
    assert videos.numbers(frames.pixels) == frames.indices.tolist() == [3, 4, 17, 39]
    assert frames.pixels.dtype == np.uint8
    np.testing.assert_allclose(frames.times, frames.indices / 30, atol=0.011)  # a GIF counts in hundredths


@pytest.mark.parametrize("ahead", [True, False])
def test_chunks_make_up_the_whole(clip: Path, ahead: bool) -> None:
    parts = list(iter_frames(clip, range(50), chunk=16, ahead=ahead))
    assert [len(part) for part in parts] == [16, 16, 16, 2]
    whole = read_frames(clip, range(50))
    np.testing.assert_array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)
    assert videos.numbers(whole.pixels) == list(range(50))


def test_an_abandoned_iteration_does_not_spoil_the_next(clip: Path) -> None:
    first = iter_frames(clip, range(60), chunk=4)
    next(first)
    first.close()
    assert videos.numbers(read_frames(clip, [7]).pixels) == [7]


def test_times_are_those_of_the_container(tmp_path: Path) -> None:
    times = np.cumsum([0] + [0.1 if at % 3 else 0.02 for at in range(29)])
    path = videos.encode(tmp_path / "uneven.mp4", videos.numbered(30), times=times.tolist())
    np.testing.assert_allclose(read_frames(path, range(30)).times, times, atol=0.001)


def test_the_long_side_bounds_the_picture(clip: Path) -> None:
    assert read_frames(clip, [0, 5], long_side=48).pixels.shape == (2, 32, 48, 3)
    assert read_frames(clip, [0], long_side=500).pixels.shape == (1, 64, 96, 3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("long_side", [None, 48])
def test_a_turned_clip_comes_upright(tmp_path: Path, rotation: int, long_side: int | None) -> None:
    lying = np.rot90(videos.numbered(12), k=-rotation // 90, axes=(1, 2))
    path = videos.encode(tmp_path / "turned.mp4", lying, rotation=rotation)
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (96, 64, rotation)
    frames = read_frames(path, range(12), long_side=long_side)
    assert frames.pixels.shape[1:3] == ((64, 96) if long_side is None else (32, 48))
    if long_side is None:
        assert videos.numbers(frames.pixels) == list(range(12))


def test_frames_trimmed_by_a_phone_are_not_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = videos.encode(tmp_path / "trimmed.mp4", videos.numbered(60), options={"g": "12"})
    videos.trim_by_edit_list(path, seconds=1)
    with caplog.at_level(logging.WARNING):
        frames = read_frames(path, range(60))
    assert videos.numbers(frames.pixels) == list(range(30))  # decord alone gives the 30th again and again
    assert probe(path).frames == 30
    assert "PyAV: an edit list" in caplog.text


def test_more_frames_promised_than_there_are(clip: Path) -> None:
    videos.promise_frames(clip, 90)
    spread = read_frames(clip, np.linspace(0, 89, 10).round().astype(int))  # decord is known to hang on this
    assert videos.numbers(spread.pixels) == spread.indices.tolist() == [0, 10, 20, 30, 40, 49, 59]
    assert videos.numbers(read_frames(clip, range(90)).pixels) == list(range(60))


def test_a_download_that_broke_off_keeps_its_first_frames(tmp_path: Path) -> None:
    path = tmp_path / "part.mp4"
    videos.encode(path, videos.numbered(60), container_options={"movflags": "faststart"}, options={"g": "12"})
    frames = read_frames(videos.cut(path, 0.6), range(60))
    assert 10 < len(frames) < 60
    assert videos.numbers(frames.pixels) == list(range(len(frames)))


def test_damaged_frames_are_left_out_not_made_up(clip: Path) -> None:
    frames = read_frames(videos.damage(clip), range(60))
    assert 30 < len(frames) < 60
    first, last = frames.indices[0], frames.indices[-1]
    assert (first, last) == (0, 59)
    numbers = videos.numbers(frames.pixels)
    assert numbers[:20] == frames.indices.tolist()[:20]
    assert numbers[-5:] == frames.indices.tolist()[-5:]


def test_a_still_scene_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = videos.encode(tmp_path / "still.mp4", np.repeat(videos.numbered(1), 40, axis=0))
    with caplog.at_level(logging.WARNING):
        assert len(read_frames(path, range(40))) == 40
    assert caplog.text == ""


def test_frames_that_decord_makes_up_are_noticed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fresh_decoder: None
) -> None:
    source = video.CHILD.read_text()
    script = tmp_path / "repeats_a_frame.py"
    batch = "self.reader.get_batch(indices).asnumpy()"
    script.write_text(source.replace(batch, f"{batch}; pixels[3:4] = pixels[2]"))
    assert script.read_text() != source
    monkeypatch.setattr(video, "CHILD", script)
    with caplog.at_level(logging.WARNING):
        assert videos.numbers(read_frames(clip, range(12)).pixels) == list(range(12))
    assert "a neighbour in the place of frames that fail" in caplog.text


def test_av1_is_read_though_decord_cannot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = videos.encode(tmp_path / "new.mp4", videos.numbered(10), codec="libsvtav1", options={"preset": "12"})
    with caplog.at_level(logging.WARNING):
        assert videos.numbers(read_frames(path, range(10)).pixels) == list(range(10))
    assert "is read by PyAV: decord cannot open it" in caplog.text


def test_both_readers_give_the_same_pixels(clip: Path) -> None:
    by_decord = read_frames(clip, range(20))
    budget = video._Budget(30)
    with video._borrowed() as decoder:
        decoder.open(clip, None, "pyav", budget)
        reply, pixels = decoder.ask({"do": "read", "indices": list(range(20))}, budget)
        decoder.ask({"do": "close"}, budget)
    np.testing.assert_array_equal(pixels, by_decord.pixels)


@pytest.mark.parametrize(
    "name", ["two words.mp4", "naïve ビデオ.mp4", 'it\'s "quoted" $HOME;%d.mp4', "-rf.mp4", "a:b.mp4"]
)
def test_any_file_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), videos.numbered(4), 30)
    assert videos.numbers(read_frames(Path(name), range(4)).pixels) == [0, 1, 2, 3]


def _refused(path: Path, *words: str) -> None:
    for call in (probe, lambda path: read_frames(path, [0, 1])):
        with pytest.raises(VideoError) as caught:
            call(path)
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        for word in words:
            assert word in message


def test_what_is_no_video_is_refused_with_its_name_and_a_remedy(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("hello\n" * 500)
    _refused(text, "not a video", "MP4")
    painted = tmp_path / "notes.txt"  # FFmpeg would paint it as text art
    painted.write_text("hello\n" * 500)
    _refused(painted, "not a video")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    _refused(empty, "empty", "again")
    _refused(tmp_path / "missing.mp4", "no file")
    _refused(tmp_path, "no file")
    _refused(videos.sound(tmp_path / "sound.m4a"), "sound", "no picture")
    _refused(videos.sound(tmp_path / "sound.mp4"), "no picture")


def test_a_playlist_leads_nowhere(tmp_path: Path, clip: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n")
    _refused(playlist, "not a video")


def test_a_clip_cut_before_its_index_is_refused(clip: Path) -> None:
    _refused(videos.cut(clip, 0.6), "cut off", "whole file")


def test_a_clip_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    path = videos.encode(tmp_path / "noise.mp4", videos.numbered(5))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    length = struct.unpack_from(">I", data, start - 8)[0] - 8
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    _refused(path, "damaged")


def test_a_decoder_that_hangs_is_killed_and_said_so(clip: Path, sleeping_decoder: None) -> None:
    started = time.monotonic()
    with pytest.raises(VideoError, match=r"longer than 0\.4 s and was stopped; shorten or re-encode"):
        read_frames(clip, range(4), timeout=0.4)
    with pytest.raises(VideoError, match="was stopped"):
        probe(clip, timeout=0.2)
    assert time.monotonic() - started < 60
    assert not video._idle


def test_where_decord_hangs_pyav_reads_on(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fresh_decoder: None
) -> None:
    source = video.CHILD.read_text()
    script = tmp_path / "hangs_in_decord.py"
    script.write_text(
        source.replace(
            "pixels: Pixels = self.reader.get_batch(indices)",
            "__import__('time').sleep(600 * (3 in indices))\n"
            "            pixels: Pixels = self.reader.get_batch(indices)",
        )
    )
    assert script.read_text() != source
    monkeypatch.setattr(video, "CHILD", script)
    with caplog.at_level(logging.WARNING):
        parts = list(iter_frames(clip, range(12), chunk=2, timeout=6))
    assert [number for part in parts for number in videos.numbers(part.pixels)] == list(range(12))
    assert "hung, was killed; PyAV reads on" in caplog.text


def test_a_decoder_that_dies_is_replaced(clip: Path) -> None:
    read_frames(clip, [0])
    video._idle[0]._process.kill()
    assert videos.numbers(read_frames(clip, [5]).pixels) == [5]


def test_a_failure_of_our_own_is_not_blamed_on_the_clip(clip: Path) -> None:
    with pytest.raises(RuntimeError, match="no such request"), video._borrowed() as decoder:
        decoder.ask({"do": "dance"}, video._Budget(30))
    assert videos.numbers(read_frames(clip, [5]).pixels) == [5]


def test_threads_read_at_the_same_time(clip: Path) -> None:
    seen: dict[int, list[int]] = {}

    def read(start: int) -> None:
        seen[start] = videos.numbers(read_frames(clip, range(start, start + 9)).pixels)

    threads = [threading.Thread(target=read, args=(start,)) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {start: list(range(start, start + 9)) for start in (0, 10, 20)}
    assert len(video._idle) == 1


def test_a_decoder_that_waits_does_not_decode_a_large_clip_into_memory(tmp_path: Path, fresh_decoder: None) -> None:
    """decord does, at 1 GB a second, up to the end of the clip."""
    still = np.zeros((1, 720, 1280, 3), np.uint8)
    videos.encode(tmp_path / "large.mp4", still.repeat(300, axis=0), options={"preset": "ultrafast"})
    frames = iter_frames(tmp_path / "large.mp4", range(12), chunk=4)
    with video._borrowed() as decoder:  # the one that `frames` is about to borrow
        process = psutil.Process(decoder._process.pid)
    next(frames)
    time.sleep(1)
    assert process.memory_info().rss < 250 << 20
    assert sum(len(part) for part in frames) == 8


def test_the_decoder_never_loads_torch_and_ends_with_its_parent(clip: Path, tmp_path: Path) -> None:
    script = (
        "import json, sys\nfrom pathlib import Path\nfrom dfd import video\n"
        "video.read_frames(Path(sys.argv[1]), [0])\n"
        "child = video._idle[0]._process.pid\n"
        "maps = Path(f'/proc/{child}/maps')\n"
        "loaded = maps.read_text() if maps.exists() else ''\n"
        "print(json.dumps([child, 'torch' in sys.modules, 'libtorch' in loaded, 'decord' in loaded or not loaded]))\n"
        "import os; os._exit(0) if sys.argv[2] == 'abrupt' else None\n"
    )
    for manner in ("calm", "abrupt"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(clip), manner], capture_output=True, text=True, check=True
        )
        child, parent_has_torch, child_has_torch, child_has_decord = json.loads(done.stdout)
        assert (parent_has_torch, child_has_torch, child_has_decord) == (False, False, True)
        deadline = time.monotonic() + 20
        while _runs(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    pixels = videos.face_frames(12, 96, 128, size=80)
    write_video(tmp_path / "a.mp4", pixels, 25, crf=4, pixel_format="yuv444p")
    frames = read_frames(tmp_path / "a.mp4", range(12))
    error = np.mean((frames.pixels.astype(float) - pixels) ** 2)
    assert 10 * np.log10(255**2 / error) > 42
    assert probe(tmp_path / "a.mp4").fps == pytest.approx(25)


def test_odd_sides_are_made_even_where_the_format_needs_it(tmp_path: Path) -> None:
    pixels = videos.numbered(3, 65, 97)
    write_video(tmp_path / "even.mp4", pixels, 30)
    assert read_frames(tmp_path / "even.mp4", [0]).pixels.shape == (1, 66, 98, 3)
    write_video(tmp_path / "odd.mp4", pixels, 30, pixel_format="yuv444p")
    assert read_frames(tmp_path / "odd.mp4", [0]).pixels.shape == (1, 65, 97, 3)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    """Fifty times over: x264 by itself came to five different files in fifteen hundred calls."""
    found = set()
    for _ in range(50):
        write_video(tmp_path / "clip.mp4", videos.numbered(9), 29.97)
        found.add((tmp_path / "clip.mp4").read_bytes())
    assert len(found) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_video(tmp_path / "a.mp4", np.zeros((2, 8, 8, 3), np.float32), 30)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="(?i)preset|invalid|error"):
        write_video(tmp_path / "a.mp4", videos.numbered(2), 30, preset="no such preset")
    assert list(tmp_path.iterdir()) == []
