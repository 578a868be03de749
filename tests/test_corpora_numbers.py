"""Counts, people, leaks, histograms and filters say what the clips are, however many there are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd.corpora import numbers
from dfd.corpora.inventory import Report
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, Manifest

PEOPLE = st.sampled_from(["", "ann", "bob", "cem", "dee"])


def table(*rows: tuple[str, str, str, str], crops: float = 10.0, compression: str = "") -> pd.DataFrame:
    """Clips of (method, target, source, split), as `inventory.clips` gives them."""
    columns = pd.DataFrame(rows, columns=["method", "target_identity", "source_identity", "split"])
    fake = columns["method"] != "original"
    return columns.assign(
        corpus="any",
        clip_id=[f"{row[0]}/{number}" for number, row in enumerate(rows)],
        label=pd.Categorical(np.where(fake, "fake", "real"), ["real", "fake"]),
        split=pd.Categorical(columns["split"], SPLITS),
        compression=compression,
        official_split=False,
        crops=crops,
        differs=False,
        face_path="",
        mixed=range(len(rows)),
    )


def count(counts: pd.DataFrame) -> dict[tuple[str, str], int]:
    """What `counts` has of each group and label, but for nothing."""
    return {(row.group, row.label): row.clips for row in counts.itertuples() if row.clips}


CAST = table(
    ("original", "ann", "", "train"),
    ("original", "bob", "", "train"),
    ("original", "cem", "", "test"),
    ("swap", "ann", "bob", "train"),
    ("swap", "bob", "ann", "train"),
    ("mask", "cem", "cem", "test"),
)


def test_clips_are_counted_by_label() -> None:
    assert count(numbers.counts(CAST, "split")) == {
        ("train", "real"): 2, ("train", "fake"): 2, ("test", "real"): 1, ("test", "fake"): 1,
    }  # fmt: skip
    assert count(numbers.counts(CAST, "method")) == {("original", "real"): 3, ("swap", "fake"): 2, ("mask", "fake"): 1}


def test_splits_come_in_their_order_and_methods_by_size_after_the_real_clips() -> None:
    backwards = CAST.iloc[::-1].reset_index(drop=True)
    assert list(numbers.counts(backwards, "split")["group"].unique()) == ["train", "test"]
    assert list(numbers.counts(backwards, "method")["group"].unique()) == ["original", "swap", "mask"]


def test_many_methods_become_few_groups_and_no_clip_is_lost() -> None:
    many = table(*[(f"method{number % 40}", "ann", "", "train") for number in range(100)])
    found = numbers.counts(many, "method")
    assert found["group"].nunique() == numbers.MOST
    assert list(found["group"])[-1] == "29 others"
    assert found["clips"].sum() == 100


def test_a_single_compression_is_no_chart_and_an_empty_one_has_a_name() -> None:
    assert set(numbers.numbers(CAST).by) == {"split", "method"}
    two = pd.concat([CAST, CAST.assign(compression="c23")], ignore_index=True)
    assert count(numbers.numbers(two).by["compression"])["not stated", "real"] == 3


def test_the_crosstab_adds_up() -> None:
    found = numbers.crosstab(CAST.assign(crops=[10, 10, np.nan, 0, 10, 10]))
    assert found["clips"].sum() == 6
    assert found["with_face"].sum() == 4
    train_fakes = found[(found["split"] == "train") & (found["method"] == "swap")].iloc[0]
    assert (train_fakes["clips"], train_fakes["people"], train_fakes["with_face"]) == (2, 2, 1)


def test_the_figures_of_a_corpus() -> None:
    crops = [10, 10, np.nan, 0, 10, 10]
    found = numbers.figures(CAST.assign(crops=crops, official_split=[True, *[False] * 5]))
    assert (found.clips, found.real, found.fake, found.people, found.leaking) == (6, 3, 3, 3, 0)
    assert (found.official, found.with_face, found.waiting) == (1, 4, 1)
    assert found.face_coverage == pytest.approx(4 / 6)


def test_somebody_who_is_target_and_source_of_a_clip_is_in_it_once() -> None:
    assert numbers.clips_a_person(CAST).to_dict() == {"ann": 3, "bob": 3, "cem": 2}


def test_a_source_in_another_split_is_a_leak() -> None:
    leaking = pd.concat([CAST, table(("swap", "cem", "ann", "test"))], ignore_index=True)
    (leak,) = numbers.leaks(leaking).itertuples()
    assert (leak.identity, leak.splits, leak.clips) == ("ann", "train, test", 4)
    assert numbers.figures(leaking).leaking == 1


@given(st.lists(st.tuples(st.sampled_from(["original", "swap"]), PEOPLE, PEOPLE, st.sampled_from(SPLITS)), min_size=1))
def test_the_leak_check_agrees_with_the_manifests_own(rows: list[tuple[str, str, str, str]]) -> None:
    found = table(*rows)
    clips = [
        Clip("any", row.clip_id, Path("x.mp4"), Label.parse(row.label), row.method, "",
             row.target_identity, row.source_identity, row.split, False)
        for row in found.itertuples()
    ]  # fmt: skip
    try:
        Manifest("any", tuple(clips)).check()
        leaks = 0
    except ManifestError as error:
        leaks = int(str(error).split(" leaks ")[1].split()[0])
    assert len(numbers.leaks(found)) == leaks


def test_copies_that_spoil_figures_come_first() -> None:
    told = Report((), (("original/0", "original/1"), ("original/0", "swap/3"), ("original/1", "original/2")))
    rows = numbers.copies(told, CAST)
    assert list(rows["clips"]) == ["original/0, swap/3", "original/1, original/2", "original/0, original/1"]
    assert list(rows["labels"]) == ["fake, real", "real", "real"]
    assert list(rows["splits"]) == ["train", "test, train", "train"]
    assert numbers.copies(Report((), ()), CAST).empty


def test_filters_pass_clips_with_a_face_that_meet_all() -> None:
    clips = CAST.assign(crops=[10, 10, 10, 0, 10, 10])
    assert len(numbers.matching(clips)) == 5
    assert set(numbers.matching(clips, label=["fake"])["clip_id"]) == {"swap/4", "mask/5"}
    assert set(numbers.matching(clips, label=["fake"], split=["test"], method=[])["clip_id"]) == {"mask/5"}
    assert set(numbers.matching(clips, text="ANN")["clip_id"]) == {"original/0", "swap/4"}, "target or source"
    assert numbers.matching(clips, text="(").empty, "what is searched is no pattern"


def test_clips_of_the_same_people_are_found() -> None:
    assert list(numbers.sharing(CAST, "original/0")["clip_id"]) == ["swap/3", "swap/4"]
    assert list(numbers.sharing(CAST, "mask/5")["clip_id"]) == ["original/2"]
    nobody = table(("original", "", "", "train"), ("original", "", "", "train"))
    assert numbers.sharing(nobody, "original/0").empty, "not to be named is not to be the same"


@given(st.integers(0, 60), st.integers(1, 25))
def test_pages_hold_every_row_once(rows: int, size: int) -> None:
    everything = pd.DataFrame({"row": range(rows)})
    parts = [numbers.page(everything, number, size) for number in range(1, numbers.pages(everything, size) + 1)]
    assert list(pd.concat(parts)["row"]) == list(range(rows))
    assert all(len(part) <= size for part in parts)


@given(st.lists(st.tuples(st.floats(0, 5000), st.booleans()), min_size=1), st.sampled_from([None, 0.0]))
def test_a_histogram_counts_every_value_once_in_even_steps(
    drawn: list[tuple[float, bool]], start: float | None
) -> None:
    values = pd.Series([value for value, _ in drawn])
    labels = pd.Series(["fake" if fake else "real" for _, fake in drawn])
    bins = numbers.histogram(values, labels, start=start)
    assert bins.groupby("label")["clips"].sum().to_dict() == {
        "real": (labels == "real").sum(), "fake": (labels == "fake").sum(),
    }  # fmt: skip
    real = bins[bins["label"] == "real"]
    assert len(real) <= 22
    assert np.allclose(real["high"] - real["low"], real["high"].iloc[0] - real["low"].iloc[0])
    assert real["low"].iloc[0] <= values.min()
    assert values.max() < real["high"].iloc[-1]


def test_a_histogram_of_nothing_is_empty() -> None:
    nothing = pd.Series([], dtype=float)
    assert numbers.histogram(nothing).empty
    assert numbers.range_of(nothing, "px") == "None."
    assert numbers.range_of(pd.Series([3, 3]), "frames") == "3 frames, all of them."
