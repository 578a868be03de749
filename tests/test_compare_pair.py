"""Two runs: the paired test in a sentence, refused for other clips, and the parameters that differ."""

from pathlib import Path

import pytest

from dfd import comparison, tracking
from dfd.errors import StoreError
from tests.compare_page import compare
from tests.test_pages import words


def ids(corpus: str) -> list[str]:
    return [run["run_id"] for run in tracking.detectors() if run["corpus"] == corpus]


def test_the_finding_is_said_in_a_sentence(tiny_store: Path) -> None:
    first, second = ids("sample-swap")[:2]
    app = compare(section="Two runs")
    app.selectbox(key="pair_a").set_value(first)
    app.selectbox(key="pair_b").set_value(second).run()
    assert not app.exception
    found = comparison.compare(first, second)
    assert found.text in words(app)
    figures = app.dataframe[0].value.set_index("metric")
    assert figures.loc["AUC", "difference"] == pytest.approx(found.auc.difference)
    assert figures.loc["Accuracy", "p"] == pytest.approx(found.accuracy.p)


def test_runs_of_other_clips_are_refused_and_still_told_apart(tiny_store: Path) -> None:
    first, second = ids("sample-swap")[0], ids("sample-reenact")[0]
    app = compare(section="Two runs")
    app.selectbox(key="pair_a").set_value(first)
    app.selectbox(key="pair_b").set_value(second).run()
    assert not app.exception
    (said,) = app.info
    assert "not tested on the same clips" in said.value
    differing = app.dataframe[0].value
    assert "data.corpora" in set(differing["parameter"]) or len(differing), "the configurations are there"


def test_a_run_is_not_held_against_itself(tiny_store: Path) -> None:
    first = ids("sample-swap")[0]
    app = compare(section="Two runs")
    app.selectbox(key="pair_a").set_value(first)
    app.selectbox(key="pair_b").set_value(first).run()
    assert "Choose two different runs" in words(app)
    assert not app.dataframe


def test_only_parameters_that_differ_are_listed(store: Path) -> None:
    told = []
    for rate, extra in ((0.1, {}), (0.2, {"only.here": "yes"})):
        with tracking.start_run("a run") as run:
            run.params({"learning_rate": rate, "epochs": 3, **extra})
        told.append(run.run_id)
    table = comparison.config_difference(*told)
    assert table.to_dict("records") == [
        {"parameter": "learning_rate", "a": "0.1", "b": "0.2"},
        {"parameter": "only.here", "a": "", "b": "yes"},
    ]
    assert comparison.config_difference(told[0], told[0]).empty
    with pytest.raises(StoreError, match="no run"):
        comparison.config_difference(told[0], "0" * 32)
