"""An attribution to take away: it is all there, and reads back."""

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dfd.attribution import Attribution, explain, overlays
from dfd.attribution.export import arrays_npz, everything, strip_png, video_mp4, write_extras
from dfd.attribution.regions import REGIONS
from dfd.attribution.timeline import Timeline, timeline
from dfd.faces import FaceClip
from tests.test_attribution import FRAMES, SIZE, checkpoint, face_clip

Found = tuple[Attribution, Timeline, FaceClip]


@pytest.fixture(scope="module")
def found() -> Found:
    loaded, clip = checkpoint(), face_clip()
    return explain(loaded, clip, "gradcam", steps=4), timeline(loaded, clip), clip


def test_the_facts_are_json_and_whole(found: Found) -> None:
    attribution, told, clip = found
    facts = json.loads(json.dumps(everything(attribution, told, clip)))
    assert facts["method"] == "gradcam"
    for name in ("times", "importance", "without_frame", "p_fake_after"):
        assert len(facts[name]) == FRAMES
    assert facts["p_fake_after"][-1] == pytest.approx(told.p_fake, abs=1e-4)
    if facts["regions"] is not None:
        assert list(facts["regions"]) == list(REGIONS)


def test_the_strip_shows_every_frame(found: Found) -> None:
    attribution, _, clip = found
    pictures = overlays(attribution, clip.crops)
    with Image.open(io.BytesIO(strip_png(pictures))) as strip:
        assert strip.size == (FRAMES * SIZE, SIZE)
        np.testing.assert_array_equal(np.asarray(strip)[:, :SIZE], pictures[0])


def test_the_video_has_every_frame_at_the_clips_speed(found: Found) -> None:
    attribution, _, clip = found
    with av.open(io.BytesIO(video_mp4(overlays(attribution, clip.crops), attribution.times))) as video:
        stream = video.streams.video[0]
        assert sum(1 for _ in video.decode(video=0)) == FRAMES
        assert float(stream.average_rate or 0) == pytest.approx(1 / np.median(np.diff(attribution.times)), rel=0.01)
        assert stream.codec_context.name == "h264"


def test_a_single_frame_makes_a_video_too(found: Found) -> None:
    attribution, _, clip = found
    with av.open(io.BytesIO(video_mp4(overlays(attribution, clip.crops)[:1], attribution.times[:1]))) as video:
        assert sum(1 for _ in video.decode(video=0)) == 1


def test_the_numbers_read_back_without_pickle(found: Found) -> None:
    attribution, told, clip = found
    with np.load(io.BytesIO(arrays_npz(attribution, told, clip)), allow_pickle=False) as kept:
        np.testing.assert_array_equal(kept["maps"], attribution.maps)
        np.testing.assert_array_equal(kept["crops"], clip.crops)
        assert json.loads(str(kept["facts"]))["score"] == attribution.score


def test_extras_stand_beside_the_heat_maps(found: Found, tmp_path: Path) -> None:
    attribution, told, clip = found
    written = write_extras(attribution, told, clip, tmp_path)
    assert sorted(path.name for path in written) == ["maps.npz", "overlay.mp4", "strip.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps.npz", "overlay.mp4", "strip.png"]
