"""Face crops that others cut: taken whole, from videos and from folders of pictures, and never looked through again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from dfd.corpora import registry
from dfd.corpora.find import located, recipe_for
from dfd.errors import VideoError
from dfd.face_only import load_crops, load_face_clip
from dfd.faces import FaceFinder, search
from dfd.manifest import read_manifest
from dfd.pictures import fingerprint, read_folder
from dfd.preprocess import preprocess
from dfd.recipe import GIVEN, CropRecipe
from dfd.video import write_video
from tests import corpora_trees as trees
from tests import videos


def picture(path: Path, level: int, size: tuple[int, int] = (40, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Twelve grey pictures, brighter and brighter by the numbers in their names."""
    for number in range(12):
        picture(tmp_path / "071" / f"frame_{number}.png", 10 * number)
    return tmp_path / "071"


def test_pictures_come_in_the_order_of_their_numbers(album: Path) -> None:
    (album / "readme.txt").write_text("not a picture")
    face = read_folder(album, GIVEN)
    assert face.crops.shape == (12, 112, 112, 3)
    assert face.crops[:, 0, 0, 0].tolist() == [10 * number for number in range(12)]
    np.testing.assert_allclose(face.track.times, np.arange(12) / 25)
    assert np.isnan(face.track.landmarks).all()


def test_only_so_many_pictures_are_read_as_the_recipe_says(album: Path) -> None:
    assert len(read_folder(album, CropRecipe(detector="given", margin=1, max_frames=5)).crops) == 5


def test_a_picture_that_is_not_square_keeps_its_shape(tmp_path: Path) -> None:
    pixels = np.zeros((80, 40, 3), np.uint8)
    pixels[:, :20] = 200  # left half bright
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "1.png")
    crop = read_folder(tmp_path / "a", GIVEN).crops[0]
    bright = crop[56, :, 0] > 100
    assert bright.sum() == pytest.approx(56, abs=2)  # its edges go on to both sides
    assert bright[0]
    assert not bright[-1]


@pytest.mark.parametrize(
    ("recipe", "spoil", "said"),
    [
        (CropRecipe(), lambda album: None, r"071 is a folder of face crops.*detector: given, margin: 1"),
        (GIVEN, lambda album: (album / "frame_3.png").write_bytes(b"no"), r"frame_3\.png is no picture"),
        (GIVEN, lambda album: [path.unlink() for path in album.iterdir()], r"071 has no picture"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(album: Path, recipe: CropRecipe, spoil: object, said: str) -> None:
    spoil(album)  # type: ignore[operator]
    with pytest.raises(VideoError, match=said):
        read_folder(album, recipe)


def test_a_folder_is_known_by_names_and_bytes(album: Path) -> None:
    before = fingerprint(album)
    assert fingerprint(album) == before
    picture(album / "frame_3.png", 99)
    changed = fingerprint(album)
    (album / "frame_3.png").rename(album / "frame_33.png")
    assert len({before, changed, fingerprint(album)}) == 3


def test_given_crops_have_no_margin() -> None:
    with pytest.raises(ValidationError, match="set margin to 1, not 1.3"):
        CropRecipe(detector="given")
    assert GIVEN.key() != CropRecipe(margin=1).key()


def test_every_frame_of_a_face_only_video_is_a_crop(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 14, 14, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    write_video(tmp_path / "face.mp4", frames, 25, crf=4)
    found = search(tmp_path / "face.mp4", FaceFinder(GIVEN))
    assert found.faces == 1
    assert found.clips[0].crops.shape == frames.shape
    assert np.abs(found.clips[0].crops.astype(int) - frames).mean() < 12


def test_a_clip_of_a_scene_is_no_crop(tmp_path: Path) -> None:
    write_video(tmp_path / "scene.mp4", videos.wall(10, 90, 160), 25)
    with pytest.raises(VideoError, match=r"scene\.mp4 is 160 x 90 px.*should be a face crop"):
        search(tmp_path / "scene.mp4", FaceFinder(GIVEN))


def test_a_corpus_of_crops_is_preprocessed_whole(tmp_path: Path) -> None:
    def face(path: Path) -> None:
        write_video(path, videos.wall(10, 112, 112), 25)

    root = trees.face_only(tmp_path / "shared", face)
    (root / "FF_Face" / "071.mp4").unlink()
    for number in range(9):
        picture(root / "FF_Face" / "071" / f"{number}.png", 20 * number)
    registry.add("shared", root)
    assert registry.get("shared").kind == "face_only"
    assert recipe_for("shared") == recipe_for(str(root)) == GIVEN
    manifest, source = located("shared")
    out = tmp_path / "faces"
    report = preprocess(manifest, out, recipe_for("shared"), workers=1, source=source)
    assert report.failures == []
    made = {clip.clip_id: clip for clip in read_manifest(out / "manifest.csv")}
    assert made["FF_Face/071"].frames == 9
    assert made["FF_Face/054.mp4"].frames == 10
    assert load_crops(made["FF_Face/071"].path)[8].mean() == pytest.approx(160, abs=3)
    assert np.isnan(load_face_clip(made["FF_Face/071"].path).track.landmarks).all()
    for path in out.glob("clips/*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
