"""What people say of verdicts, as MLflow's own feedback: a trace for each verdict that was spoken of, and no video.

The trace says what was judged (digest, and the clip's name only where the person wants it kept), by which run's
checkpoint, and to what verdict; the feedback on it says whether the person agrees, and why. MLflow's pages show both.
"""

import json
import time
import uuid
from dataclasses import dataclass

import pandas as pd
from mlflow.entities import AssessmentSource, AssessmentSourceType, Feedback, Span, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import SpanAttributeKey, TraceMetadataKey, TraceTagKey
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from dfd.tracking.store import client, experiment_id, explained, store_uri

AGREES = "agrees"  # name of the feedback, true or false
VERDICT = "dfd verdict"  # name of the traces
COLUMNS = ("trace_id", "given", "agrees", "note", "clip", "sha256", "decision", "p_fake", "threshold")
MOST = 1000  # opinions that are read


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person says of one verdict."""

    run_id: str  # whose checkpoint judged
    sha256: str  # of the clip
    decision: str
    p_fake: float | None
    threshold: float
    agrees: bool
    note: str = ""
    clip: str = ""  # its name, where the person wants it kept


def give(opinion: Opinion) -> str:
    """Keep an opinion; returns its trace's id.

    Raises:
        StoreError: the store cannot be written to.
    """
    experiment = experiment_id()
    asked = {"sha256": opinion.sha256, **({"clip": opinion.clip} if opinion.clip else {})}
    said = {"decision": opinion.decision, "p_fake": opinion.p_fake, "threshold": opinion.threshold}
    number, now = uuid.uuid4(), time.time_ns()
    trace_id = f"tr-{number.hex}"
    info = TraceInfo(
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment),
        request_time=now // 1_000_000,
        execution_duration=0,
        state=TraceState.OK,
        request_preview=json.dumps(asked),
        response_preview=json.dumps(said),
        trace_metadata={TraceMetadataKey.SOURCE_RUN: opinion.run_id},
        tags={TraceTagKey.TRACE_NAME: VERDICT},
    )
    attributes = {
        SpanAttributeKey.REQUEST_ID: trace_id,
        SpanAttributeKey.INPUTS: asked,
        SpanAttributeKey.OUTPUTS: said,
    }
    span = ReadableSpan(
        name=VERDICT,
        context=SpanContext(number.int, number.int >> 64 or 1, False, TraceFlags(TraceFlags.SAMPLED)),
        start_time=now,
        end_time=now,
        status=Status(StatusCode.OK),
        attributes={name: json.dumps(value) for name, value in attributes.items()},
    )
    with explained("written to"):
        traces = TracingClient(store_uri())  # not mlflow.log_feedback: that is of a store set for the whole process
        traces.start_trace(info)
        traces.log_spans(experiment, [Span(span)])
        traces.log_assessment(
            trace_id,
            Feedback(
                name=AGREES,
                value=opinion.agrees,
                rationale=opinion.note or None,
                source=AssessmentSource(AssessmentSourceType.HUMAN, "dfd dashboard"),
            ),
        )
    return trace_id


def opinions(run_id: str) -> pd.DataFrame:
    """What people said of a run's verdicts, the latest first: columns `COLUMNS`, `given` in UTC.

    Raises:
        StoreError: the store cannot be read.
    """
    with explained("read"):
        found = client().search_traces(
            locations=[experiment_id()],
            filter_string=f"metadata.`{TraceMetadataKey.SOURCE_RUN}` = '{run_id}'",
            max_results=MOST,
            include_spans=False,
        )
    rows = []
    for trace in found:
        asked, said = (json.loads(text or "{}") for text in (trace.info.request_preview, trace.info.response_preview))
        rows += [
            {
                "trace_id": trace.info.trace_id,
                "given": pd.Timestamp(trace.info.request_time, unit="ms", tz="UTC"),
                "agrees": bool(each.value),
                "note": each.rationale or "",
                "clip": asked.get("clip", ""),
                **{name: asked.get(name, said.get(name)) for name in ("sha256", "decision", "p_fake", "threshold")},
            }
            for each in trace.info.assessments
            if each.name == AGREES
        ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("given", ascending=False, kind="stable", ignore_index=True)
