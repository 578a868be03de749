"""Parts of the face by its landmarks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dfd.attribution.regions import REGIONS, region_shares, regions
from dfd.faces import FaceClip, FaceFinder, crop_landmarks, search
from dfd.recipe import CropRecipe
from dfd.tracks import FaceTrack

SIZE = 112
# Of an upright face of 100 px between frame pixels 100 and 200, in the proportions MTCNN finds.
FACE = np.array([[130, 140], [170, 140], [150, 162], [134, 182], [166, 182]], np.float32)
BOX = np.array([105, 95, 195, 215], np.float32)


def face(points: np.ndarray = FACE, box: np.ndarray = BOX, frames: int = 2) -> FaceClip:
    track = FaceTrack(
        boxes=np.tile(box, (frames, 1)),
        landmarks=np.tile(points, (frames, 1, 1)),
        times=np.arange(frames) / 25,
        indices=np.arange(frames),
        detected=np.ones(frames, np.bool_),
    )
    return FaceClip(np.zeros((frames, SIZE, SIZE, 3), np.uint8), track, CropRecipe(size=SIZE), "clip.mp4")


def named(parts: np.ndarray, point: np.ndarray) -> str:
    x, y = point.astype(int)
    return REGIONS[parts[0, y, x]]


def test_landmarks_lie_in_the_parts_they_are_of() -> None:
    clip = face()
    parts = regions(clip)
    assert parts is not None
    assert parts.shape == (2, SIZE, SIZE)
    left, right, nose, *mouth = crop_landmarks(clip)[0]
    assert {named(parts, point) for point in (left, right)} == {"eyes"}
    assert named(parts, nose) == "nose"
    assert {named(parts, point) for point in mouth} == {"mouth"}
    assert named(parts, (left + right) / 2 - [0, 20]) == "forehead"
    assert named(parts, np.array([mouth[0][0] - 9, nose[1] + 4])) == "cheeks"
    assert {REGIONS[parts[0, y, x]] for x in (0, SIZE - 1) for y in (0, SIZE - 1)} == {"background"}
    assert set(np.unique(parts)) == set(range(len(REGIONS)))


@pytest.mark.parametrize("turn", [-40, 15, 90])
def test_parts_turn_with_the_face(turn: float) -> None:
    angle, centre = np.deg2rad(turn), FACE.mean(axis=0)
    turned = (FACE - centre) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre
    parts = regions(face(turned.astype(np.float32)))
    assert parts is not None
    points = crop_landmarks(face(turned.astype(np.float32)))[0]
    assert [named(parts, point) for point in points] == ["eyes", "eyes", "nose", "mouth", "mouth"]
    straight = regions(face())
    assert straight is not None
    areas = [np.bincount(found[0].ravel(), minlength=len(REGIONS)) / SIZE**2 for found in (parts, straight)]
    np.testing.assert_allclose(areas[0][:3], areas[1][:3], atol=0.01)


def test_crop_landmarks_are_where_the_finder_cut(face_video: Path) -> None:
    """The eyes of the crop, found again in the crop itself."""
    recipe = CropRecipe(size=224)
    finder = FaceFinder(recipe)
    clip = search(face_video, finder, frames=4).clips[0]
    again = finder.detect(clip.crops[:1])[0]
    np.testing.assert_allclose(crop_landmarks(clip)[0], again.landmarks[0], atol=6)


def test_crops_that_others_cut_have_no_parts() -> None:
    nowhere = face(np.full((5, 2), np.nan, np.float32))
    assert regions(nowhere) is None


@given(arrays(np.float32, (2, 16, 16), elements=st.floats(-1e6, 1e6, width=32)))
def test_shares_divide_the_whole(maps: np.ndarray) -> None:
    parts = (np.arange(512).reshape(2, 16, 16) % len(REGIONS)).astype(np.uint8)
    found = region_shares(maps, parts)
    assert found.area.sum() == pytest.approx(1)
    assert found.share.sum() == pytest.approx(1 if np.abs(maps).sum() > 0 else 0)
    assert (np.abs(found.balance) <= 1 + 1e-6).all()


def test_evidence_in_one_place_is_of_its_part_alone() -> None:
    clip = face()
    parts = regions(clip)
    assert parts is not None
    maps = np.where(parts == REGIONS.index("mouth"), np.float32(-2), np.float32(0))
    found = region_shares(maps, parts)
    assert dict(zip(REGIONS, found.share.round(6), strict=True))["mouth"] == 1
    assert found.balance[REGIONS.index("mouth")] == -1
