"""One run, in full: figures, curves, confusion matrix, ROC, data, and how to make it again."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dfd import charts, metrics, tracking
from dfd.errors import StoreError
from dfd.glossary import METRICS, TERMS
from dfd.own_detector import KEPT_AS
from pages.ui import frame, mistakes, model_card, registry, robustness, store
from pages.ui.figures import figure

STATUS_COLOURS = {"finished": "green", "running": "blue", "failed": "red"}


def show(run: pd.Series) -> None:
    """Everything about a run; what it has not got yet is left out."""
    st.header(run["name"], anchor=False)
    with st.container(horizontal=True, gap="small"):
        st.badge(run["status"], color=STATUS_COLOURS.get(run["status"], "gray"))
        frames = "whole clips" if pd.isna(run["sequence_length"]) else f"{run['sequence_length']:.0f} frames"
        for fact in (run["corpus"], run["control"] or run["model"], frames):
            st.badge(fact, color="gray")
        registry.badges(run)
    st.space("small")
    with store.told():
        registry.promotion(run)
        _figures(run)
        _on_test_clips(run)
        robustness.show(run)
        st.fragment(_learning, run_every=4 if run["status"] == "running" else None)(run["run_id"])
        model_card.show(run)
        left, right = st.columns(2, gap="large")
        with left:
            _parameters(run["run_id"])
        with right:
            _data(run["run_id"])
            _origin(run)
            model_card.elsewhere(run)


def _figures(run: pd.Series) -> None:
    names = [name for name in METRICS if pd.notna(run.get(f"test/{name}"))]
    if not names:
        st.info("This run has no figures on test clips yet.", icon=":material/hourglass_empty:")
        return
    with st.container(horizontal=True, gap="medium"):
        for name in names:
            figure(run, name)


def _on_test_clips(run: pd.Series) -> None:
    try:
        clips = tracking.predictions(run["run_id"])
    except StoreError:  # a run that is training, or failed before it was evaluated
        return
    test = clips[clips["split"] == "test"]
    if test.empty:
        return
    threshold = run["threshold"]
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Confusion matrix", anchor=False, help="Test clips. " + TERMS["threshold"])
        matrix = metrics.confusion(test["label"], test["p_fake"], threshold)
        st.plotly_chart(
            charts.confusion(matrix, frame.ink()),
            config=frame.BARE,
            key="confusion",
            alt=f"{matrix[0, 0]} of {matrix[0].sum()} real and {matrix[1, 1]} of {matrix[1].sum()} fake clips right",
        )
    with right:
        st.subheader("ROC", anchor=False, help="Every threshold at once; the marker is the one chosen on validation.")
        st.plotly_chart(
            charts.roc(metrics.roc(test["label"], test["p_fake"]), threshold),
            config={"displaylogo": False},
            key="roc",
            alt="Share of fakes found against share of real clips called fake, for every threshold",
        )
    mistakes.show(run["run_id"], clips, explainable=bool(run["checkpoint"]))


def _learning(run_id: str) -> None:
    history = tracking.history(run_id)
    if history.empty:
        return
    st.subheader("Learning curves", anchor=False)
    left, right = st.columns(2, gap="large")
    left.plotly_chart(charts.learning_curves(history, "loss"), key="loss", alt="Training and validation loss by epoch")
    right.plotly_chart(charts.learning_curves(history, "score"), key="score", alt="Validation metrics by epoch")


def _parameters(run_id: str) -> None:
    st.subheader("Parameters", anchor=False)
    table = pd.DataFrame(sorted(tracking.params(run_id).items()), columns=["parameter", "value"])
    st.dataframe(table, hide_index=True, height=420, alt="The run's parameters")


def _data(run_id: str) -> None:
    st.subheader("Data", anchor=False, help="The digest changes when any clip, label or split changes.")
    st.dataframe(
        tracking.datasets(run_id),
        hide_index=True,
        column_order=["context", "digest", "clips", "real", "fake"],
        column_config={"context": "Split", "digest": "Digest", "clips": "Clips", "real": "Real", "fake": "Fake"},
        alt="Data sets the run read, with digests",
    )


def _origin(run: pd.Series) -> None:
    tags = tracking.tags(run["run_id"])
    commit = tags.get("mlflow.source.git.commit", "unknown")
    st.subheader("Make it again", anchor=False)
    file = _experiment_file(run)
    checkout = "" if commit == "unknown" else f"git checkout {commit[:12]}\n"
    again = f"dfd train {file or 'experiment.yaml'}"
    if run["kind"] == tracking.OWN:
        again = f"dfd evaluate {run['corpus']} --detector {tracking.artifact(run['run_id'], KEPT_AS)}"
    st.code(f"{checkout}{again}", language=None, wrap_lines=True)
    if run["checkpoint"]:
        st.caption(
            f"`dfd rebuild {run['run_id']}` checks its clips, trains it anew and compares the weights bit by bit."
        )
    if tags.get("dfd.dirty") == "true":
        st.caption("The code had changes that were not committed.")
    if "dfd.backbone_run" in tags:
        st.caption(
            f"Its backbone was fitted once for a sweep over {tags.get('dfd.backbone_corpora', '')} (run "
            f"`{tags['dfd.backbone_run'][:8]}`); `dfd sweep` with the sweep's file makes both again."
        )
    if run["checkpoint"]:
        st.subheader("Use its checkpoint", anchor=False)
        st.code(f"dfd predict CLIP --checkpoint {run['checkpoint']}", language=None, wrap_lines=True)


def _experiment_file(run: pd.Series) -> Path | None:
    """Where the run's experiment lies, beside its checkpoint, if the store is on this machine."""
    if not run["checkpoint"]:
        return None
    file = tracking.checkpoint_folder(run["checkpoint"]).parent / "experiment.yaml"
    return file if file.is_file() else None
