"""Every page in an empty and in a seeded store: no exception, the right words, and one sentence for a bad clip."""

import gc
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dfd import audit, models, tracking
from dfd.corpora.sample import mask_path, save_mask
from dfd.labels import Label
from dfd.manifest import Clip, Manifest
from pages.ui.how import How
from pages.ui.picked import digest
from tests.stores import copied

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("overview", "compare", "try_clip", "attribution", "runs")


def open_page(name: str, **query: str) -> AppTest:
    """The app at one of its pages, run once."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if name != "overview":
        app.switch_page(f"pages/{name}.py").run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All text on the page that a person reads."""
    parts = [*app.title, *app.header, *app.subheader, *app.markdown, *app.caption, *app.error, *app.info, *app.code]
    return "\n".join(str(part.value) for part in parts)


def heat_maps(app: AppTest) -> int:
    """Pictures in the film strip, the last image element of the page."""
    return len(app.get("image")[-1].proto.imgs)


def runs_of(table: pd.DataFrame) -> list[str]:
    """The ids of the runs that a table's rows link to."""
    return list(table["run"].str.removeprefix("/runs?run="))


def a_detector() -> str:
    runs = tracking.runs()
    return runs[(runs["checkpoint"] != "") & (runs["kind"] == "detector")]["run_id"].iloc[0]


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store was just made; making one takes seconds, so the tests share it."""
    home = tmp_path_factory.mktemp("empty_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFD_HOME", str(home))
        assert tracking.runs().empty
    return home


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_says_what_to_do(name: str, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFD_HOME", str(empty_home))
    app = open_page(name)
    text = words(app)
    assert "make demo" in text
    assert "dfd train" in text
    assert not app.error


def test_a_run_in_training_is_followed_and_appears_when_it_is_done(
    empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = shutil.copytree(empty_home, tmp_path / "home")
    monkeypatch.setenv("DFD_HOME", str(home))
    with tracking.start_run("swap 10 frames", tags={"dfd.kind": "detector", "dfd.corpus": "swap"}) as run:
        run.params({"model.name": "resnext_lstm", "model.sequence_length": 10, "seed": 0})
        app = open_page("compare")
        assert "1 training now" in words(app)
        assert not app.get("plotly_chart")
        run.metrics({"test/accuracy": 0.8, "test/accuracy_low": 0.7, "test/accuracy_high": 0.9})
    st.cache_resource.clear()  # instead of the two seconds that pages wait before they ask the store again
    app.run()
    assert not app.exception
    assert "training now" not in words(app)
    assert list(app.dataframe[0].value["value"]) == [0.8]


def test_the_first_page_is_the_overview(tiny_store: Path) -> None:
    app = open_page("overview")
    assert app.title[0].value == "Overview"
    assert len(app.get("plotly_chart")) == 1


def test_compare_lists_the_numbers_of_its_chart(tiny_store: Path) -> None:
    app = open_page("compare")
    runs = tracking.runs()
    runs = runs[runs["kind"] == "detector"]
    assert sorted(runs_of(app.dataframe[0].value)) == sorted(runs["run_id"])
    assert "Rathee" not in words(app), "nobody else's figures until they are asked for"


def test_compare_has_every_metric_of_the_store(tiny_store: Path) -> None:
    app = open_page("compare")
    app.selectbox(key="metric").set_value("auc").run()
    assert not app.exception
    table = app.dataframe[0].value
    measured = tracking.runs().set_index("run_id")["test/auc"]
    assert dict(zip(runs_of(table), table["value"], strict=True)) == measured.dropna().to_dict()
    assert "Rathee" not in words(app), "nothing but accuracy was published"


def test_compare_shows_others_figures_when_asked_and_names_their_source(tiny_store: Path) -> None:
    app = open_page("compare")
    assert "Jadhav" not in words(app)
    reference = next(group for group in app.get("pills") if group.label == "Reference")
    assert reference.options == ["published accuracies", "the code's README"]
    reference.set_value(["the code's README"]).run()
    assert not app.exception
    assert "Jadhav" in words(app)
    assert "Rathee" not in words(app)


def test_compare_tells_what_others_report_with_level_and_source(tiny_store: Path) -> None:
    app = open_page("compare")
    (expander,) = app.expander
    assert expander.label == "What others report"
    table = expander.dataframe[0].value
    row = table[(table["detector"] == "Xception") & (table["level"] == "frame")].iloc[0]
    assert (row["FaceForensics++"], row["Celeb-DF v2"]) == (0.9637, 0.7365)
    assert row["source"].startswith("DeepfakeBench")
    assert "None was measured here" in words(app)


def test_compare_hides_what_is_unchosen(tiny_store: Path) -> None:
    app = open_page("compare")
    controls = next(group for group in app.get("pills") if group.label == "Controls")
    controls.set_value([]).run()
    assert set(app.dataframe[0].value["control"]) == {""}


def test_runs_are_found_by_text(tiny_store: Path) -> None:
    app = open_page("runs")
    everything = len(app.dataframe[0].value)
    app.text_input(key="search").set_value("shuffled").run()
    found = app.dataframe[0].value
    assert 0 < len(found) < everything
    assert set(found["control"]) == {"shuffled frames"}


def test_a_link_opens_its_run(tiny_store: Path) -> None:
    run_id = a_detector()
    app = open_page("runs")
    app.query_params["run"] = run_id
    app.run()
    assert not app.exception
    text = words(app)
    for part in ("Confusion matrix", "ROC", "Learning curves", "Parameters", "Data", "Make it again"):
        assert part in text
    assert f"dfd predict CLIP --checkpoint {run_id}" in text
    (data,) = [table.value for table in app.dataframe if "digest" in table.value]
    assert tracking.datasets(run_id)["digest"].iloc[0] in set(data["digest"])
    accuracy = tracking.metrics(run_id)["test/accuracy"]
    assert f"{accuracy:.1%}" in [figure.value for figure in app.metric]
    assert len(app.get("plotly_chart")) == 4


def test_a_link_to_a_run_that_is_gone_says_so(tiny_store: Path) -> None:
    app = open_page("runs")
    app.query_params["run"] = "0123"
    app.run()
    assert not app.exception
    assert "no run '0123'" in app.warning[0].value


@pytest.mark.parametrize("name", ["try_clip", "attribution"])
def test_detectors_are_named_best_first(tiny_store: Path, name: str) -> None:
    app = open_page(name)
    options = (app.multiselect(key="detectors") if name == "try_clip" else app.selectbox(key="detector")).options
    assert options[0].startswith("Best: sample-")
    assert sum(option.startswith("Best") for option in options) == 1
    assert all("frames · AUC 0." in option or "AUC 1." in option for option in options)


def test_the_upload_limit_is_said_before_the_upload(tiny_store: Path) -> None:
    uploader = open_page("try_clip").file_uploader[0]
    assert "200 MB" in uploader.label
    assert {".mp4", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg"} <= set(uploader.allowed_type)


def test_a_file_that_is_no_video_gets_one_sentence(tiny_store: Path) -> None:
    app = open_page("try_clip")
    app.file_uploader[0].upload("holiday.mp4", b"this is not a video", "video/mp4").run()
    assert not app.exception
    (error,) = app.error
    assert error.value.startswith("holiday.mp4 is not a video")
    assert "\n" not in error.value


def test_a_clip_gets_its_verdict_and_its_attribution(tiny_store: Path, face_video: Path) -> None:
    app = open_page("try_clip")
    app.file_uploader[0].upload("face.mp4", face_video.read_bytes(), "video/mp4").run()
    assert not app.exception
    assert not app.error
    text = words(app)
    assert ":orange[" in text or ":blue[" in text
    assert "Its verdict on real footage means little" in text
    frames = next(figure.value for figure in app.metric if figure.label == "Frames scored")
    count = int(frames.split(" of ")[0])
    assert count > 0

    app.switch_page("pages/attribution.py").run()
    assert not app.exception
    assert "face.mp4" in words(app)
    assert heat_maps(app) == count, "one heat map a frame"
    app.selectbox(key="method").set_value("integrated_gradients").run()
    assert not app.exception
    assert heat_maps(app) == count
    assert "Completeness error" in [figure.label for figure in app.metric]
    app.slider(key=f"frame_of_{count}").set_value(count).run()
    assert not app.exception
    assert f"frame {count} of {count}" in app.get("image")[0].proto.imgs[0].caption


def test_a_samples_truth_is_said_after_the_verdict_only(
    tiny_home: Path, face_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFD_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tiny_home / 'mlruns' / 'mlflow.db'}")
    clip = Clip("sample-swap", "swap/id1", face_video, Label.FAKE, "swap", "", "a", "b", "test", True, 30)
    Manifest("sample-swap", (clip,)).write(tmp_path / "data" / "sample" / "sample-swap" / "manifest.csv")
    app = open_page("try_clip")
    app.get("button_group")[0].set_value("Sample clips").run()
    assert "fake" not in " ".join(app.selectbox(key="sample_clip").options)
    assert "What the corpus says" not in words(app)
    app.selectbox(key="sample_clip").select_index(0).run()
    assert not app.exception
    assert "What the corpus says of this clip: **fake (swap)**" in words(app)


@pytest.fixture
def sample_clip(tiny_home: Path, face_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clip:
    """A fake of sample-swap in a home of its own, beside the tiny store; its left half was manipulated."""
    monkeypatch.setenv("DFD_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tiny_home / 'mlruns' / 'mlflow.db'}")
    folder = tmp_path / "data" / "sample" / "sample-swap"
    video = folder / "videos" / "id1.mp4"
    video.parent.mkdir(parents=True)
    shutil.copy(face_video, video)
    mask = np.zeros((30, 256, 256), np.bool_)
    mask[:, :, :128] = True
    mask_path(video).parent.mkdir()
    save_mask(mask_path(video), mask)
    clip = Clip("sample-swap", "swap/id1", video, Label.FAKE, "swap", "", "a", "b", "test", True, 30)
    Manifest("sample-swap", (clip,)).write(folder / "manifest.csv")
    return clip


def test_a_link_opens_a_clips_attribution_at_its_frame(sample_clip: Clip) -> None:
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1", frame="3")
    assert "swap/id1 of sample-swap" in words(app)
    assert "frame 3 of" in app.get("image")[0].proto.imgs[0].caption
    figures = {figure.label for figure in app.metric}
    assert {"Pointing game", "Energy in the mask", "Overlap"} <= figures, "its manipulation is known"
    assert "dfd explain --corpus" in words(app)
    assert "sample-swap:swap/id1" in app.query_params["clip"]


def audited(run_id: str, name: str, pointing: float) -> None:
    """Record an audit of a detector's Grad-CAM over eight clips of sample-swap; each clip has this figure."""
    people = [f"p{number}" for number in range(8)]
    ways = {"random map": 0.1, "edge map": 0.3, "gradcam": pointing}
    clips = pd.concat(
        pd.DataFrame(
            {"clip_id": people, "label": [0, 1] * 4, "target_identity": people, "source_identity": "", "way": way}
            | dict.fromkeys(audit.FIGURES, float("nan"))
            | {"pointing": value}
        )
        for way, value in ways.items()
    )
    figures = [{"way": way, "clips": 8, "pointing": value} for way, value in ways.items()]
    ends = {f"{figure}_{end}": float("nan") for figure in audit.FIGURES for end in ("low", "high")}
    table = pd.DataFrame(figures).assign(**ends | {"pointing_low": 0.25, "pointing_high": 0.75})
    tags = {
        "dfd.kind": audit.KIND,
        "dfd.evaluated_on": "sample-swap",
        "dfd.evaluated_split": "test",
        "dfd.evaluated_run": run_id,
        "dfd.evaluated_name": name,
    }
    with tracking.start_run(f"{name} attribution", tags=tags) as run:
        run.params({"truth.effort": "4 draws"})
        run.table(table.reindex(columns=["way", "clips", *audit.FIGURES, *ends]), audit.TABLE)
        run.table(clips, audit.CLIPS)


def test_methods_and_detectors_stand_in_one_table(
    sample_clip: Clip, tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied(tiny_home, tmp_path / "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    run_id = a_detector()
    audited("another", "other detector", 0.2)
    audited(run_id, "this detector", 0.5)
    app = open_page("attribution", run=run_id, clip="sample-swap:swap/id1")
    assert not app.exception
    table = app.dataframe[-1].value
    assert list(table["way"]) == ["Random map", "Edge map", "Grad-CAM"]
    assert table["pointing"].iloc[2] == "0.500 (0.250-0.750)"
    assert "Pointing game: Grad-CAM beats the edge map" in words(app)
    app.multiselect(key="truth_beside").select("other detector").run()
    assert not app.exception
    table = app.dataframe[-1].value
    assert list(zip(table["way"], table["detector"], strict=True))[-2:] == [
        ("Grad-CAM", "this detector"),
        ("Grad-CAM", "other detector"),
    ]
    assert (
        "other detector: 8 test clips of sample-swap. Pointing game: none beats the edge map. Each clip: 4 draws."
        in words(app)
    )


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        ("sample-swap:swap/id9", "corpus 'sample-swap' has no clip 'swap/id9'"),
        ("nowhere:swap/id1", "no corpus 'nowhere' was added"),
    ],
)
def test_a_link_to_a_clip_that_is_not_there_says_so(sample_clip: Clip, clip: str, said: str) -> None:
    app = open_page("attribution", run=a_detector(), clip=clip)
    (error,) = app.error
    assert said in error.value


@pytest.mark.parametrize("run", ["models:/dfd-detector@best", "/tmp", "0123"])
def test_a_link_to_no_detector_of_the_store_says_so(sample_clip: Clip, run: str) -> None:
    app = open_page("attribution", run=run, clip="sample-swap:swap/id1")
    (error,) = app.error
    assert f"this link's run, {run}, is no finished detector of this store" in error.value


def test_a_frame_beyond_all_measure_is_no_fault(sample_clip: Clip) -> None:
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1", frame="9" * 6000)
    assert not app.error


def test_two_methods_stand_side_by_side_on_the_same_frames(sample_clip: Clip) -> None:
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    beside = app.selectbox(key="beside")
    assert "method:saliency" in beside.options or "Saliency" in beside.options
    beside.set_value("method:saliency").run()
    assert not app.exception
    captions = [image.proto.imgs[0].caption for image in app.get("image")[:3]]
    assert captions[0].startswith("Grad-CAM")
    assert captions[1].startswith("Saliency")
    assert captions[2] == "The crop as scored"
    another = next(option for option in (beside.options) if "run:" in option or "frames" in option)
    assert another, "a detector that reads as many frames is offered too"


def test_a_method_is_computed_as_its_settings_say(sample_clip: Clip) -> None:
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    assert "**Layer** layer3" in words(app)
    assert "baseline" not in [box.key for box in app.selectbox], "Grad-CAM has none"
    app.selectbox(key="layer").set_value("layer2").run()
    assert not app.exception
    assert "**Layer** layer2" in words(app)
    app.selectbox(key="method").set_value("integrated_gradients").run()
    app.selectbox(key="baseline").set_value("black").run()
    app.selectbox(key="steps").set_value(8).run()
    assert not app.exception
    assert "**Baseline** black" in words(app)
    assert "layer" not in [box.key for box in app.selectbox]
    kept = [key[2] for key in app.session_state["explained"]]
    assert any("baseline='black', steps=8" in key for key in kept)
    assert "timeline black" in kept, "frames are compared with the same"


@pytest.mark.parametrize("fast", [True, False])
def test_maps_in_float32_can_be_asked_for_where_they_are_not(
    sample_clip: Clip, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(models, "fast_bfloat16", lambda device: fast)
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    assert ("precision" in [box.key for box in app.selectbox]) == fast
    assert any(f"Computed in {'bfloat16' if fast else 'float32'}" in text.value for text in app.caption)
    if fast:
        app.selectbox(key="precision").set_value("float32").run()
        assert not app.exception
        assert any("Computed in float32" in text.value for text in app.caption)


def test_what_was_imported_for_good_is_spared_the_collector(sample_clip: Clip) -> None:
    open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    before = gc.get_freeze_count()
    assert before > 100_000, "torch and Plotly alone are more"
    open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    assert gc.get_freeze_count() == before, "what a page makes is not kept from it"


def test_maps_are_drawn_as_asked(sample_clip: Clip) -> None:
    app = open_page("attribution", run=a_detector(), clip="sample-swap:swap/id1")
    assert "orange-badge[speaks for fake]" in words(app)
    app.selectbox(key="palette").set_value("purple and green").run()
    assert "violet-badge[speaks for fake]" in words(app)
    app.selectbox(key="palette").set_value("strength alone").run()
    assert not app.exception
    assert "yellow-badge[weighs]" in words(app)
    assert app.selectbox(key="side").options == ["for and against"]


def test_a_cancelled_map_is_not_begun_again_until_it_is_asked_for(
    sample_clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = a_detector()
    app = open_page("attribution", run=run_id, clip="sample-swap:swap/id1")
    asked = How("saliency")
    app.session_state["cancelled"] = (digest(sample_clip.path), run_id, f"maps {asked}")  # as the button notes it
    app.selectbox(key="method").set_value("saliency").run()
    assert not app.exception
    assert "Saliency: cancelled." in words(app)
    next(button for button in app.button if button.label == "Explain it after all").click().run()
    assert not app.exception
    assert app.get("image")[0].proto.imgs[0].caption.startswith("Saliency")


def test_a_run_lists_the_clips_it_got_wrong_with_a_way_to_their_maps(tiny_store: Path) -> None:
    for run_id in [row["run_id"] for row in tracking.detectors()]:
        app = open_page("runs", run=run_id)
        assert "Clips it got wrong" in [title.value for title in app.subheader]
        tables = [frame.value for frame in app.dataframe if "look" in frame.value]
        if not tables:
            assert "None of the" in words(app)
            continue
        (table,) = tables
        assert table["error"].is_monotonic_decreasing
        assert table["look"].str.startswith(f"/attribution?run={run_id}&clip=sample-").all()
        return
    pytest.fail("no detector of the tiny store got a clip wrong")


def test_uploads_are_gone_when_another_clip_is_chosen(tiny_store: Path, face_video: Path) -> None:
    app = open_page("try_clip")
    app.file_uploader[0].upload("face.mp4", face_video.read_bytes(), "video/mp4").run()
    first = app.session_state["uploaded"].path
    assert first.is_file()
    app.file_uploader[0].set_value(("other.webm", b"nothing", "video/webm")).run()
    second = app.session_state["uploaded"].path
    assert not first.exists()
    assert second.is_file()
    app.file_uploader[0].set_value(None).run()
    assert not second.exists()
    assert "Choose a clip" in words(app)
    assert not app.exception


def test_a_clip_stays_while_other_pages_are_looked_at(tiny_store: Path, face_video: Path) -> None:
    app = open_page("try_clip")
    app.file_uploader[0].upload("face.mp4", face_video.read_bytes(), "video/mp4").run()
    app.switch_page("pages/compare.py").run()
    app.switch_page("pages/try_clip.py").run()
    assert "face.mp4 is still here" in words(app)
    assert "The crops it scored" in words(app)
