"""The clips a detector got wrong, the surest errors first."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from dfd.mistakes import COLUMNS, most_wrong

SCORES = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.sampled_from(["val", "test"])), max_size=30)


def told(rows: list[tuple[int, float, str]], threshold: float = 0.5) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["label", "p_fake", "split"])
    return table.assign(
        corpus="swap", method="swap", threshold=threshold, clip_id=[f"clip{n:02}" for n in range(len(table))]
    )


def test_the_surest_error_comes_first() -> None:
    found = most_wrong(told([(0, 0.6, "test"), (1, 0.1, "test"), (1, 0.9, "test"), (0, 0.99, "test")]))
    assert found["clip_id"].tolist() == ["clip03", "clip01", "clip00"]
    assert found["error"].round(6).tolist() == [0.99, 0.9, 0.6]
    assert list(found) == COLUMNS
    assert most_wrong(told([(0, 0.6, "test"), (1, 0.1, "test")]), count=1)["clip_id"].tolist() == ["clip01"]


def test_at_the_threshold_is_fake() -> None:
    found = most_wrong(told([(0, 0.7, "test"), (1, 0.7, "test"), (1, 0.69, "test")], threshold=0.7))
    assert set(found["clip_id"]) == {"clip00", "clip02"}


@given(SCORES, st.floats(0.01, 0.99))
def test_every_wrong_test_clip_is_there_once_and_no_other(rows: list[tuple[int, float, str]], threshold: float) -> None:
    found = most_wrong(told(rows, threshold))
    wrong = [split == "test" and (score >= threshold) != (label == 1) for label, score, split in rows]
    assert len(found) == sum(wrong)
    assert found["clip_id"].is_unique
    assert found["error"].is_monotonic_decreasing
