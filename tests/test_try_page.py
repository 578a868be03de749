"""The Try page: detectors side by side, people, limits, cancelling, feedback, and clips of the server's folder."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dfd import tracking
from dfd.progress import Progress
from dfd.tracking.feedback import opinions
from dfd.turns import Turns
from dfd.video import write_video
from pages.ui import judging
from pages.ui.picked import digest
from tests import videos
from tests.stores import copied
from tests.test_pages import open_page, words


@pytest.fixture
def folder(tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny store in a home that may be written to, and a folder of clips that the server offers."""
    monkeypatch.setenv("DFD_HOME", str(copied(tiny_home, tmp_path / "home")))
    clips = tmp_path / "clips"
    clips.mkdir()
    monkeypatch.setenv("DFD_CLIPS", str(clips))
    pixels = videos.wall(12, 160, 320)
    for at in range(12):
        videos.put(pixels, at, 110, (85, 80))
        videos.put(pixels, at, 80, (240, 80), flip=True)
    write_video(clips / "two *people*.mp4", pixels, 30)
    return clips


def choose(app: AppTest, name: str, detectors: int = 1) -> AppTest:
    """A clip of the folder, and the first few detectors."""
    picker = app.multiselect(key="detectors")
    assert len(picker.value) == 1, "the best is chosen at first"
    others = [row["run_id"] for row in tracking.detectors() if row["run_id"] != picker.value[0]]
    picker.set_value([*picker.value, *others[: detectors - 1]])
    next(group for group in app.get("button_group") if group.label == "Clip").set_value("On this server").run()
    app.selectbox(key="folder_clip").set_value(name).run()
    assert not app.exception
    return app


def charts(app: AppTest) -> list[str]:
    return [chart.proto.id for chart in app.get("plotly_chart")]


def test_several_detectors_judge_a_clip_of_two_people(folder: Path) -> None:
    app = choose(open_page("try_clip"), "two *people*.mp4", detectors=3)
    text = words(app)
    assert sum(f"### :{colour}[" in text for colour in ("orange", "blue")) >= 1
    assert text.count("· threshold ") == 3
    assert "\\·" not in text, "only what Markdown knows is escaped"
    assert "They do not agree." in text or "All 3 say" in text
    assert "likelier to be called fake than the false-positive rate says" in text
    assert text.count("A verdict is evidence, not proof") == 1, "what holds for all is said once"
    shown = charts(app)
    assert sum("verdict_scale_" in name for name in shown) == 3
    assert sum("over_time_of_all" in name for name in shown) == 1
    memory = app.session_state["verdicts"]
    assert len(memory) == 3
    assert all(len(verdict.tracks) == 2 for verdict in memory.values())

    tried = app.session_state["tried"]
    assert tried.run_id == app.multiselect(key="detectors").value[0]
    tracks = next(group for group in app.get("button_group") if group.label == "Face track")
    assert tracks.value == tried.verdict.track
    other = 3 - tried.verdict.track
    crops = [image.proto.imgs[0].url for image in app.get("image")][-1]
    tracks.set_value(other).run()
    assert not app.exception
    assert [image.proto.imgs[0].url for image in app.get("image")][-1] != crops, "the other person's crops"

    app.selectbox(key="focus").select_index(2).run()
    assert not app.exception
    assert app.session_state["tried"].run_id == app.multiselect(key="detectors").value[2]
    assert app.session_state["verdicts"].keys() == memory.keys(), "nothing was judged again"


def test_at_most_four_detectors_judge_together(folder: Path) -> None:
    picker = open_page("try_clip").multiselect(key="detectors")
    assert picker.proto.max_selections == judging.MOST == 4
    assert len(picker.options) >= 8


def test_limits_are_said_before_the_upload(folder: Path) -> None:
    (uploader,) = open_page("try_clip").file_uploader
    for said in ("MP4, MOV, AVI, MKV, WebM, GIF", "up to 200 MB", "of any length; its first 8 frames are looked at"):
        assert said in uploader.label


def test_a_cancelled_judging_is_not_begun_again_until_it_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    judge = judging.judge_together
    monkeypatch.setattr(judging, "judge_together", lambda path, *a, **k: begun.append(path) or judge(path, *a, **k))
    app = open_page("try_clip")
    run_id = app.multiselect(key="detectors").value[0]
    clip = folder / "two *people*.mp4"
    app.session_state["cancelled"] = (digest(clip), run_id)  # what the button notes while the work goes on
    choose(app, clip.name)
    assert begun == []
    assert "Cancelled before there was a verdict" in words(app)
    next(button for button in app.button if button.label == "Judge it after all").click().run()
    assert not app.exception
    assert begun == [clip]
    assert "The crops it scored" in words(app)


def test_a_session_that_waits_says_for_how_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    turns, seen = Turns(1), threading.Event()

    @contextmanager
    def listening(label: str, cancel: tuple[str, ...] | None = None) -> Iterator[Progress]:
        def report(fraction: float, message: str) -> None:
            told.append(message)
            seen.set()

        yield report

    def other_session() -> None:
        with turns.turn(lambda ahead: None):
            seen.wait(60)

    monkeypatch.setattr(judging, "AT_WORK", turns)
    monkeypatch.setattr(judging, "stages", listening)
    others = [threading.Thread(target=other_session) for _ in range(2)]
    app = open_page("try_clip")
    for other in others:
        other.start()
    choose(app, "two *people*.mp4")
    for other in others:
        other.join()
    assert told[0] == "waiting for 2 other sessions"
    assert "loading the detectors" in told
    assert app.session_state["tried"].verdict.faces == 2


def test_feedback_is_kept_without_the_clips_name_unless_wanted(folder: Path) -> None:
    app = choose(open_page("try_clip"), "two *people*.mp4")
    run_id, clip = app.session_state["tried"].run_id, app.session_state["tried"].clip
    assert "0 agreed with this detector's verdicts, 0 did not" in words(app)
    send = next(button for button in app.button if button.label == "Send")
    send.click().run()
    assert "nothing was kept" in app.warning[0].value
    assert opinions(run_id).empty

    next(group for group in app.get("button_group") if group.label == "Do you agree?").set_value("I disagree")
    app.text_area(key="opinion_note").set_value("It is <i>real</i>.")
    next(button for button in app.button if button.label == "Send").click().run()
    assert not app.exception
    (told,) = opinions(run_id).to_dict("records")
    assert (told["agrees"], told["note"], told["clip"], told["sha256"]) == (
        False,
        "It is <i>real</i>.",
        "",
        clip.sha256,
    )
    assert "0 agreed with this detector's verdicts, 1 did not" in words(app)

    next(group for group in app.get("button_group") if group.label == "Do you agree?").set_value("I agree")
    app.checkbox(key="opinion_named").check()
    next(button for button in app.button if button.label == "Send").click().run()
    assert set(opinions(run_id)["clip"]) == {"", clip.name}
    assert tracking.runs()["kind"].isin(["detector", "backbone"]).all(), "an opinion is no run"


def test_a_folder_that_is_not_there_is_said(folder: Path) -> None:
    shutil.rmtree(folder)
    app = open_page("try_clip")
    (error,) = app.error
    assert "DFD_CLIPS is" in error.value
    assert "which is no folder" in error.value
