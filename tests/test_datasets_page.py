"""The Data sets page: what there is, every number, filters, one clip, and one sentence for what is bad."""

import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dfd.corpora import registry
from dfd.labels import Label
from dfd.manifest import Manifest
from dfd.paths import data_dir, home
from tests import corpora_trees, face_corpora
from tests.test_pages import open_page, words

pytestmark = pytest.mark.usefixtures("store")


def page(**query: str) -> AppTest:
    """The page with a link's query."""
    app = open_page("datasets")
    if query:
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
    assert not app.exception
    return app


def figures(app: AppTest) -> dict[str, str]:
    return {figure.label: figure.value for figure in app.metric}


def wall(app: AppTest) -> list[str]:
    """Clip ids of the pictures shown."""
    return [button.help.replace("\\", "") for button in app.button if button.key and button.key.startswith("swaps ")]


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


@pytest.fixture
def swaps(tmp_path: Path) -> Manifest:
    """24 clips of 12 people, added and preprocessed; the last gave no face."""
    manifest = face_corpora.added(tmp_path / "tree")
    face_corpora.preprocessed(home(), manifest, faceless=[manifest.clips[-1].clip_id])
    return manifest


def test_without_data_sets_the_page_says_how_to_add_one() -> None:
    app = page()
    assert "dfd corpora add FOLDER" in words(app)
    assert "make demo" in words(app)
    assert not app.error


def test_all_data_sets_are_listed_with_their_figures(swaps: Manifest, tmp_path: Path) -> None:
    registry.add("celeb", corpora_trees.celeb_df(tmp_path / "Celeb-DF-v2"))
    table = page().dataframe[0].value.set_index("corpus")
    assert list(table.index) == ["celeb", "swaps"]
    assert table.loc["swaps", ["clips", "real", "fake", "people", "leaking"]].tolist() == [24, 12, 12, 12, 0]
    assert table.loc["swaps", "with_face"] == pytest.approx(23 / 24)
    assert table["with_face"].isna().tolist() == [True, False], "what is not preprocessed has no share"


def test_a_link_opens_a_data_set(swaps: Manifest) -> None:
    app = page(corpus="swaps")
    assert figures(app) == {
        "Clips": "24", "Real": "12", "Fake": "12", "People": "12", "On disk": "100.0%", "With a face": "95.8%",
    }  # fmt: skip
    assert "23 of 24 clips" in words(app)
    assert "Passed: none of 12 people" in words(app)
    assert len(app.get("plotly_chart")) == 5, "split, method, clips a person, frames, face width"
    assert "From 2 to 8 frames a face clip" in words(app)
    assert "All clips with a face." in words(app)
    assert app.dataframe[0].value["clips"].sum() == 24
    assert not app.error


def test_what_gave_no_face_is_listed_with_the_reason(swaps: Manifest) -> None:
    app = page(corpus="swaps")
    assert [expander.label for expander in app.expander] == ["The same numbers", "1 without a face-only video"]
    (row,) = app.dataframe[1].value.itertuples()
    assert (row.clip, row.why) == (swaps.clips[-1].clip_id, "no face was found")


def test_missing_and_left_out_clips_and_notes_are_listed(tmp_path: Path) -> None:
    root = corpora_trees.faceforensics(tmp_path / "FaceForensics", methods=("Deepfakes",))
    (root / "original_sequences/youtube/c23/videos/071.mp4").unlink()
    (root / "original_sequences/youtube/c23/videos/holiday.mp4").touch()
    added = registry.add("ff", root)
    app = page(corpus="ff")
    labels = [expander.label for expander in app.expander]
    assert labels == ["The same numbers", "1 missing on disk", "1 left out"]
    assert app.dataframe[1].value["file"].tolist() == ["original_sequences/youtube/c23/videos/071.mp4"]
    assert app.dataframe[2].value["clip"].tolist() == ["original_sequences/youtube/c23/videos/holiday.mp4"]
    assert figures(app)["On disk"] == f"{added.coverage:.1%}"
    shown = words(app).replace("\\", "")
    assert all(note in shown for note in added.notes)


def test_a_data_set_that_is_not_preprocessed_says_which_command_to_run(tmp_path: Path) -> None:
    face_corpora.added(tmp_path / "tree")
    app = page(corpus="swaps")
    assert "run `dfd preprocess swaps`" in app.info[0].value
    assert "With a face" not in figures(app)
    assert len(app.get("plotly_chart")) == 3
    assert not wall(app)


def test_preprocessing_that_was_cut_off_or_is_behind_says_what_to_do(swaps: Manifest, tmp_path: Path) -> None:
    folder = data_dir() / "faces" / "swaps"
    corpora_trees.put(tmp_path / "tree", ["real/late.mp4"])
    registry.add("swaps", tmp_path / "tree")
    face_corpora.rewrite(folder / "manifest.csv", method="another")
    app = page(corpus="swaps")
    assert "1 of its clips are not preprocessed yet: run `dfd preprocess swaps`" in app.info[0].value
    assert "1 clips were preprocessed with another label" in app.warning[0].value
    (folder / "manifest.csv").unlink()
    assert "`dfd preprocess swaps` goes on where it was" in app.run().info[0].value


def test_a_leak_is_shown_with_who_is_where(swaps: Manifest) -> None:
    manifest = data_dir() / "corpora" / "swaps" / "manifest.csv"
    first, other = swaps.clips[0], next(clip for clip in swaps if clip.split != swaps.clips[0].split)
    face_corpora.rewrite(manifest, source_identity=other.target_identity)
    app = page(corpus="swaps")
    assert "1 of 12 people are in more than one split" in app.error[0].value
    (row,) = app.dataframe[1].value.itertuples()
    assert row.identity == other.target_identity
    assert set(row.splits.split(", ")) == {first.split, other.split}


def test_a_folder_that_has_gone_away_is_said_and_the_rest_still_shown(swaps: Manifest, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "tree")
    app = page(corpus="swaps")
    assert f"{tmp_path / 'tree'} is not there" in app.warning[0].value
    assert figures(app)["Clips"] == "24"
    assert len(wall(app)) == 23


def test_a_damaged_manifest_is_one_sentence_and_other_data_sets_are_shown(swaps: Manifest, tmp_path: Path) -> None:
    registry.add("celeb", corpora_trees.celeb_df(tmp_path / "Celeb-DF-v2"))
    path = data_dir() / "corpora" / "celeb" / "manifest.csv"
    path.write_text(path.read_text().replace(",real,", ",genuine,", 1))
    app = page()
    assert f"{path} line " in app.error[0].value
    assert app.dataframe[0].value["corpus"].tolist() == ["swaps"]
    app = page(corpus="celeb")
    assert [error.value.count("'genuine' is neither") for error in app.error] == [1]
    assert not app.metric


def test_a_damaged_report_takes_nothing_else_with_it(swaps: Manifest) -> None:
    (data_dir() / "faces" / "swaps" / "report.json").write_text("half a rep")
    app = page(corpus="swaps")
    assert "report.json cannot be read" in app.error[0].value
    assert len(wall(app)) == 23


def test_a_data_set_that_was_preprocessed_without_being_added_is_shown(swaps: Manifest) -> None:
    shutil.rmtree(data_dir() / "corpora")
    app = page(corpus="swaps")
    assert figures(app) == {"Clips": "24", "Real": "12", "Fake": "12", "People": "12", "With a face": "95.8%"}
    assert len(wall(app)) == 23


def test_links_to_what_is_not_there_say_so(swaps: Manifest) -> None:
    assert "no corpus 'elsewhere'" in page(corpus="elsewhere").error[0].value
    assert "no clip 'real/nobody.mp4'" in page(corpus="swaps", clip="real/nobody.mp4").warning[0].value


def test_face_clips_are_filtered_by_label_split_method_and_name(swaps: Manifest) -> None:
    app = page(corpus="swaps")
    there = {clip.clip_id: clip for clip in swaps.clips[:-1]}
    assert set(wall(app)) == set(there)
    label, split = (group for group in app.get("button_group") if group.label in ("Label", "Split"))
    label.set_value(["fake"]).run()
    assert set(wall(app)) == {name for name, clip in there.items() if clip.label is Label.FAKE}
    split.set_value(["train"]).run()
    wanted = {name for name, clip in there.items() if clip.label is Label.FAKE and clip.split == "train"}
    assert set(wall(app)) == wanted
    app.text_input(key="swaps_search").set_value("person03").run()
    assert set(wall(app)) == {name for name in wanted if "person03" in name}
    label.set_value([]).run()
    app.multiselect(key="swaps_method").set_value(["original"]).run()
    assert all(name.startswith("real/") for name in wall(app))
    assert not app.exception


def test_face_clips_come_a_page_at_a_time(tmp_path: Path) -> None:
    face_corpora.preprocessed(home(), face_corpora.added(tmp_path / "tree", people=15))
    app = page(corpus="swaps")
    first = wall(app)
    app.get("pagination")[0].set_value(2).run()
    assert not app.exception
    assert len(first) == 24
    assert len(wall(app)) == 6
    assert not set(first) & set(wall(app))


def test_a_picture_opens_its_clip_and_leads_back(swaps: Manifest) -> None:
    app = page(corpus="swaps")
    fake = next(clip for clip in swaps if clip.label is Label.FAKE)
    click(app, f"swaps {fake.clip_id}")
    assert app.query_params["clip"] == fake.clip_id
    assert app.header[0].value.replace("\\", "") == fake.clip_id
    app.button[0].click().run()
    assert "clip" not in app.query_params
    assert figures(app)["Clips"] == "24"


def test_a_clip_has_its_player_its_crops_and_the_same_people(tmp_path: Path) -> None:
    manifest = registry.add("swaps", corpora_trees.folder(tmp_path / "tree", corpora_trees.moving, people=6)).manifest()
    face_corpora.preprocessed(home(), manifest)
    fake = next(clip for clip in manifest if clip.label is Label.FAKE)
    app = page(corpus="swaps", clip=fake.clip_id)
    assert not app.error
    assert len(app.get("video")) == 2, "the face-only video and the clip it was cut from"
    frames = int(re.search(r"(\d+) crops of 32 × 32 px", words(app)).group(1))  # type: ignore[union-attr]
    assert len(app.get("image")[0].proto.imgs) == frames
    assert wall(app) == [clip.clip_id for clip in manifest if clip.label is Label.REAL
                         and clip.target_identity == fake.target_identity]  # fmt: skip


def test_missing_videos_of_a_clip_are_one_sentence_each(swaps: Manifest) -> None:
    for path in (data_dir() / "faces" / "swaps" / "clips").glob("*.mp4"):
        path.unlink()
    first = swaps.clips[0]
    app = page(corpus="swaps", clip=first.clip_id)
    face_only, original = (error.value for error in app.error)
    assert "is gone; run `dfd preprocess` again" in face_only
    assert original.startswith(f"{first.path} is empty")
    assert len(wall(page(corpus="swaps"))) == 23, "pictures that cannot be read leave their place"


def test_a_clip_without_a_face_says_so(swaps: Manifest) -> None:
    app = page(corpus="swaps", clip=swaps.clips[-1].clip_id)
    assert "There is none: no face was found" in words(app)
    assert not app.get("video")
