"""A link of Compare restores its section: every widget comes up as the link says, and the link follows every change."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dfd import tracking
from tests.compare_page import compare, link

SECTIONS = (
    "By sequence length",
    "Across data sets",
    "Over seeds",
    "By slices",
    "At a threshold",
    "Two runs",
    "Any figure",
    "Learning",
    "Robustness",
)


def widgets(app: AppTest) -> dict[str, Any]:
    """The value of every widget that has a key."""
    kinds = ("selectbox", "multiselect", "slider", "pills", "button_group")
    return {widget.key: widget.value for kind in kinds for widget in app.get(kind) if widget.key}


def opened(query: dict[str, list[str]]) -> AppTest:
    """The page at a link as `link` reads it."""
    return compare(**{key: values if len(values) > 1 else "".join(values) for key, values in query.items()})


def changed(app: AppTest, section: str) -> None:
    """Set widgets of a section to other values than they have at first."""
    match section:
        case "By sequence length":
            app.selectbox(key="metric").set_value("auc")
            app.pills(key="corpora").set_value(["sample-swap"])
            app.pills(key="controls").set_value([])
        case "At a threshold":
            picker = app.multiselect(key="threshold_runs")
            ids = [run["run_id"] for run in tracking.detectors()][:2]
            picker.set_value(ids).run()
            app.selectbox(key="focus").set_value(app.selectbox(key="focus").options[1]).run()
            app.slider[0].set_value(0.375)
        case "Two runs":
            ids = [run["run_id"] for run in tracking.detectors()]
            app.selectbox(key="pair_a").set_value(ids[2])
        case "Any figure":
            app.selectbox(key="free_x").set_value("seed")
            app.selectbox(key="free_colour").set_value("control")
            app.multiselect(key="free_group").set_value(["corpus"])
            app.multiselect(key="free_filter").set_value(["control"]).run()
            app.multiselect(key="only_control").set_value(["mean pool"])
        case "Learning":
            app.selectbox(key="learning_figure").set_value("train/loss")
            app.slider(key="smoothing").set_value(0.6)
    app.button_group(key="picture").set_value("SVG")
    app.run()
    assert not app.exception


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_comes_up_as_its_link_says(section: str, tiny_store: Path) -> None:
    app = compare(section=section)
    assert link(app)["section"] == [section]
    at_first = link(app)
    changed(app, section)
    assert link(app) != at_first, "the link follows"
    again = opened(link(app))
    assert link(again) == link(app)
    assert widgets(again) == widgets(app)


def test_a_link_to_nothing_chosen_shows_nothing_chosen(tiny_store: Path) -> None:
    app = compare(corpora="", controls="")
    assert app.pills(key="corpora").value == []
    assert link(app)["corpora"] == []


def test_a_link_to_what_is_gone_comes_up_without_it(tiny_store: Path) -> None:
    app = compare(section="At a threshold", threshold_runs="gone · seed 0 · 00000000", focus="gone")
    assert len(app.multiselect(key="threshold_runs").value) == 1, "as it comes up without a link"
    app = compare(section="There is none such")
    assert link(app)["section"] == ["By sequence length"]
