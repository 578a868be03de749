"""Finding faces: who is who, where, and the square that is cut out."""

import threading
from pathlib import Path

import numpy as np
import pytest
from facenet_pytorch import MTCNN
from numpy.typing import NDArray

from dfd import face_finder
from dfd.errors import NoFaceError, VideoError
from dfd.faces import FaceClip, FaceFinder, crop, face_clips, search
from dfd.frames import shrink
from dfd.recipe import CropRecipe
from dfd.tracks import Detections, iou, link
from dfd.video import write_video
from tests import videos

RECIPE = CropRecipe()


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(RECIPE)


@pytest.fixture(scope="module")
def swaying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "swaying.mp4"
    write_video(path, videos.face_frames(24), 30)
    return path


def _centres(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def test_a_face_is_followed_through_every_frame(finder: FaceFinder, swaying: Path) -> None:
    clips = face_clips(swaying, finder)
    assert len(clips) == 1
    clip, track = clips[0], clips[0].track
    assert clip.crops.shape == (24, 112, 112, 3)
    assert clip.crops.dtype == np.uint8
    assert (clip.recipe, clip.source) == (RECIPE, str(swaying))
    assert track.boxes.shape == (24, 4)
    assert track.landmarks.shape == (24, 5, 2)
    assert track.indices.tolist() == list(range(24))
    assert np.flatnonzero(track.detected).tolist() == [0, 5, 10, 15, 20, 23]
    np.testing.assert_allclose(track.times, np.arange(24) / 30, atol=0.001)
    sway = 120 + 12 * np.sin(np.arange(24) / 5)
    assert np.abs(_centres(track.boxes)[:, 0] - sway - np.mean(_centres(track.boxes)[:, 0] - sway)).max() < 4
    eyes = track.landmarks[:, :2]
    assert ((eyes > track.boxes[:, None, :2]) & (eyes < track.boxes[:, None, 2:])).all()


def test_the_crop_is_centred_on_the_face_and_a_third_wider(finder: FaceFinder, swaying: Path) -> None:
    clip = face_clips(swaying, finder)[0]
    sides = 1.3 * (clip.track.boxes[:, 2:] - clip.track.boxes[:, :2]).max(axis=1)
    corner = _centres(clip.track.boxes) - sides[:, None] / 2
    eyes = (clip.track.landmarks[:, :2] - corner[:, None]) / sides[:, None, None]  # in the crop, 0 to 1
    assert ((eyes[:, :, 1] > 0.25) & (eyes[:, :, 1] < 0.55)).all()
    again = finder.detect(clip.crops[::8])
    assert all(len(found.boxes) == 1 for found in again)
    assert np.abs(np.stack([_centres(found.boxes)[0] for found in again]) - 56).max() < 8


def assert_same_crops(few: FaceClip, whole: FaceClip, count: int) -> None:
    """Pixels agree to one level: MTCNN sees batches of other sizes, and its last bits move a box by 1e-5 px."""
    np.testing.assert_allclose(few.track.boxes, whole.track.boxes[:count], atol=0.01)
    differing = np.abs(few.crops.astype(int) - whole.crops[:count])
    assert differing.max() <= 1
    assert (differing > 0).mean() < 1e-3


def test_frames_asked_for_are_cut_as_in_a_look_at_the_whole_clip(finder: FaceFinder, swaying: Path) -> None:
    """Serving reads a few frames where preprocessing read all: the pixels must be the same."""
    whole = face_clips(swaying, finder)[0]
    for count in (3, 6, 11):
        few = face_clips(swaying, finder, frames=count)[0]
        assert few.track.indices.tolist() == list(range(count))
        assert_same_crops(few, whole, count)


def test_even_sampling_spreads_over_the_clip(swaying: Path) -> None:
    spread = FaceFinder(CropRecipe(sampling="even", max_frames=22))
    track = face_clips(swaying, spread, frames=4)[0].track
    assert track.indices.tolist() == [0, 7, 14, 21]
    assert track.detected.all()  # too far apart to interpolate between


def test_a_face_that_comes_late_is_waited_for(tmp_path: Path, finder: FaceFinder) -> None:
    pixels = videos.wall(60, 180, 240)
    for at in range(25, 60):
        videos.put(pixels, at, 110, (120, 90))
    write_video(tmp_path / "late.mp4", pixels, 30)
    clip = face_clips(tmp_path / "late.mp4", finder, frames=10)[0]
    assert clip.track.indices.tolist() == list(range(25, 35))
    assert_same_crops(clip, face_clips(tmp_path / "late.mp4", finder)[0], 10)


@pytest.mark.parametrize("held", [True, False])
def test_two_people_keep_their_names_while_their_sizes_cross(
    tmp_path: Path, finder: FaceFinder, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    if not held:
        monkeypatch.setattr("dfd.frames.HELD_BYTES", 0)  # as for a long or large clip, which is decoded twice
    pixels = videos.wall(40, 160, 320)
    for at in range(40):
        videos.put(pixels, at, 80 + at, (85, 80))
        videos.put(pixels, at, 120 - at, (240 - at, 80), flip=True)
    write_video(tmp_path / "two.mp4", pixels, 30)
    clips = face_clips(tmp_path / "two.mp4", finder)
    assert [len(clip.track) for clip in clips] == [40, 40]
    left, right = sorted(clips, key=lambda clip: clip.track.boxes[0, 0])
    assert (_centres(left.track.boxes)[:, 0] < 120).all()
    assert (_centres(right.track.boxes)[:, 0] > 160).all()
    widths = [clip.track.boxes[:, 2] - clip.track.boxes[:, 0] for clip in (left, right)]
    assert (widths[0] < widths[1])[0]
    assert (widths[0] > widths[1])[-1]


def test_a_smaller_person_who_comes_later_is_found(tmp_path: Path, finder: FaceFinder) -> None:
    """Between thorough looks only faces as large as those known are searched for."""
    pixels = videos.wall(50, 180, 360)
    for at in range(50):
        videos.put(pixels, at, 170, (100, 90))
        if at >= 12:
            videos.put(pixels, at, 75, (300, 90), flip=True)
    write_video(tmp_path / "guest.mp4", pixels, 30)
    host, guest = (clip.track for clip in face_clips(tmp_path / "guest.mp4", finder))
    assert len(host) == 50
    assert (guest.indices[0], guest.indices[-1]) == (15, 49)
    assert (_centres(guest.boxes)[:, 0] > 250).all()


def test_the_quick_resize_gives_the_librarys_boxes(finder: FaceFinder) -> None:
    pixels = videos.face_frames(3)
    quick = finder.detect(pixels)
    library = MTCNN(keep_all=True, min_face_size=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_finder.mtcnn_cascade, "imresample", face_finder._area.__defaults__[0])  # type: ignore[index]
        boxes, _, landmarks = library.detect(pixels, landmarks=True)
    for found, box, points in zip(quick, boxes, landmarks, strict=True):
        np.testing.assert_allclose(found.boxes, np.asarray(box, np.float32), atol=0.05)
        np.testing.assert_allclose(found.landmarks, np.asarray(points, np.float32), atol=0.05)


def test_looking_for_large_faces_only_gives_the_same_boxes(finder: FaceFinder) -> None:
    pixels = videos.face_frames(3, size=150)
    for one, other in zip(finder.detect(pixels), finder.detect(pixels, 50), strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.5)


def test_a_clip_without_a_face_says_so(tmp_path: Path, finder: FaceFinder) -> None:
    path = tmp_path / "wall.mp4"
    write_video(path, videos.wall(20, 120, 160), 30)
    with pytest.raises(NoFaceError, match=r"no face was found in the 20 frames of .*wall\.mp4"):
        face_clips(path, finder)
    with pytest.raises(VideoError, match="no file"):
        face_clips(tmp_path / "gone.mp4", finder)


def test_a_small_face_is_found_by_a_closer_look(tmp_path: Path, finder: FaceFinder) -> None:
    pixels = videos.wall(10, 540, 720)
    for at in range(10):
        videos.put(pixels, at, 62, (300, 200))  # the face is 35 px wide: 17 px at the size of detection
    write_video(tmp_path / "far.mp4", pixels, 30, crf=10)
    clip = face_clips(tmp_path / "far.mp4", finder)[0]
    assert np.abs(_centres(clip.track.boxes) - (300, 200)).max() < 20


def test_one_frame_is_enough_to_be_looked_at(tmp_path: Path, finder: FaceFinder) -> None:
    write_video(tmp_path / "one.mp4", videos.face_frames(1), 30)
    found = search(tmp_path / "one.mp4", finder, frames=20)
    assert (found.info.frames, len(found.clips), len(found.clips[0].crops)) == (1, 1, 1)


def test_progress_rises_to_one(finder: FaceFinder, swaying: Path) -> None:
    told: list[float] = []
    face_clips(swaying, finder, progress=lambda fraction, message: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_threads_may_share_a_finder(finder: FaceFinder) -> None:
    pixels = videos.face_frames(4)
    alone = finder.detect(pixels)
    seen: list[list[Detections]] = []
    threads = [threading.Thread(target=lambda: seen.append(finder.detect(pixels))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 3
    for found in seen:
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)


def test_frames_with_and_without_faces_share_a_batch(finder: FaceFinder) -> None:
    pixels = videos.wall(3, 180, 240)
    videos.put(pixels, 1, 120, (120, 90))
    assert [len(found.boxes) for found in finder.detect(pixels)] == [0, 1, 0]


# crops


def test_a_crop_at_the_border_repeats_the_edge() -> None:
    frame = np.zeros((50, 60, 3), np.uint8)
    frame[:, 0] = (9, 120, 250)
    cut = crop(frame, np.array([-20, 10, 10, 40], np.float32), RECIPE)
    assert cut.shape == (112, 112, 3)
    assert (np.abs(cut[:, :60].astype(int) - (9, 120, 250)) <= 2).all()
    assert (cut[:, -30:] == 0).all()


@pytest.mark.parametrize("box", [(-300, -300, -200, -200), (1000, 10, 1100, 90), (-50, -50, 500, 400), (5, 5, 5, 5)])
def test_any_box_gives_a_crop(box: tuple[float, ...]) -> None:
    frame = videos.wall(1, 90, 120)[0]
    assert crop(frame, np.array(box, np.float32), RECIPE).shape == (112, 112, 3)


def test_a_crop_follows_a_box_by_fractions_of_a_pixel() -> None:
    frame = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 3, axis=2).repeat(100, axis=0)
    means = [
        crop(frame, np.array([60 + shift, 30, 100 + shift, 70], np.float32), RECIPE).mean() for shift in (0, 0.25, 0.5)
    ]
    assert 0.15 < means[1] - means[0] < 0.5
    assert 0.15 < means[2] - means[1] < 0.5


def test_crops_are_rgb_and_antialiased() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[:, ::2, 0] = 255  # stripes of one pixel: an aliased crop keeps stripes, an antialiased one is even
    cut = crop(frame, np.array([50, 50, 350, 350], np.float32), RECIPE)
    assert np.abs(cut[..., 0].astype(int) - 127).max() < 40
    assert cut[..., 1:].max() == 0


def test_shrinking_keeps_the_shape() -> None:
    assert shrink(np.zeros((100, 200, 3), np.uint8), 50).shape == (25, 50, 3)
    assert shrink(np.zeros((40, 20, 3), np.uint8), 50).shape == (40, 20, 3)


# links


def _seen(*boxes: tuple[float, float, float]) -> Detections:
    """Faces given as centre x, centre y, side."""
    squares = [(x - side / 2, y - side / 2, x + side / 2, y + side / 2) for x, y, side in boxes]
    return Detections(np.array(squares, np.float32).reshape(-1, 4), np.zeros((len(boxes), 5, 2), np.float32))


def test_people_who_walk_past_each_other_keep_their_names() -> None:
    sightings = [(at, _seen((40 + 4 * at, 50, 40), (240 - 4 * at, 80, 40))) for at in range(0, 50, 5)]
    trails = link(sightings, 0.3)
    assert len(trails) == 2
    for trail in trails:
        x = np.stack(trail.boxes)[:, 0]
        assert len(x) == 10
        assert (np.diff(x) > 0).all() or (np.diff(x) < 0).all()


def test_a_head_thrown_aside_stays_one_person() -> None:
    sightings = [(at, _seen((100 + 52 * (at // 5 % 2), 50, 100))) for at in range(0, 40, 5)]  # IoU 0.32 of 100 px
    thrown = [(at, _seen((100 + 60 * (at // 5 % 2), 50, 100))) for at in range(0, 40, 5)]  # IoU 0.25
    assert [len(trail.indices) for trail in link(sightings, 0.3)] == [8]
    assert [len(trail.indices) for trail in link(thrown, 0.3)] == [8]


def test_a_short_absence_is_bridged_and_a_long_one_is_not() -> None:
    away = {10, 15}
    short = [(at, _seen() if at in away else _seen((50, 50, 40))) for at in range(0, 60, 5)]
    assert [trail.frames for trail in link(short, 0.3)] == [56]
    long = [(at, _seen() if 20 <= at < 45 else _seen((50, 50, 40))) for at in range(0, 80, 5)]
    assert sorted(trail.frames for trail in link(long, 0.3)) == [16, 31]


def test_a_flicker_is_no_track() -> None:
    flicker = {20}
    sightings = [(at, _seen((50, 50, 40), *([(200, 50, 40)] if at in flicker else []))) for at in range(0, 100, 5)]
    assert [len(trail.indices) for trail in link(sightings, 0.3)] == [20]
    rare = [(at, _seen((200, 50, 40)) if at % 20 == 0 else _seen()) for at in range(0, 100, 5)]
    assert link(rare, 0.3) == []


def test_the_longest_track_leads_and_size_decides_between_equals() -> None:
    sightings = [
        (at, _seen((50, 50, 30), *([(150, 50, 60)] if at else []), *([(300, 50, 90)] if at > 60 else [])))
        for at in range(0, 100, 5)
    ]
    sides = [float(trail.boxes[0][2] - trail.boxes[0][0]) for trail in link(sightings, 0.3)]
    assert sides == [60, 30, 90]


def test_overlap_is_intersection_over_union() -> None:
    one = np.array([[0, 0, 10, 10], [20, 20, 20, 20]], np.float32)
    other = np.array([[5, 0, 15, 10], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    np.testing.assert_allclose(iou(one, other), [[1 / 3, 1, 0], [0, 0, 0]], rtol=1e-6)
