"""What people say of verdicts is kept in MLflow, with what was judged, and without the clip."""

from pathlib import Path

import pytest

from dfd import tracking
from dfd.tracking.feedback import Opinion, give, opinions

SHA = "ab" * 32


def opinion(run_id: str, **changes: object) -> Opinion:
    given = {"sha256": SHA, "decision": "fake", "p_fake": 0.9, "threshold": 0.6, "agrees": False}
    return Opinion(run_id, **{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.usefixtures("store")
def test_an_opinion_is_a_feedback_on_a_trace_of_the_verdict() -> None:
    with tracking.start_run("one") as run, tracking.start_run("two") as other:
        pass
    assert opinions(run.run_id).empty
    trace_id = give(opinion(run.run_id, note="It is <b>my</b> own 'video'"))
    trace = tracking.client().get_trace(trace_id, display=False)
    (feedback,) = trace.info.assessments
    assert (feedback.name, feedback.value, feedback.rationale) == ("agrees", False, "It is <b>my</b> own 'video'")
    assert feedback.source.source_type == "HUMAN"
    assert trace.info.trace_metadata["mlflow.sourceRun"] == run.run_id
    (span,) = trace.data.spans
    assert span.inputs == {"sha256": SHA}, "its name is not kept unless the person says so"
    assert span.outputs == {"decision": "fake", "p_fake": 0.9, "threshold": 0.6}
    assert opinions(other.run_id).empty


@pytest.mark.usefixtures("store")
def test_opinions_of_a_run_are_read_back_the_latest_first() -> None:
    with tracking.start_run("one") as run:
        pass
    give(opinion(run.run_id, agrees=True, clip="holiday.mp4"))
    give(opinion(run.run_id, decision="inconclusive", p_fake=None, note="too short"))
    table = opinions(run.run_id)
    assert set(table["sha256"]) == {SHA}
    by_decision = table.set_index("decision")
    assert by_decision.loc["fake", ["agrees", "clip", "note", "p_fake"]].tolist() == [True, "holiday.mp4", "", 0.9]
    assert by_decision.loc["inconclusive", ["agrees", "clip", "note"]].tolist() == [False, "", "too short"]
    assert table["given"].is_monotonic_decreasing


@pytest.mark.usefixtures("store")
def test_runs_and_figures_are_as_before(store: Path) -> None:
    with tracking.start_run("one") as run:
        pass
    before = tracking.runs()
    give(opinion(run.run_id))
    assert tracking.runs().equals(before)
