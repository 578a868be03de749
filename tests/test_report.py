"""A report says all that was found, needs nothing else, and takes nothing of a clip's name for its own."""

import base64
import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dfd import __version__
from dfd.checkpoints import Checkpoint, CheckpointMeta
from dfd.inference import Detector, Verdict
from dfd.models import build
from dfd.recipe import CropRecipe
from dfd.report import MOST_CROPS, ClipReport, HeatMaps, Judgement, to_html, to_json
from dfd.report_look import timeline
from dfd.video import write_video
from tests import videos
from tests.conftest import TINY_MODEL

MADE = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;.mp4"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "section", "p", "span", "ul", "li"),
    *("table", "tr", "th", "td", "div", "figure", "figcaption", "img"),
    *("svg", "rect", "line", "polyline", "circle", "text"),
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = videos.wall(30, 160, 320)
    for at in range(30):
        videos.put(pixels, at, 110, (85, 80))
        if at >= 10:
            videos.put(pixels, at, 80, (240, 80), flip=True)
    path = tmp_path_factory.mktemp("clips") / "a secret folder.mp4"
    write_video(path, pixels, 30)
    return path


def a_checkpoint(**meta: object) -> Checkpoint:
    """Untrained and tiny; it reads 4 frames."""
    given = {"name": "tiny", "model": TINY_MODEL, "recipe": CropRecipe(), "sequence_length": 4, "threshold": 0.5}
    return Checkpoint(build(**TINY_MODEL).eval(), CheckpointMeta(**{**given, "threshold_fpr": 0.1, **meta}), "tiny")


@pytest.fixture(scope="module")
def judged(two: Path) -> tuple[Checkpoint, Verdict]:
    checkpoint = a_checkpoint(
        recipe=CropRecipe(sampling="even"), sequence_length=30, temperature=1.7, corpus="sample-swap", run_id="0af3"
    )
    return checkpoint, Detector(checkpoint, "cpu").judge(two)


def reported(judged: tuple[Checkpoint, Verdict], name: str = "my clip.mp4", **changes: object) -> ClipReport:
    checkpoint, verdict = judged
    return ClipReport(name, "ab" * 32, (Judgement("LSTM, 30 frames", checkpoint.meta, verdict, **changes),), MADE)


class Tags(HTMLParser):
    """The tags and attributes of a page, and what is said between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


def test_it_says_verdict_threshold_protocol_and_cautions(judged: tuple[Checkpoint, Verdict]) -> None:
    text = parsed(to_html(reported(judged))).text
    _, verdict = judged
    for part in (
        "my clip.mp4",
        "ab" * 32,
        __version__,
        "LSTM, 30 frames",
        f"{verdict.p_fake:.3f}",
        f"{verdict.calibrated:.3f}, on validation clips of sample-swap",
        "0.500; fake at or above it",
        "10.0% of real validation clips",
        f"{verdict.frames_scored} of 30",
        "run 0af3",
        "even, natural order",
        "Its verdict on real footage means little",
        "likelier to be called fake than the false-positive rate says",
        "the one that counts",
        "10 frames were read that do not show this face",
        f"{MOST_CROPS} of 30 frames",
    ):
        assert part in text, part
    assert "a secret folder" not in text, "where the clip lay is nobody's business"


def test_its_pictures_are_the_crops_and_nothing_is_fetched(judged: tuple[Checkpoint, Verdict]) -> None:
    _, verdict = judged
    scored = verdict.frames_scored
    maps = HeatMaps("Grad-CAM", np.full((scored, 112, 112, 3), 7, np.uint8), "Orange speaks for fake.")
    page = to_html(reported(judged, heat_maps=(maps,)))
    pictures = [given["src"] or "" for tag, given in parsed(page).tags if tag == "img"]
    tracks = [len(track.face_clip.crops) for track in verdict.tracks]
    assert len(pictures) == sum(min(MOST_CROPS, count) for count in [*tracks, scored])
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0].removeprefix("data:image/png;base64,"))))
    np.testing.assert_array_equal(np.asarray(first), verdict.tracks[0].face_clip.crops[0])
    assert "Orange speaks for fake." in page
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    assert not [given for tag, given in parsed(page).tags if "href" in given or ("src" in given and tag != "img")]
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@media print" in page
    assert "default-src 'none'" in page


@given(st.text(max_size=60) | st.just(HOSTILE))
@settings(max_examples=50, deadline=None)
def test_no_name_becomes_part_of_the_page(judged: tuple[Checkpoint, Verdict], name: str) -> None:
    checkpoint, verdict = judged
    meta = checkpoint.meta.model_copy(
        update={"name": name, "corpus": name, "reads": name, "weights": name, "git_commit": name, "data_digest": name}
    )
    bare = Verdict(**{field: getattr(verdict, field) for field in Verdict.__slots__} | {"tracks": (), "device": name})
    page = to_html(ClipReport(name, name, (Judgement(name, meta, bare),), MADE))
    tags = parsed(page).tags
    assert {tag for tag, _ in tags} <= ALLOWED
    assert not [given for _, given in tags if any(key.startswith("on") or key == "href" for key in given)]
    expected = "" if not name else name.replace("\r\n", "\n").replace("\r", "\n")
    if not any(ord(letter) < 32 or letter == "\x7f" for letter in name):
        assert expected in parsed(page).text


def test_the_json_is_json_without_the_place_of_the_clip(judged: tuple[Checkpoint, Verdict]) -> None:
    written = json.dumps(to_json(reported(judged, HOSTILE)), allow_nan=False)
    told = json.loads(written)
    assert told["clip"] == told["verdicts"][0]["clip"] == HOSTILE
    assert (told["sha256"], told["dfd"]) == ("ab" * 32, __version__)
    (verdict,) = told["verdicts"]
    assert len(verdict["tracks"]) == 2
    assert verdict["recipe"]["sampling"] == "even"
    assert verdict["cautions"]
    assert "a secret folder" not in written


def test_a_clip_without_a_face_has_a_report(tmp_path: Path) -> None:
    path = tmp_path / "wall.mp4"
    write_video(path, videos.wall(12, 120, 160), 30)
    checkpoint = a_checkpoint()
    found = parsed(to_html(reported((checkpoint, Detector(checkpoint, "cpu").judge(path)), "wall.mp4")))
    assert "No face" in found.text
    assert "no face was found in the" in found.text
    assert not [tag for tag, _ in found.tags if tag in ("img", "svg")]


def test_the_line_is_broken_where_the_face_is_missed() -> None:
    drawn = timeline(np.array([0.0, 0.1, 0.4]), np.array([0.2, 0.9, 0.5], np.float32), 0.5, np.array([0.2, 0.3, 0.5]))
    assert drawn.count("<polyline") == 2
    assert drawn.count("<circle") == 3
    assert drawn.count("×") == 3
    assert re.findall(r'<circle[^>]*fill="([^"]*)"', drawn) == ["#2A7DBF", "#D55E00", "#D55E00"]
    assert "nan" not in timeline(np.array([0.5]), np.array([0.5], np.float32), 0.5, np.array([]))
