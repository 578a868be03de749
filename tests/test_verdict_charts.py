"""A clip's scores drawn: each detector with its own threshold, gaps where a face is missed."""

import numpy as np

from dfd import charts


def test_each_detector_has_a_line_and_a_threshold_of_its_colour() -> None:
    figure = charts.p_fake_of_detectors(
        [
            charts.ScoredFrames("one", np.array([0.0, 0.1]), np.array([0.2, 0.7]), 0.6, np.array([])),
            charts.ScoredFrames("two", [0.0, 0.1, 0.3], [0.4, 0.5, 0.6], 0.5, [0.2]),
        ]
    )
    one, two, missed = figure.data
    assert (one.name, list(one.y), list(one.marker.symbol)) == ("one", [0.2, 0.7], ["circle-open", "circle"])
    assert list(two.x) == [0.0, 0.1, 0.2, 0.3]
    assert np.isnan(two.y[2]), "the line is broken where the face is missed"
    assert list(two.marker.symbol[:2]) == ["square-open", "square"], "at the threshold is fake"
    assert (missed.name, list(missed.x)) == ("no face", [0.2])
    assert [shape.y0 for shape in figure.layout.shapes] == [0.6, 0.5]
    assert len({one.line.color, two.line.color, charts.REAL, charts.FAKE}) == 4
    red, green, blue = (int(two.line.color[at : at + 2], 16) for at in (1, 3, 5))
    assert figure.layout.shapes[1].line.color.startswith(f"rgba({red},{green},{blue},")


def test_frames_without_the_face_are_marked_on_a_single_line() -> None:
    line, missed = charts.p_fake_over_time([0.1, 0.2], [0.4, 0.6], 0.5, missed=[0.0, 0.3]).data
    assert list(line.x) == [0.0, 0.1, 0.2, 0.3]
    assert list(line.y[1:3]) == [0.4, 0.6]
    assert np.isnan([line.y[0], line.y[3]]).all()
    assert list(missed.x) == [0.0, 0.3]
    assert "no face" in missed.hovertemplate
